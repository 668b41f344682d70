"""netem.Simulator and netem.Link: virtual time from Python, the same decisions as the proxy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpcore.netem import Link, Proxy, Simulator


def test_time_jumps_from_arrival_to_arrival():
    sim = Simulator(up={"delay": "1h"}, down={"delay": "30min"})
    sim.send("up", b"up")
    sim.send("down", b"down", flow=3)
    arrivals = list(sim.run(until=2 * 3600))
    assert [(a.time, a.direction, a.flow, a.data) for a in arrivals] == [
        (1800.0, "down", 3, b"down"),
        (3600.0, "up", 0, b"up"),
    ]
    assert sim.now == 7200.0
    assert sim.advance() is None


def test_what_is_sent_on_arrival_arrives_in_the_same_run():
    sim = Simulator(delay="10ms")
    sim.send("up", b"0")
    hops = 0
    for arrival in sim.run(until=1.0):
        hops += 1
        sim.send("down" if arrival.direction == "up" else "up", arrival.data)
    assert hops == 100


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
def test_observed_loss_is_within_four_sigma(share):
    packets = 100_000
    link = Link("up", loss=share, seed=11)
    lost = sum(not link.input(0.0, b"").delivered for _ in range(packets))
    sigma = math.sqrt(packets * share * (1 - share))
    assert abs(lost - packets * share) <= 4 * sigma
    assert link.stats().is_balanced


def test_the_simulator_decides_as_the_proxy(server, client, wait_until):
    options = {"loss": "20%", "duplicate": "10%", "reorder": "10%", "delay": "2ms", "jitter": "1ms"}
    sim = Simulator(seed=7, **options)
    with Proxy(server.getsockname(), seed=7, **options) as proxy:
        for number in range(200):
            sim.send("up", bytes(number))
            client.sendto(bytes(number), proxy.address)
        wait_until(lambda: proxy.stats().up.received == 200)
        assert proxy.log() == sim.log()


@given(
    seed=st.integers(0, 2**64 - 1),
    loss=st.floats(0, 1),
    reorder=st.floats(0, 1),
    sends=st.lists(st.tuples(st.sampled_from(["up", "down"]), st.integers(0, 3)), max_size=50),
)
def test_everything_is_accounted_for(seed, loss, reorder, sends):
    loss, reorder = round(loss, 6), round(reorder, 6)
    sim = Simulator(seed=seed, loss=loss, reorder=reorder, delay="1ms", duplicate="20%")
    for direction, flow in sends:
        sim.send(direction, b"x", flow)
        assert sim.stats().is_balanced
    arrived = len(list(sim.run(until=10.0)))
    stats = sim.stats()
    assert stats.is_balanced
    assert stats.up.queued + stats.down.queued == 0
    assert arrived == stats.up.delivered + stats.down.delivered
    assert seed == sim.seed


def test_a_verdict_says_what_happened():
    link = Link("down", duplicate="100%", reorder="100%", limit=2, seed=1)
    verdict = link.input(0.0, b"x")
    assert verdict.effects == {"duplicate", "reorder"}
    assert verdict.delivered
    assert link.input(0.0, b"x").dropped == "queue-full"
    assert link.poll(0.0) == (0, b"x"), "the copy is not held back"
    link.set(loss="100%")
    assert link.input(0.0, b"x").dropped == "loss"
    assert "down 0 2 1 drop loss 0" in link.log()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match='direction: "left" is unknown'):
        Simulator().send("left", b"")
    with pytest.raises(ValueError, match="until: -1s is out of range"):
        Simulator().advance(-1)
    with pytest.raises(TypeError, match="did you mean 'duplicate'"):
        Link("up", duplicat="1%")
    with pytest.raises(TypeError, match="did you mean 'delay'"):
        Link("up").set(delays="1ms")
    with pytest.raises(TypeError):
        Simulator().send("up", "text")


def test_they_say_what_they_are():
    assert repr(Link("up", loss="1%", seed=3)) == "<netem.Link up loss='1%' seed=3>"
    assert repr(Simulator(seed=3)) == "<netem.Simulator at 0.000000 s seed=3>"
