"""Multicast groups of IPv4 and IPv6, any source or one, through plain peers."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from udpcore.apps import multicast_receiver, multicast_sender
from udpcore.apps._groups import open_receiver, open_sender, send_to_group

LOOPBACK = "127.0.0.1"


def test_every_receiver_of_the_group_hears_it(free_ports):
    port = free_ports()
    with (
        open_receiver("224.1.1.1", port, LOOPBACK) as one,
        open_receiver("224.1.1.1", port, LOOPBACK) as two,
    ):
        assert multicast_sender("224.1.1.1", port, ["salut"], interface=LOOPBACK) == 1
        assert [sock.recvfrom(100)[0] for sock in (one, two)] == [b"salut", b"salut"]


def test_a_plain_receiver_with_either_form_of_ip_mreq(free_ports):
    port = free_ports()
    group, ours = socket.inet_aton("224.1.1.1"), socket.inet_aton(LOOPBACK)
    # The tutorial's "4sl" is 16 bytes with native padding; "4s4s" is what the kernel documents.
    padded = struct.pack("4sl", group, int.from_bytes(ours, "little"))
    for request in (group + ours, padded):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            plain.bind(("", port))
            plain.settimeout(5)
            if len(request) == 8:
                plain.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            else:
                mreqn = group + ours + struct.pack("@i", 0)
                plain.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, mreqn)
            multicast_sender("224.1.1.1", port, ["x"], interface=LOOPBACK)
            assert plain.recvfrom(10)[0] == b"x"


def test_receiving_for_a_count_and_for_a_time(free_ports):
    port = free_ports()
    heard = []
    receiver = threading.Thread(
        target=lambda: heard.extend(
            multicast_receiver("224.1.1.1", port, 3, timeout=10, interface=LOOPBACK)
        )
    )
    receiver.start()
    while receiver.is_alive():
        multicast_sender("224.1.1.1", port, ["a"], interface=LOOPBACK)
        receiver.join(0.01)
    assert [data for data, _ in heard] == [b"a", b"a", b"a"]
    assert multicast_receiver("224.1.1.1", port, timeout=0.1, interface=LOOPBACK) == []


def test_only_the_chosen_source_is_heard(free_ports):
    port = free_ports()
    with (
        open_receiver("232.1.1.1", port, LOOPBACK, source="127.0.0.2") as receiver,
        open_sender("232.1.1.1", interface=LOOPBACK) as other,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chosen,
    ):
        send_to_group(other, b"not heard", ("232.1.1.1", port))
        chosen.bind(("127.0.0.2", 0))
        chosen.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        chosen.sendto(b"heard", ("232.1.1.1", port))
        assert receiver.recvfrom(100)[0] == b"heard"


def test_ipv6_groups(free_ports):
    port = free_ports()
    with (
        open_receiver("ff01::1234", port, "lo") as receiver,
        open_sender("ff01::1234", interface="lo") as sender,
    ):
        # Nothing routes multicast on loopback: the interface's number stands in the address.
        sender.sendto(b"six", ("ff01::1234", port, 0, socket.if_nametoindex("lo")))
        assert receiver.recvfrom(100)[0] == b"six"


def test_reach_and_loop_are_the_kernels_options():
    with open_sender("224.1.1.1") as near, open_sender("224.1.1.1", ttl=32, loop=False) as far:
        options = [
            [sock.getsockopt(socket.IPPROTO_IP, option) for sock in (near, far)]
            for option in (socket.IP_MULTICAST_TTL, socket.IP_MULTICAST_LOOP)
        ]
    assert options == [[2, 32], [1, 0]]
    with pytest.raises(OSError, match="Invalid argument"):
        open_sender("224.1.1.1", ttl=999)
