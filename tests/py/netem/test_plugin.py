"""The pytest plugin, used as its users do: in a run of pytest of its own."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

FAILING = """
import socket

def test_bad_day(netem):
    proxy = netem(("127.0.0.1", 9), loss="50%")
    sim = netem.Simulator(delay="1ms")
    assert sim.seed == proxy.seed + 1
    assert netem.Link("up", seed=5).seed == 5
    verdicts = [sim.send("up", b"x").delivered for _ in range(8)]
    raise AssertionError(f"{proxy.seed} {proxy.address} {verdicts}")
"""

PASSING = """
import socket

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
    assert f"AssertionError: {command[1]} " in output

    _, again = run(FAILING, "--netem-seed", command[1])
    assert f"AssertionError: {command[1]} " in again


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
