"""``netem stream`` and ``netem run`` while they run: HTTP, JSON lines, report, keys."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

NETEM = [sys.executable, "-m", "udpcore", "netem"]
PATIENCE_S = 40


@pytest.fixture
def echo():
    """The port of a TCP echo server for one connection after the other."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def work():
            while True:
                connection, _ = listener.accept()
                with connection:
                    if (data := connection.recv(1 << 16)) == b"stop":
                        return
                    while data:
                        connection.sendall(data)
                        data = connection.recv(1 << 16)

        thread = threading.Thread(target=work)
        thread.start()
        yield listener.getsockname()[1]
        with socket.create_connection(listener.getsockname(), PATIENCE_S) as last:
            last.sendall(b"stop")
        thread.join(PATIENCE_S)


def stream(upstream, *options):
    command = [*NETEM, "stream", "--listen", "127.0.0.1:0"]
    return [*command, "--upstream", f"127.0.0.1:{upstream}", "--seed", "7", *options]


def ask(url, path, change=None, method="PATCH"):
    """The answer of the control; `change` is sent as JSON."""
    data = None if change is None else json.dumps(change).encode()
    request = urllib.request.Request(
        url + path,
        data,
        {"Content-Type": "application/json"},
        method="GET" if data is None else method,
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return answer.read().decode()


def test_a_stream_is_steered_over_http_and_tells_json_lines_and_a_report(echo, tmp_path):
    report = tmp_path / "report.html"
    options = ["--control", "127.0.0.1:0", "--jsonl", "--report", str(report)]
    options += ["--memory", "1MB"]
    process = subprocess.Popen(
        stream(echo, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        port = int(re.match(r"netem stream \S+:(\d+) -> ", process.stderr.readline())[1])
        url = re.match(r"netem control (http://\S+)/\n", process.stderr.readline())[1]
        assert json.loads(ask(url, "/links/both", {"latency": "50ms"}))["up"] == {"delay": "50ms"}
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
            begin = time.monotonic()
            connection.sendall(b"x" * 1000)
            assert connection.recv(1000, socket.MSG_WAITALL) == b"x" * 1000
            assert time.monotonic() - begin >= 0.1
            metrics = ask(url, "/metrics")
            assert 'netem_bytes_delivered_total{direction="down"} 1000\n' in metrics
            assert 'netem_driver{name="connections now"} 1\n' in metrics
        assert "<title>netem</title>" in ask(url, "/")
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, err
    finally:
        process.kill()
        process.communicate()
    assert first["at_s"] >= 1
    summary = json.loads(out.splitlines()[-1])
    assert summary["connections"] == 1
    assert summary["most_bytes_held"] >= 1000
    assert summary["up"]["delivered_bytes"] == summary["down"]["delivered_bytes"] == 1000
    assert "<td>delivered bytes<td>1000<td>1000" in report.read_text()


def test_keys_slow_a_stream_down(echo):
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        stream(echo, "--live"), stdin=terminal, stdout=subprocess.PIPE, stderr=terminal, text=True
    )
    os.close(terminal)
    seen = ""
    try:

        def read_until(wanted):
            nonlocal seen
            end = time.monotonic() + PATIENCE_S
            while not re.search(wanted, seen):
                assert time.monotonic() < end, seen
                seen += os.read(main, 4096).decode(errors="replace")

        read_until("q quit")
        os.write(main, b"ddr")
        read_until("up and down: rate 100mbit")
        read_until("delay 5ms, rate 100mbit")
        os.write(main, b"q")
        read_until(r"\x1b\[\?1049l")
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
    finally:
        process.kill()
        process.communicate()
        os.close(main)


@pytest.mark.parametrize("option", ["--log", "--pcap", "--replay"])
def test_what_needs_packets_is_refused_and_the_help_says_so(option, tmp_path):
    done = subprocess.run(
        stream(9, option, str(tmp_path / "file")), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"{option}: a stream has no packets" in done.stderr
    assert not list(tmp_path.iterdir())
    done = subprocess.run([*NETEM, "stream", "--help"], capture_output=True, text=True, check=True)
    assert "--log, --pcap and --replay are refused" in done.stdout


def test_a_run_is_steered_over_http(tmp_path):
    """Needs root. The command waits for a file, which comes after the change."""
    go = tmp_path / "go"
    script = f"while ! test -e {go}; do sleep 0.02; done; ping -c 3 -i 0.05 -W 1 $NETEM_SERVER"
    command = [*NETEM, "run", "--seed", "7", "--control", "127.0.0.1:0", "--", "sh", "-c", script]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr.readline() == "netem run, seed 7\n"
        url = re.match(r"netem control (http://\S+)/\n", process.stderr.readline())[1]
        ask(url, "/links/up", {"loss": "100%"})
        go.touch()
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1, err
        assert "3 packets transmitted, 0 received" in out
        assert re.search(r"dropped: loss +[1-9]", err)
    finally:
        process.kill()
        process.communicate()
