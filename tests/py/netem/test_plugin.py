"""The pytest plugin, used as its users do: in a run of pytest of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest

from udpcore import netem as network
from udpcore import pytest_plugin

FAILING = """
import pytest

@pytest.mark.netem(loss="50%")
def test_bad_day(netem):
    proxy = netem(("127.0.0.1", 9))
    sim = netem.Simulator(delay="1ms")
    assert sim.seed == proxy.seed + 1 == netem.seed + 1
    assert netem.Link("up", seed=5).seed == 5
    verdicts = [sim.send("up", b"x").delivered for _ in range(8)]
    raise AssertionError(f"{proxy.seed} {verdicts}")
"""

PASSING = """
def test_closed_after_the_test(netem):
    globals()["proxy"] = netem.Proxy(("127.0.0.1", 9))
    assert not proxy.closed

def test_really():
    assert proxy.closed
"""

LAZY = """
import sys

def test_nothing_was_imported():
    assert "udpcore.netem" not in sys.modules
    assert "udpcore._pytest_network" not in sys.modules
"""

MANY = """
import pytest

@pytest.mark.parametrize("number", range(12))
def test_seed(netem, number, record_property):
    sim = netem.Simulator(loss="50%")
    print("SEED", number, sim.seed, [sim.send("up", b"x").delivered for _ in range(16)])
"""

MARKED = """
import pytest

@pytest.mark.netem(loss="100%", up={"delay": "3ms"})
class TestMarked:
    def test_of_the_class(self, netem):
        assert not netem.Simulator().send("up", b"x").delivered

    @pytest.mark.netem(loss="0%")
    def test_closest_wins(self, netem):
        assert netem.Simulator().send("up", b"x").delay == 0.003
        assert netem.Simulator().send("down", b"x").delay == 0

    def test_own_options_win(self, netem):
        assert netem.Simulator(loss="0%").send("down", b"x").delivered

    @pytest.mark.netem(seed=9, loss="0%")
    def test_seed(self, netem):
        assert netem.Simulator().seed == 9
        link = netem.Link("up")
        assert (link.seed, link.input(0.0, b"x").delay) == (10, 0.003)
"""


@pytest.fixture
def run(tmp_path):
    """Run a test file in a process of its own; return exit code and output."""

    def run_pytest(source, *options):
        (tmp_path / "test_it.py").write_text(source)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *options]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    return run_pytest


def test_a_failing_test_says_seed_counters_and_how_to_repeat_it(run):
    code, output = run(FAILING)
    assert code == 1
    assert "<netem.Proxy 127.0.0.1:" in output
    assert "received 8" in output
    command = re.search(r"repeat with: pytest test_it.py::test_bad_day --netem-seed (\d+)", output)
    assert command, output
    said = re.search(r"AssertionError: (\d+ \[.*\])", output)
    assert f"seed of this test {said[1].split()[0]}, of the session {command[1]}" in output

    _, again = run(FAILING, "--netem-seed", command[1])
    assert f"AssertionError: {said[1]}" in again
    assert f"netem: seed {command[1]}" in again


def test_the_same_under_xdist_and_in_another_order(run):
    def seeds(*options):
        code, output = run(MANY, "--netem-seed", "7", *options)
        assert code == 0, output
        return sorted(set(re.findall(r"SEED .*", output)))

    alone = seeds()
    assert len(alone) == 12
    assert seeds("-n", "2") == alone
    backwards = [f"test_it.py::test_seed[{number}]" for number in reversed(range(12))]
    assert seeds(*backwards) == alone


def test_workers_of_xdist_share_a_fresh_seed(run):
    _, output = run(FAILING + FAILING.replace("bad_day", "worse_day"), "-n", "2")
    found = re.findall(r"--netem-seed (\d+)", output)
    assert len(found) == 2
    assert len(set(found)) == 1


def test_traces_are_kept_when_a_test_fails(run, tmp_path):
    code, output = run(FAILING, "--netem-trace", "traces", "--netem-seed", "1")
    assert code == 1
    (kept,) = (tmp_path / "traces").iterdir()
    assert f"logs and captures in {kept.relative_to(tmp_path)}" in output
    names = sorted(path.name for path in kept.iterdir())
    assert names == ["1.log", "1.pcapng", "2.log", "3.log"]
    assert (kept / "2.log").read_text().count("\nup 0 ") == 8
    assert (kept / "1.pcapng").read_bytes().startswith(b"\n\r\r\n")


def test_traces_are_thrown_away_when_a_test_passes(run, tmp_path):
    code, output = run(PASSING, "--netem-trace", "traces")
    assert code == 0, output
    assert list((tmp_path / "traces").iterdir()) == []


def test_good_networks_instead(run):
    source = FAILING.replace("raise AssertionError", "assert all(verdicts), ")
    assert run(source, "--netem-seed", "3")[0] == 1
    code, output = run(source, "--netem-seed", "3", "--netem-disable")
    assert code == 0, output
    assert "netem: seed 3, disabled: good networks" in output
    _, output = run(MARKED.replace('loss="0%"', 'loss="-1%"'), "--netem-disable")
    assert 'loss: "-1%" is not a number' in output


def test_the_marker_gives_defaults(run):
    code, output = run(MARKED)
    assert code == 0, output


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('"5%"', "takes options by name only, such as loss='5%'; got '5%'"),
        ('los="5%"', "unknown option 'los'; did you mean 'loss'?"),
        ("colour=1", "unknown option 'colour'; there are loss, delay,"),
    ],
)
def test_a_marker_is_strict_even_without_the_fixture(run, marker, message):
    code, output = run(f"import pytest\n@pytest.mark.netem({marker})\ndef test_it():\n    pass\n")
    assert code == 1
    assert f"@pytest.mark.netem: {message}" in output


ENUMERATED = """
import pytest

@pytest.mark.netem(enumerate="drop", first=5, direction="down", delay="1ms")
def test_any_one(netem):
    sim = netem.Simulator()
    assert [sim.send("down", b"x").delivered for _ in range(5)] != [True, True, True, False, True]

@pytest.mark.netem(enumerate="drop", first=4, pairs=True)
def test_any_two(netem):
    sim = netem.Simulator()
    assert sum(sim.send("up", b"x").delivered for _ in range(4)) == 2
"""


def test_single_faults_are_tests_of_their_own(run):
    code, output = run(ENUMERATED)
    assert code == 1
    assert "1 failed, 10 passed" in output
    assert "test_any_one[drop down flow 0 #3]" in output
    _, output = run(ENUMERATED.replace('enumerate="drop", first=4, ', ""))
    assert "pairs says what to enumerate: give enumerate='drop' too" in output


TWO_FAULTS = """
def test_upload(netem):
    sim = netem.Simulator(loss="30%", duplicate="5%", delay="1ms")
    fates = [sim.send("up", b"x") for _ in range(1500)]
    assert netem.seed != 0
    assert not (fates[417].dropped and "duplicate" in fates[1203].effects)
"""


def two_faults_source():
    """A test that fails with one seed of the session, because of these two faults."""
    sim = network.Simulator(loss="30%", duplicate="5%", seed=5)
    fates = [sim.send("up", b"x") for _ in range(1500)]
    lost = [n for n, fate in enumerate(fates) if fate.dropped]
    doubled = [n for n, fate in enumerate(fates) if fate.effects]
    source = TWO_FAULTS.replace('delay="1ms"', 'delay="1ms", seed=5')
    return source.replace("417", str(lost[200])).replace("1203", str(doubled[40])), len(
        lost + doubled
    )


def test_a_bug_of_two_faults_among_five_hundred_is_shrunk_to_them(run, tmp_path):
    source, count = two_faults_source()
    assert 450 < count < 600
    code, output = run(source, "--netem-trace", "traces")
    assert code == 1
    (kept,) = (tmp_path / "traces").iterdir()
    command = re.search(r"shrink with: (netem shrink .*)", output)
    assert command, output
    words = shlex.split(command[1])
    assert words[2] == f"{kept.relative_to(tmp_path)}/1.log"
    # The whole search, in this process: what the command does, sixty times quicker.
    runs = []

    def fails(log):
        sim = network.Simulator(replay=log)
        fates = [sim.send("up", b"x") for _ in range(1500)]
        runs.append(log)
        return eval(source.split("assert not ")[1], {"fates": fates})

    shrunk = network.shrink((kept / "1.log").read_text(), fails, runs=60)
    assert [fault.action for fault in shrunk.faults] == ["drop", "duplicate"]
    assert shrunk.is_minimal
    assert shrunk.runs == len(runs) <= 60

    # And the command itself, from a log that has little more than these two.
    (kept / "1.log").write_text(shrunk.log)
    words[0:1] = [sys.executable, "-m", "udpcore", "netem"]
    place = words.index("pytest")
    words[place : place + 1] = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "netem: 2 of 2 faults" in done.stderr
    assert done.stdout == shrunk.scenario

    # The scenario fails, too.
    again = network.Simulator(scenario=shrunk.scenario)
    fates = [again.send("up", b"x") for _ in range(1500)]
    assert sum(bool(fate.dropped) for fate in fates) == 1


def test_a_replay_takes_the_same_decisions_and_names_a_divergence(run, tmp_path):
    _, output = run(FAILING, "--netem-trace", "traces", "--netem-seed", "4")
    (kept,) = (tmp_path / "traces").iterdir()
    assert f"--netem-seed 4 --netem-replay {kept.relative_to(tmp_path)}" in output
    said = re.search(r"AssertionError: (\d+ \[.*\])", output)[1]
    replay = ("--netem-seed", "4", "--netem-replay", str(kept))
    _, again = run(FAILING, *replay)
    assert said.partition(" ")[2] in again
    assert "diverged" not in again
    _, other = run(FAILING.replace('b"x"', 'b"xx"'), *replay)
    assert "replay diverged at up flow 0 #0: 2 bytes, the log has 1" in other


def test_a_profile_for_all_that_name_none(run):
    source = """
def test_it(netem):
    assert netem.Simulator().send("up", b"x").delay == 0.15
    assert netem.Simulator(delay="1ms").send("up", b"x").delay == 0.001
    assert netem.Simulator(profile="cable").send("up", b"x").delay == 0.014
    assert netem.Simulator(tc="delay 2ms").send("up", b"x").delay == 0.002
"""
    code, output = run(source, "--netem-profile", "3g")
    assert code == 0, output


def test_the_marker_knows_every_option():
    assert set(pytest_plugin.MARKER_KEYS) >= set(network.LinkOptions.__annotations__)


def test_proxies_are_closed_at_the_end_of_the_test(run):
    code, output = run(PASSING)
    assert code == 0, output


def test_a_suite_that_does_not_use_it_does_not_import_it(run):
    code, output = run(LAZY)
    assert code == 0, output


def test_a_bad_seed_is_refused(run):
    code, output = run(LAZY, "--netem-seed", "seven")
    assert code == 4
    assert "--netem-seed" in output
    assert run(LAZY, "--netem-seed", str(2**64))[0] == 4


def test_the_fixture_works_here_too(netem, echo, client):
    proxy = netem(echo, duplicate="100%")
    client.sendto(b"twice", proxy.address)
    assert [client.recv(100) for _ in range(4)] == [b"twice"] * 4


def test_a_thousand_proxies_leak_nothing(server, client, tmp_path):
    def used():
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    network.Proxy(("127.0.0.1", 9), seed=1).close()
    before = used()
    for number in range(1000):
        pcap = tmp_path / "x.pcapng" if number % 10 == 0 else None
        with network.Proxy(server.getsockname(), seed=1, pcap=pcap) as proxy:
            if number % 50 == 0:
                client.sendto(b"x", proxy.address)
                server.recv(10)
    # A closed proxy that is still looked at keeps its sockets: only one is.
    del proxy
    assert used() == before
