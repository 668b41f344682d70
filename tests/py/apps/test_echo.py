"""Echo: the tutorial's peers, undecodable bytes, the bad link, a clean stop."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from udpcore import netem
from udpcore.apps import (
    TCPEchoClient,
    TCPEchoServer,
    UDPEchoClient,
    UDPEchoServer,
    rtt_client,
    udp_client,
)


@pytest.fixture
def server():
    with UDPEchoServer("127.0.0.1", 0) as server:
        server.start()
        yield server


def test_a_plain_client_gets_the_tutorials_answer(server, plain):
    plain.sendto("salut é".encode(), ("127.0.0.1", server.port))
    assert plain.recvfrom(4096)[0] == "ECHO: salut é".encode()
    assert server.stats == {"received": 1, "sent": 1, "errors": 0}


def test_bytes_that_are_no_text_are_an_error_and_the_server_goes_on(server, plain):
    for data in (b"\xff\xfe", b"hello"):
        plain.sendto(data, ("127.0.0.1", server.port))
    assert plain.recvfrom(4096)[0] == b"ECHO: hello"
    assert server.stats == {"received": 2, "sent": 1, "errors": 1}


def test_a_peer_that_went_away_does_not_stop_the_server(server, plain):
    for _ in range(3):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.sendto(b"bye", ("127.0.0.1", server.port))
    plain.sendto(b"", ("127.0.0.1", server.port))
    assert plain.recvfrom(4096)[0] == b"ECHO: "


def test_an_answer_that_cannot_be_sent_is_an_error_and_the_server_goes_on(server, plain):
    """Port 0 is nobody's; the other address is unreachable from the one the server is bound to."""
    for unreachable in (("127.0.0.1", 0), ("255.255.255.255", 9), ("192.0.2.1", 9)):
        server.handle_datagram(b"hello", unreachable)
    assert server.stats["errors"] >= 2
    plain.sendto(b"still there?", ("127.0.0.1", server.port))
    assert plain.recvfrom(4096)[0] == b"ECHO: still there?"


def test_raw_echoes_bytes_untouched(plain):
    with UDPEchoServer("127.0.0.1", 0, raw=True) as server:
        server.start()
        plain.sendto(bytes(range(256)), ("127.0.0.1", server.port))
        assert plain.recvfrom(4096)[0] == bytes(range(256))


def test_run_serves_until_shutdown(plain, wait_until):
    server = UDPEchoServer("127.0.0.1", 0)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.running)
    plain.sendto(b"x", ("127.0.0.1", server.port))
    assert plain.recvfrom(16)[0] == b"ECHO: x"
    server.shutdown()
    thread.join(5)
    assert not thread.is_alive()


def test_handle_datagram_can_be_called_by_hand(server, plain):
    server.handle_datagram(b"direct", plain.getsockname())
    assert plain.recvfrom(16)[0] == b"ECHO: direct"


def test_a_server_may_start_again(plain):
    server = UDPEchoServer("127.0.0.1", 0)
    for _ in range(2):
        server.start()
        plain.sendto(b"x", ("127.0.0.1", server.port))
        assert plain.recvfrom(16)[0] == b"ECHO: x"
        server.shutdown()
    assert server.stats["sent"] == 2


def test_a_taken_port_is_said(server):
    with pytest.raises(OSError, match="in use"):
        UDPEchoServer("127.0.0.1", server.port).start()


def test_the_client_of_a_plain_server(plain):
    def answer() -> None:
        data, address = plain.recvfrom(4096)
        plain.sendto(b"late answer to something else", address)
        plain.sendto(b"Echo: " + data, address)

    threading.Thread(target=answer).start()
    with UDPEchoClient("127.0.0.1", plain.getsockname()[1]) as client:
        client._earlier.append("something else")
        assert client.send_message("hello") == "Echo: hello"


def test_no_answer_is_none(plain):
    with UDPEchoClient("127.0.0.1", plain.getsockname()[1], timeout=0.05) as client:
        assert client.send_message("hello") is None
    assert udp_client("127.0.0.1", plain.getsockname()[1], []) == []


def test_with_retries_every_message_is_answered_through_the_bad_link(server, bad_link):
    with (
        bad_link(("127.0.0.1", server.port)) as proxy,
        UDPEchoClient(*proxy.address, timeout=0.2, retries=10) as client,
    ):
        texts = [f"message {number}" for number in range(100)]
        assert [client.send_message(text) for text in texts] == [f"ECHO: {t}" for t in texts]


def test_round_trips_count_loss_and_match_numbers_through_the_bad_link(server, bad_link):
    with bad_link(("127.0.0.1", server.port)) as proxy:
        report = rtt_client(proxy.address, count=150, timeout=0.08)
        stats = proxy.stats()
    # 10 % lost each way is 19 % of the round trips; 150 of them lie within 3 deviations (9.7 %).
    assert 0.09 < report.loss < 0.29, stats
    assert report.sent == 150
    assert 14 <= report.min_ms <= report.avg_ms <= report.max_ms
    assert report["avg_ms"] == report.avg_ms


def test_tcp_echo_through_a_bad_stream_is_slow_and_whole():
    """What the user sees: the same bytes, later, however small the pieces they come in."""
    with TCPEchoServer("127.0.0.1", 0) as server:
        server.start()
        words = ["--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{server.port}"]
        words += ["--delay", "10ms", "--jitter", "5ms", "--seed", "7"]
        with subprocess.Popen(
            [sys.executable, "-m", "udpcore", "netem", "stream", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as stream:
            assert stream.stderr
            address = re.findall(r"stream (\S+):(\d+) ->", stream.stderr.readline())[0]
            began = time.monotonic()
            with TCPEchoClient(address[0], int(address[1])) as client:
                assert client.send_message("é" * 20_000) == "é" * 20_000
            assert time.monotonic() - began > 0.02
            stream.send_signal(signal.SIGINT)


def test_tcp_echo_in_slices_is_whole_and_slow():
    """What the user sees: every byte in order, however many small pieces they come in."""
    with TCPEchoServer("127.0.0.1", 0) as server:
        server.start()
        with (
            netem.StreamProxy(("127.0.0.1", server.port), slicer="3B 1ms", seed=7) as proxy,
            TCPEchoClient(*proxy.address, timeout=20) as client,
        ):
            began = time.monotonic()
            # Pieces of three bytes cut letters of two bytes in half.
            assert [client.send_message(text) for text in ("é" * 60, "salut")] == [
                "é" * 60,
                "salut",
            ]
            # Forty pieces, a millisecond between them; the first are on their way back by then.
            assert time.monotonic() - began >= 0.04
            stats = proxy.stats()
        assert stats.up.delivered_bytes == stats.down.delivered_bytes == 125


def test_a_tcp_echo_whose_connection_is_reset_says_so_and_the_server_goes_on(wait_until):
    """What the user sees: ConnectionResetError, or a line and exit code 1; nothing is made up."""
    with TCPEchoServer("127.0.0.1", 0) as server:
        server.start()
        with netem.StreamProxy(("127.0.0.1", server.port), reset="300ms", seed=7) as proxy:
            with TCPEchoClient(*proxy.address, timeout=20) as client:
                assert client.send_message("salut") == "salut"
                wait_until(lambda: proxy.stats().resets == 1)
                with pytest.raises(ConnectionError):
                    client.send_message("salut")
            words = ["echo", "--tcp", "--to", "{}:{}".format(*proxy.address)]
            with subprocess.Popen(
                [sys.executable, "-m", "udpcore", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as program:
                assert program.stdin
                wait_until(lambda: proxy.stats().resets == 2)
                out, err = program.communicate("salut\n", timeout=20)
            assert program.returncode == 1
            assert out == ""
            assert re.search(r"udpcore echo: .*(reset|closed|[Bb]roken pipe)", err), err
            assert "sent 1, answered 0" in err
            assert "Traceback" not in err
        with TCPEchoClient("127.0.0.1", server.port) as client:
            assert client.send_message("encore") == "encore"


def test_a_plain_tcp_client():
    with TCPEchoServer("127.0.0.1", 0) as server:
        server.start()
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
            plain.sendall(b"\x00\xff any bytes")
            assert plain.recv(100) == b"\x00\xff any bytes"


def test_tcp_echo(wait_until):
    with TCPEchoServer("127.0.0.1", 0) as server:
        server.start()
        with TCPEchoClient("127.0.0.1", server.port) as one:
            with TCPEchoClient("127.0.0.1", server.port) as other:
                assert other.send_message("autre") == "autre"
            assert one.send_message("é" * 100_000) == "é" * 100_000
        wait_until(lambda: server.stats["received"] == 200_005)
    assert server.stats["connections"] == 2
