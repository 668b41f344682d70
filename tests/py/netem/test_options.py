"""Every model from Python, scenarios with a timeline, faults, replay: what is taken and refused."""

from __future__ import annotations

import pytest

from udpcore import netem


@pytest.fixture
def files(tmp_path):
    """Traces and a table."""
    for name, text in {
        "loss": "0011 # two of four",
        "delay": "10ms\n20ms\n",
        "rate": "1\n2\n3\n",
        "table": "-8192 -4096 0 4096 8192\n",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def fates(count=100, **options):
    sim = netem.Simulator(seed=7, **options)
    return [sim.send("up", b"x" * 100) for _ in range(count)]


def dropped(count=100, **options):
    return [n for n, fate in enumerate(fates(count, **options)) if fate.dropped]


def test_losses():
    assert dropped(10, loss="list 3,7-9") == [2, 6, 7, 8]
    assert dropped(10, loss="every 5") == [4, 9]
    for loss in ("1% 25%", "gemodel 10% 20%", "state 10% 25% 5% 50% 0.1%", "random 10%"):
        assert 0 < len(dropped(2000, loss=loss)) < 1500, loss
    assert len(dropped(1000, loss=0.5)) == len(dropped(1000, loss="50%"))


def test_delays():
    assert {fate.delay for fate in fates(10, delay="20ms")} == {0.02}
    normal = fates(1000, delay="20ms", jitter="2ms", distribution="normal")
    assert 0.0195 < sum(fate.delay for fate in normal) / 1000 < 0.0205
    words = fates(1000, delay="20ms 2ms distribution normal")
    assert [fate.delay for fate in words] == [fate.delay for fate in normal]
    assert {fate.delay for fate in fates(5, delay=0.5)} == {0.5}


def test_what_else_there_is():
    assert dropped(10, mtu="50B") == list(range(10))
    assert dropped(10, mtu=100) == []
    assert {"corrupt"} in [fate.effects for fate in fates(corrupt="30% bits 3")]
    assert {"truncate"} in [fate.effects for fate in fates(truncate="30% to 20B")]
    assert {"duplicate"} in [fate.effects for fate in fates(duplicate=0.3)]
    assert {"ahead"} in [fate.effects for fate in fates(delay="5ms", reorder="30% gap 2 ahead")]
    assert dropped(10, blackhole="0s-1s") == list(range(10))
    assert {fate.dropped for fate in fates(100, rate="1mbit", queue="droptail 10")} == {
        None,
        "tail-drop",
    }
    assert {fate.dropped for fate in fates(100, rate=1_000_000, limit=10)} == {None, "queue-full"}


def test_files(files):
    assert dropped(8, loss_trace=files / "loss") == [2, 3, 6, 7]
    assert [fate.delay for fate in fates(3, delay_trace=str(files / "delay"))] == [0.01, 0.02, 0.01]
    sim = netem.Simulator(rate_trace=files / "rate")
    sim.send("up", bytes(1500))
    assert sim.advance().time == 0.001
    table = fates(100, delay="20ms", jitter="1ms", delay_table=files / "table")
    assert len({fate.delay for fate in table}) > 2
    with pytest.raises(OSError, match="No such file"):
        netem.Simulator(loss_trace=files / "missing")


def test_tc_and_profiles():
    both = netem.Simulator(tc="delay 100ms loss 100%", down={"tc": "delay 20ms"}, seed=7)
    assert both.send("up", b"x").dropped == "loss"
    assert both.send("down", b"x").delay == 0.02
    adsl = netem.Simulator(profile="adsl", up={"loss": "100%"})
    assert adsl.send("down", b"x").delay == 0.025
    assert adsl.send("up", b"x").dropped == "loss"
    profiles = netem.profiles()
    assert profiles["wifi"].source == "estimate"
    assert "WebPageTest" in profiles["3g"].source
    assert profiles["3g"].up["rate"] == "768kbit"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "lots"}, 'loss: "lots" is not a number'),
        ({"tc": "lsos 1%"}, 'tc: column 1: unknown option "lsos" .did you mean "loss"'),
        ({"tc": "loss 1%", "delay": "1ms"}, "tc: it says all about a direction: leave delay out"),
        ({"tc": "loss 1% seed 7"}, "give seed= instead"),
        ({"profile": "wfii"}, 'profile: unknown profile "wfii" .did you mean "wifi"'),
        ({"queue": "codel"}, "queue: it waits in front of a limited rate"),
        ({"delay": "1ms", "delay_trace": "x"}, "delay_trace and delay: leave one out"),
        ({"jitter": "5ms"}, "jitter 5ms is more than the delay"),
        ({"scenario": "[up]\nlsos = '1%'\n"}, 'scenario:2:1: unknown key "lsos" .did you mean'),
        ({"scenario": "[up]\n", "loss": "1%"}, "scenario: it says all: leave loss out"),
        ({"replay": "no log"}, "line 1: not a decision log"),
        ({"faults": [netem.Fault("explode")]}, 'action: "explode" is unknown: there are drop,'),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match=message):
        netem.Simulator(**options)


def test_kinds():
    with pytest.raises(TypeError, match="rate: expected a string with a unit or a num"):
        netem.Simulator(rate=[])
    with pytest.raises(TypeError, match="unknown option 'dealy'; did you mean 'delay'"):
        netem.Simulator(dealy="1ms")
    with pytest.raises(FileNotFoundError):
        netem.Simulator(scenario="no-such.toml")


TIMELINE = """
seed = 9
[link]
delay = "10ms"
[[timeline]]
at = "5s"
up = { loss = "100%" }
[[timeline]]
at = "8s"
rebind = true
up = { loss = "0%" }
[[timeline]]
at = "9s"
outage = "1s"
"""


def test_a_timeline_in_the_simulator(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(TIMELINE)
    sim = netem.Simulator(scenario=path)
    assert sim.seed == 9
    seen = []
    for second in range(11):
        list(sim.run(until=float(second)))
        seen.append(sim.send("up", b"x").dropped)
    assert seen == [None] * 5 + ["loss"] * 3 + [None, "blackhole", None]
    assert sim.rebinds() == [(8.0, None)]
    assert sim.rebinds() == []
    sim.set(up={"delay": "1ms"})
    assert sim.send("up", b"x").delay == 0.001
    assert repr(sim).startswith("<netem.Simulator at 10.0")


def test_a_timeline_on_a_link():
    link = netem.Link("up", scenario=TIMELINE)
    assert link.input(1.0, b"x").delay == 0.01
    assert link.input(5.0, b"x").dropped == "loss"
    link.set(loss="0%")
    assert link.input(6.0, b"x").delivered
    down = netem.Link("down", scenario=TIMELINE)
    assert down.input(5.0, b"x").delivered
    assert down.input(9.5, b"x").dropped == "blackhole"


def test_a_timeline_on_a_proxy(server, client, wait_until):
    text = "[[timeline]]\nat = '50ms'\nup = { loss = '100%' }\n"
    with netem.Proxy(server.getsockname(), scenario=text) as proxy:
        client.sendto(b"early", proxy.address)
        assert server.recv(10) == b"early"

        def is_lost():
            client.sendto(b"late", proxy.address)
            return proxy.stats().up.dropped["loss"] > 0

        wait_until(is_lost)


def test_rebinding_moves_a_client_to_another_port(server, client):
    with netem.Proxy(server.getsockname()) as proxy:
        client.sendto(b"x", proxy.address)
        before = server.recvfrom(10)[1]
        assert proxy.rebind() == 1
        client.sendto(b"x", proxy.address)
        assert server.recvfrom(10)[1] != before


def test_a_replay_repeats_and_names_the_first_divergence():
    first = netem.Simulator(loss="30%", duplicate="20%", delay="5ms", jitter="2ms", seed=7)
    before = [first.send("up", b"x" * 20) for _ in range(200)]
    second = netem.Simulator(replay=first.log())
    assert second.seed == 7
    assert [second.send("up", b"x" * 20) for _ in range(200)] == before
    assert second.divergence is None
    assert second.log() == first.log()
    assert second.send("up", b"x").delivered
    assert (
        second.divergence
        == "replay diverged at up flow 0 #200: 1 bytes, the log has no such packet"
    )
    link = netem.Link("up", replay=first.log())
    assert [link.input(0.0, b"x" * 20) for _ in range(200)] == before


def test_faults_of_a_log():
    sim = netem.Simulator(loss="10%", seed=7)
    lost = [n for n in range(100) if sim.send("down", b"x").dropped]
    faults = netem.faults_of(sim.log())
    assert [(fault.action, fault.direction, fault.ordinal) for fault in faults] == [
        ("drop", "down", n) for n in lost
    ]
    again = netem.Simulator(faults=faults)
    assert [n for n in range(100) if again.send("down", b"x").dropped] == lost
    assert len(list(netem.fault_pairs(first=10))) == 45


def test_shrinking_ends_when_the_question_raises():
    sim = netem.Simulator(loss="10%", seed=7)
    for _ in range(100):
        sim.send("up", b"x")

    def fails(log):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        netem.shrink(sim.log(), fails)
    assert netem.shrink(sim.log(), lambda log: False) is None
