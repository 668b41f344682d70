"""Sending what fits, and cutting what does not."""

from __future__ import annotations

import os

import pytest

from udpcore.apps import path_mtu, receive_large_udp, send_large_udp, send_safe_udp
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
