"""``udpcore netem`` and ``netem``: the Python door of the command."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PYTHON_DOORS = {
    "udpcore netem": [sys.executable, "-m", "udpcore", "netem"],
    "netem": [str(Path(sys.executable).parent / "netem")],
}
RELAY = ["relay", "--listen", "127.0.0.1:0", "--upstream"]


@pytest.fixture(params=PYTHON_DOORS)
def door(request):
    """How the command is called, and its words."""
    return request.param, PYTHON_DOORS[request.param]


@pytest.fixture
def start():
    """Start a relay; return the process and its address. Whatever happens, it is ended."""
    processes = []

    def start_relay(command, *options):
        process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        line = process.stderr.readline()
        found = re.match(r"netem relay (.+):(\d+) -> \S+, seed (\d+)$", line)
        assert found, line
        return process, (found[1], int(found[2]))

    yield start_relay
    for process in processes:
        process.kill()
        process.communicate()


def udp(address):
    return f"{address[0]}:{address[1]}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_ends_it_at_once_with_a_summary(door, start, echo, client, number, code):
    options = ["--loss", "0%", "--delay", "1ms", "--seed", "7"]
    process, address = start(door[1], *RELAY, udp(echo), *options)
    for _ in range(5):
        client.sendto(b"hello", address)
        assert client.recv(100) == b"hello"
    asked = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert time.monotonic() - asked < 2
    assert process.returncode == code
    assert re.search(r"received +5 +5\n", out)
    assert re.search(r"delivered +5 +5\n", out)
    assert "Traceback" not in err


def test_json_and_log_at_the_end_of_the_time(door, start, echo, client, tmp_path):
    log = tmp_path / "decisions.log"
    # Time enough for an answer on a busy machine.
    options = ["--seed", "7", "--duration", "2s", "--json", "--log", str(log), "--no-offload"]
    process, address = start(door[1], *RELAY, udp(echo), *options)
    client.sendto(b"hello", address)
    client.recv(100)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    summary = json.loads(out)
    assert summary["seed"] == 7
    assert summary["up"]["delivered"] == summary["down"]["delivered"] == 1
    assert log.read_text().splitlines()[2:] == ["up 0 0 5 deliver - 0", "down 0 0 5 deliver - 0"]


def test_a_terminal_shows_a_live_line(door, echo, client):
    terminal, line_end = pty.openpty()
    command = [*door[1], *RELAY, udp(echo), "--duration", "2s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=line_end, text=True) as process:
        os.close(line_end)
        shown = b""
        while b"clients" not in shown:
            shown += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    os.close(terminal)
    assert re.search(rb"up \d+ in, \d+ out, \d+ dropped, \d+ queued \| down ", shown)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([*RELAY, "127.0.0.1:9", "--loss", "120%"], "120% is out of range: give a value from 0%"),
        ([*RELAY, "127.0.0.1:9", "--loss", "0.1"], '"0.1" has no unit: write it like 0.1%'),
        ([*RELAY, "127.0.0.1:9", "--delay", "5"], '"5" has no unit: write it like 5ms'),
        ([*RELAY, "127.0.0.1:9", "--jitter", "5ms"], "jitter 5ms is more than the delay"),
        ([*RELAY, "127.0.0.1:9", "--los", "5%"], "a similar argument exists: '--loss'"),
        ([*RELAY, "127.0.0.1:70000"], "port 70000 is out of range: give 0 to 65535"),
        ([*RELAY, "127.0.0.1:0"], "port 0 is nobody's"),
        ([*RELAY, "127.0.0.1"], "no port: write HOST:PORT"),
        ([*RELAY, "127.0.0.1:9", "--seed", "x"], "invalid value 'x' for '--seed <NUMBER>'"),
        ([*RELAY, "127.0.0.1:9", "--scenario", "no.toml"], "no.toml:1:1: cannot be read"),
        (["relay", "--upstream", "127.0.0.1:9"], "--listen <HOST:PORT>"),
        (["rely"], "some similar subcommands exist: 'replay', 'relay'"),
        ([], "Usage: "),
    ],
)
def test_a_wrong_command_line_is_explained(door, options, message):
    name, command = door
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if "Usage: " in done.stderr:
        assert f"Usage: {name} " in done.stderr


def test_what_the_world_refuses_is_one_line_and_code_1(door, server, tmp_path):
    name, command = door
    taken = udp(server.getsockname())
    for options, message in [
        (["--listen", taken, "--upstream", "127.0.0.1:9"], f"cannot listen on {taken}: Address"),
        ([*RELAY[1:], "no-such-host.invalid:9"], "--upstream: cannot resolve"),
        ([*RELAY[1:], "127.0.0.1:9", "--log", str(tmp_path)], f"cannot write {tmp_path}"),
    ]:
        words = [*command, "relay", *options]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(f"{name}: ")
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


def test_help_goes_to_standard_output(door):
    for options in (["--help"], ["relay", "--help"], ["--version"]):
        done = subprocess.run([*door[1], *options], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_lines_of_json_and_a_report(start, echo, client, tmp_path):
    report = tmp_path / "report.html"
    options = ["--jsonl", "--duration", "2500ms", "--loss", "50%", "--report", str(report)]
    command = PYTHON_DOORS["netem"]
    process, address = start(command, *RELAY, udp(echo), "--seed", "7", *options)
    for _ in range(200):
        client.sendto(b"x", address)
    out, _ = process.communicate(timeout=30)
    *lines, summary = [json.loads(line) for line in out.splitlines()]
    assert [round(line["at_s"]) for line in lines] == [1, 2]
    assert lines[-1]["up"] == summary["up"]
    assert summary["up"]["received"] == 200
    assert summary["seed"] == 7
    html = report.read_text()
    assert "<td>received<td>200<td>" in html
    assert f"<td>dropped: loss<td>{summary['up']['dropped']['loss']}<td>" in html
    assert html.count("<polyline") == 6
    assert "<script" not in html
    assert "http" not in html


def test_keys_change_the_network_while_it_runs(echo, client):
    """The live view on a terminal: a key loses everything, another ends the run."""
    main, terminal = pty.openpty()
    command = [*PYTHON_DOORS["netem"], *RELAY, udp(echo), "--seed", "7", "--live"]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, text=True
    )
    os.close(terminal)
    seen = ""
    try:

        def read_until(wanted):
            nonlocal seen
            end = time.monotonic() + 20
            while not (found := re.search(wanted, seen)):
                assert time.monotonic() < end, seen
                seen += os.read(main, 4096).decode(errors="replace")
            return found

        found = read_until(r"netem relay ([\d.]+):(\d+) ->")
        read_until("q quit")
        os.write(main, b"lllllllllll")
        read_until("up and down: loss 100%")
        client.sendto(b"x", (found[1], int(found[2])))
        read_until("dropped: loss 1")
        os.write(main, b"q")
        # Leaves the other screen, whatever happens.
        read_until(r"\x1b\[\?1049l")
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 130
        assert re.search(r"dropped: loss +1 +0", out)
    finally:
        process.kill()
        process.communicate()
        os.close(main)
