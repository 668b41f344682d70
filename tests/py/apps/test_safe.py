"""Sending what fits, and cutting what does not."""

from __future__ import annotations

import os

import pytest

from udpcore.apps import (
    UDPEchoServer,
    path_mtu,
    probe_path_mtu,
    receive_large_udp,
    send_large_udp,
    send_safe_udp,
)
from udpcore.apps._app import open_udp


def test_what_fits_is_sent_and_what_does_not_is_refused(plain):
    with open_udp() as sock:
        assert send_safe_udp(sock, b"x" * 1400, plain.getsockname()) == 1400
        with pytest.raises(ValueError, match="1401 bytes do not fit a datagram of 1400"):
            send_safe_udp(sock, b"x" * 1401, plain.getsockname())
    assert len(plain.recvfrom(2048)[0]) == 1400


def test_the_path_mtu_of_loopback():
    assert 1280 <= path_mtu(("127.0.0.1", 9)) <= 65507
    assert 1280 <= path_mtu(("::1", 9)) <= 65507


@pytest.fixture
def raw_echo():
    with UDPEchoServer("127.0.0.1", 0, 65535, raw=True) as server:
        server.start()
        yield ("127.0.0.1", server.port)


def test_probes_find_what_a_silent_path_carries(lan):
    """What is larger is dropped and nobody is told; the kernel knows only the first link."""

    def echo_what_fits() -> None:
        with open_udp("", 5007) as sock:
            sock.settimeout(20)
            while (message := sock.recvfrom(65535))[0] != b"stop":
                if len(message[0]) <= 1300:
                    sock.sendto(*message)

    echo, server = lan.begin("b", echo_what_fits), (lan.address("b"), 5007)
    assert lan.inside("a", lambda: path_mtu(server)) == 1472
    try:
        assert lan.inside("a", lambda: probe_path_mtu(server, timeout=0.3)) == 1300
    finally:
        with lan.inside("a", open_udp) as sock:
            sock.sendto(b"stop", server)
        echo.result(20)


def test_nothing_is_probed_twice_where_everything_passes(raw_echo):
    assert probe_path_mtu(raw_echo) == path_mtu(raw_echo)


def test_nobody_echoes(plain):
    with pytest.raises(TimeoutError, match="echoed no datagram of 1232 bytes"):
        probe_path_mtu(plain.getsockname(), timeout=0.02)


def test_the_size_follows_the_path(lan):
    lan.set_mtu("a", 1300)
    lan.set_mtu("b", 1300)
    destination = (lan.address("b"), 9)

    def story() -> None:
        with open_udp() as sock:
            assert path_mtu(destination) == 1272
            assert path_mtu((lan.address("b", 6), 9)) == 1252
            assert send_safe_udp(sock, bytes(1272), destination, None) == 1272
            with pytest.raises(ValueError, match="1273 bytes do not fit a datagram of 1272"):
                send_safe_udp(sock, bytes(1273), destination, None)

    lan.inside("a", story)


def test_a_large_message_arrives_whole_or_not_at_all(bad_link):
    data = os.urandom(20_000)
    with open_udp("127.0.0.1") as receiver, open_udp() as sender:
        assert send_large_udp(sender, data, receiver.getsockname()) == 15
        assert receive_large_udp(receiver)[0] == data
        with bad_link(receiver.getsockname(), loss="0%") as proxy:
            send_large_udp(sender, data, proxy.address)
            assert receive_large_udp(receiver)[0] == data
        with bad_link(receiver.getsockname(), loss="60%") as proxy:
            send_large_udp(sender, data, proxy.address)
            with pytest.raises(TimeoutError, match="no complete message"):
                receive_large_udp(receiver, 0.3)
