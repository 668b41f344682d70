"""Multicast groups of IPv4 and IPv6, any source or one, through plain peers."""

from __future__ import annotations

import socket
import struct
import threading
import time

import pytest

from udpcore.apps import join_group, leave_group, multicast_receiver, multicast_sender
from udpcore.apps._app import open_udp
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


@pytest.mark.parametrize(("group", "source"), [("ff02::1234", False), ("ff3e::1234", True)])
def test_ipv6_groups_of_any_source_or_one(group, source, lan):
    chosen = lan.address("a", 6) if source else None
    with (
        lan.inside("b", lambda: open_receiver(group, 5007, "eth0", chosen)) as receiver,
        lan.inside("a", lambda: open_sender(group, interface="eth0")) as sender,
        lan.inside("b", lambda: open_sender(group, interface="eth0")) as other,
    ):
        receiver.settimeout(20)
        if source:
            send_to_group(other, b"of another source", (group, 5007))
        send_to_group(sender, b"six", (group, 5007))
        data, address = receiver.recvfrom(100)
    assert data == b"six"
    assert address[0] == lan.address("a", 6)


def test_groups_are_joined_and_left(lan):
    def story() -> list[bytes]:
        heard = []
        with open_udp("", 5007) as sock, open_sender("224.1.1.1", interface="eth0") as sender:
            sock.settimeout(20)
            for act in (join_group, leave_group, join_group):
                act(sock, "224.1.1.1", "eth0")
                sender.sendto(act.__name__.encode(), ("224.1.1.1", 5007))
                sender.sendto(b"direct", ("127.0.0.1", 5007))
                while (data := sock.recv(100)) != b"direct":
                    heard.append(data)
            with pytest.raises(OSError, match="no interface has the name"):
                join_group(sock, "224.1.1.1", "nowhere0")
            with pytest.raises(OSError, match="assign requested address"):
                leave_group(sock, "224.9.9.9", "eth0")
        return heard

    assert lan.inside("a", story) == [b"join_group", b"join_group"]


def test_through_the_bad_network_what_is_lost_is_lost_and_the_rest_is_heard(bad_lan, wait_until):
    """What the user sees: about nine of ten messages, some twice, some out of order."""
    heard = []
    listening = bad_lan.begin(
        "b",
        lambda: multicast_receiver(
            "224.1.1.1", 5007, timeout=4, on_message=lambda data, _: heard.append(int(data))
        ),
    )

    # Whatever the machine is busy with: the group is joined when something of it was heard.
    def send() -> None:
        with open_sender("224.1.1.1", interface="eth0") as sender:
            while not heard and not listening.done():
                send_to_group(sender, b"-1", ("224.1.1.1", 5007))
                time.sleep(0.02)
        multicast_sender("224.1.1.1", 5007, map(str, range(300)), interval=0.002)

    bad_lan.inside("a", send)
    listening.result(30)
    numbers = [number for number in heard if number >= 0]
    # 300 at 10 % loss: four deviations are 21.
    assert 249 <= len(set(numbers)) <= 291
    assert len(numbers) > len(set(numbers))
    assert numbers != sorted(numbers)


def test_reach_and_loop_are_the_kernels_options():
    with open_sender("224.1.1.1") as near, open_sender("224.1.1.1", ttl=32, loop=False) as far:
        options = [
            [sock.getsockopt(socket.IPPROTO_IP, option) for sock in (near, far)]
            for option in (socket.IP_MULTICAST_TTL, socket.IP_MULTICAST_LOOP)
        ]
    assert options == [[2, 32], [1, 0]]
    with pytest.raises(OSError, match="Invalid argument"):
        open_sender("224.1.1.1", ttl=999)
