"""``netem stream`` with real programs: curl, iperf3 beside the UDP relay, and an echo."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from nsd import start_nsd, zone_of_hosts

from udpcore import netem

NETEM = [sys.executable, "-m", "udpcore", "netem"]
STARTS_MAX = 5
PATIENCE_S = 50
BODY = bytes(range(256)) * 4096


@pytest.fixture
def start():
    """Start a driver; return the process and the port it listens on. It is ended in any case."""
    processes = []

    def start_driver(verb, upstream, *options, listen=0):
        command = [*NETEM, verb, "--listen", f"127.0.0.1:{listen}"]
        command += ["--upstream", f"127.0.0.1:{upstream}", "--json", "--seed", "7", *options]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
        line = process.stderr.readline()
        found = re.match(rf"netem {verb} \S+:(\d+) -> ", line)
        assert found, line
        return process, int(found[1])

    yield start_driver
    for process in processes:
        process.kill()
        process.communicate()


def finish(process):
    """End a driver and return its summary, which must balance."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    summary = json.loads(out)
    for way in ("up", "down"):
        side = summary[way]
        went = side["delivered"] + sum(side["dropped"].values()) + side["queued"]
        assert side["received"] + side["duplicated"] == went
    return summary


@pytest.fixture
def web():
    """The port of a web server with one file."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(BODY)

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.01))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(PATIENCE_S)


@pytest.fixture
def iperf():
    """The port of an iperf3 server, for one test."""
    for _ in range(STARTS_MAX):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = ["iperf3", "-s", "-B", "127.0.0.1", "-p", str(port), "--forceflush"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            said = next((line for line in process.stdout if "listening" in line), "")
            if said:
                yield port
                process.kill()
                return
    # Somebody else took the port each time, between our look and its start.
    pytest.fail(f"iperf3 did not start {STARTS_MAX} times")


def curl(port, *options):
    words = ["curl", "-sS", "--max-time", str(PATIENCE_S), *options, f"http://127.0.0.1:{port}/"]
    return subprocess.run(words, capture_output=True, timeout=PATIENCE_S + 5, check=False)


def test_curl_gets_the_same_bytes_late_and_slowly(start, web):
    process, port = start("stream", web, "--latency", "20ms", "--jitter", "5ms",
                          "--down-bandwidth", "40mbit", "--slicer", "700B")  # fmt: skip
    begin = time.monotonic()
    done = curl(port)
    took = time.monotonic() - begin
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(BODY).digest()
    # One MiB at 40 Mbit/s takes 210 ms, and there are 15 ms or more each way.
    assert took > 0.24
    summary = finish(process)
    assert summary["connections"] == 1
    assert summary["down"]["delivered_bytes"] > len(BODY)


@pytest.mark.parametrize(
    ("options", "codes", "counted"),
    [
        # curl's words: 18 partial file, 52 nothing came, 56 failure when receiving (reset).
        (["--down-limit", "100kB"], {18, 56}, "ended"),
        (["--down-timeout", "100ms"], {52, 56}, "ended"),
        (["--reset", "0s"], {7, 52, 55, 56}, "resets"),
    ],
)
def test_curl_sees_a_connection_that_ends_too_early(start, web, options, codes, counted):
    process, port = start("stream", web, *options)
    assert curl(port, "-o", "/dev/null").returncode in codes
    assert finish(process)[counted] == 1


def test_iperf3_tcp_keeps_the_rate(start, iperf):
    process, port = start("stream", iperf, "--up-rate", "200mbit")
    words = ["iperf3", "-c", "127.0.0.1", "-p", str(port), "-t", "2", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    report = json.loads(done.stdout)
    assert "error" not in report, report["error"]
    received = report["end"]["sum_received"]
    # Two connections: control and data. Never faster than the rate; a busy machine may be slower.
    assert 100e6 < received["bits_per_second"] < 205e6
    assert finish(process)["connections"] == 2


def test_iperf3_udp_through_stream_and_relay_together(start, iperf):
    """The control connection goes by TCP, the test by UDP: one port, two drivers."""
    process, port = start("stream", iperf, "--latency", "1ms")
    relay, _ = start("relay", iperf, "--up-loss", "10%", "--delay", "1ms", listen=port)
    words = ["iperf3", "-u", "-c", "127.0.0.1", "-p", str(port), "-n", "2M", "-l", "1000", "-b",
             "20M", "--json"]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    report = json.loads(done.stdout)
    assert "error" not in report, report["error"]
    total = report["end"]["sum"]
    stats = finish(relay)
    finish(process)
    assert total["packets"] > 2000
    # iperf3 counts what is missing below the highest number that came.
    assert abs(total["lost_packets"] - stats["up"]["dropped"]["loss"]) <= 5
    assert 7 < total["lost_percent"] < 13


def test_dig_asks_nsd_by_udp_through_the_relay_and_by_tcp_through_the_stream(start):
    """One port, two drivers, as with iperf3; what is lost by UDP is asked again."""
    zone, hosts = zone_of_hosts("example.test", 1)
    with start_nsd(zone) as server:
        port = server.address[1]
        stream, at = start("stream", port, "--latency", "5ms", "--slicer", "3B")
        relay, _ = start("relay", port, "--up-loss", "40%", "--delay", "5ms", listen=at)
        for transport in ("+notcp", "+tcp"):
            words = ["dig", "@127.0.0.1", "-p", str(at), hosts[0], transport, "+tries=40"]
            words += ["+timeout=1", "+short"]
            done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)
            # Above it dig says which attempts were lost.
            assert done.stdout.splitlines()[-1:] == ["192.0.2.1"], done.stdout
        assert finish(relay)["up"]["delivered"] >= 1
        assert finish(stream)["connections"] >= 1


def test_a_session_of_single_keys_keeps_its_order_and_both_ends_close(start):
    """As ssh talks: small writes each way, then one side says goodbye."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def echo():
            conn, _ = server.accept()
            with conn:
                while data := conn.recv(100):
                    conn.sendall(data.upper())
                conn.sendall(b"bye")

        thread = threading.Thread(target=echo)
        thread.start()
        process, at = start("stream", port, "--latency", "3ms", "--jitter", "3ms")
        with socket.create_connection(("127.0.0.1", at), timeout=PATIENCE_S) as conn:
            for key in b"ls -l":
                conn.sendall(bytes([key]))
                assert conn.recv(1) == bytes([key]).upper()
            conn.shutdown(socket.SHUT_WR)
            assert conn.recv(100) == b"bye"
            assert conn.recv(100) == b""
        thread.join(PATIENCE_S)
        summary = finish(process)
    assert (summary["connections"], summary["resets"]) == (1, 0)
    assert summary["down"]["delivered_bytes"] == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "1%"], "--loss: it happens to packets, and TCP repairs it"),
        (["--down-reorder", "1%"], "--down-reorder: it happens to packets, and TCP repairs it"),
        (["--duplicate", "1%"], "`netem bridge` does it to TCP too"),
        (["--latency", "5"], '"5" has no unit: write it like 5ms'),
        (["--jitter", "5ms"], "jitter 5ms is more than the delay"),
        (["--slicer", "0B"], "0B is out of range"),
        (["--bandwith", "1mbit"], "a similar argument exists: '--bandwidth'"),
    ],
)
def test_what_a_stream_cannot_do_is_refused_with_the_reason(options, message):
    command = [*NETEM, "stream", "--listen", "127.0.0.1:0", "--upstream", "127.0.0.1:9", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stream_proxy_in_python_late_changed_and_closed():
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        netem.Proxy(server.getsockname(), protocol="tcp", up={"latency": 0.02}, seed=7) as proxy,
        socket.create_connection(proxy.address, timeout=PATIENCE_S) as client,
    ):
        assert isinstance(proxy, netem.StreamProxy)
        conn, _ = server.accept()
        with conn:
            begin = time.monotonic()
            client.sendall(b"late")
            assert conn.recv(100) == b"late"
            assert time.monotonic() - begin >= 0.02
            assert "'latency': 0.02" in repr(proxy)
            proxy.set(down={"reset_peer": "0s"})
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        proxy.close()
        stats = proxy.stats()
    assert stats.is_balanced
    assert (stats.connections_total, stats.resets, stats.up.delivered_bytes) == (1, 1, 4)
    assert proxy.closed


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"loss": "1%"}, ValueError, "loss: it happens to packets, and TCP repairs it"),
        ({"up": {"reorder": "1%"}}, ValueError, "reorder: it happens to packets"),
        ({"jitter": "5ms"}, ValueError, "jitter 5ms is more than the delay"),
        ({"bandwith": "1mbit"}, TypeError, "unknown option 'bandwith'"),
        ({"slicer": 0}, ValueError, "out of range"),
        ({"seed": -1}, ValueError, "seed: -1 is no seed"),
        ({"protocol": "sctp"}, ValueError, "protocol: 'sctp' is unknown"),
    ],
)
def test_what_a_stream_proxy_cannot_do_raises(options, kind, message):
    with pytest.raises(kind, match=message):
        netem.Proxy(("127.0.0.1", 9), **{"protocol": "tcp", **options})
