"""Datagrams: sending, receiving, addresses, sizes, multicast."""

from __future__ import annotations

import errno
import select
import struct
from typing import Any

import pytest


def test_a_datagram_and_its_sender(udp: tuple[Any, Any]) -> None:
    a, b = udp
    assert a.sendto(b"hello", b.getsockname()) == 5
    assert b.recvfrom(100) == (b"hello", a.getsockname())
    assert b.sendto(bytearray(b"back"), 0, a.getsockname()) == 4
    assert a.recv(100) == b"back"


def test_the_sender_is_told_right_when_senders_take_turns(sock: Any, udp: Any, make: Any) -> None:
    a, b = udp
    c = make(sock.AF_INET, sock.SOCK_DGRAM, bind=("127.0.0.1", 0))
    for sender in (a, c, c, a, c, a, a):
        sender.sendto(b"x", b.getsockname())
        assert b.recvfrom(10) == (b"x", sender.getsockname())


def test_the_destination_may_change_under_the_same_name(sock: Any, udp: Any, make: Any) -> None:
    a, b = udp
    c = make(sock.AF_INET, sock.SOCK_DGRAM, bind=("127.0.0.1", 0))
    for receiver in (b, c, b):
        destination = receiver.getsockname()
        for _ in range(3):
            a.sendto(b"to you", destination)
            assert receiver.recv(10) == b"to you"


def test_a_host_object_that_changes_is_read_again(udp: tuple[Any, Any]) -> None:
    a, b = udp
    host = bytearray(b"127.0.0.1")
    destination = (host, b.getsockname()[1])
    a.sendto(b"1", destination)
    host[:] = b"256.0.0.1"
    with pytest.raises(OSError):  # noqa: PT011 - the resolver's number differs between systems
        a.sendto(b"2", destination)
    assert b.recv(10) == b"1"


@pytest.mark.parametrize("host", ["localhost", b"127.0.0.1", bytearray(b"localhost"), "127.1"])
def test_hosts_in_any_form(udp: tuple[Any, Any], host: Any) -> None:
    a, b = udp
    a.sendto(b"x", (host, b.getsockname()[1]))
    assert b.recv(10) == b"x"


def test_ipv6(sock: Any, make: Any) -> None:
    a = make(sock.AF_INET6, sock.SOCK_DGRAM, bind=("::1", 0))
    b = make(sock.AF_INET6, sock.SOCK_DGRAM, bind=("::1", 0))
    assert a.getsockname()[0] == "::1"
    assert a.getsockname()[2:] == (0, 0)
    for form in (b.getsockname(), b.getsockname()[:2], ("::1", b.getsockname()[1], 0)):
        a.sendto(b"six", form)
        assert b.recvfrom(10) == (b"six", a.getsockname())


def test_empty_datagrams_arrive(udp: tuple[Any, Any]) -> None:
    a, b = udp
    assert a.sendto(b"", b.getsockname()) == 0
    assert b.recvfrom(10) == (b"", a.getsockname())


def test_what_does_not_fit_is_cut_off(udp: tuple[Any, Any]) -> None:
    a, b = udp
    a.sendto(b"0123456789", b.getsockname())
    assert b.recv(4) == b"0123"
    a.sendto(b"next", b.getsockname())
    assert b.recv(0) == b""


@pytest.mark.parametrize("size", [1, 512, 513, 1472, 9000, 65507])
def test_sizes(udp: tuple[Any, Any], size: int) -> None:
    a, b = udp
    data = bytes(i % 251 for i in range(size))
    assert a.sendto(data, b.getsockname()) == size
    assert b.recv(70000) == data


def test_a_datagram_that_is_too_long(udp: tuple[Any, Any]) -> None:
    a, b = udp
    with pytest.raises(OSError, match=r"\[Errno 90\] Message too long") as caught:
        a.sendto(bytes(65508), b.getsockname())
    assert caught.value.errno == errno.EMSGSIZE
    assert type(caught.value) is OSError


def test_connected(udp: tuple[Any, Any]) -> None:
    a, b = udp
    a.connect(b.getsockname())
    b.connect(a.getsockname())
    assert a.getpeername() == b.getsockname()
    assert a.send(b"x") == 1
    b.sendall(b"y")
    assert (b.recv(10), a.recv(10)) == (b"x", b"y")


def test_nobody_listens(sock: Any, udp: tuple[Any, Any]) -> None:
    a, b = udp
    a.connect(b.getsockname())
    b.close()
    a.send(b"x")
    with pytest.raises(ConnectionRefusedError) as caught:
        a.recv(10)
    assert caught.value.errno == errno.ECONNREFUSED


def test_into_buffers(udp: tuple[Any, Any]) -> None:
    a, b = udp
    room = bytearray(b"........")
    a.sendto(b"abc", b.getsockname())
    assert b.recvfrom_into(room) == (3, a.getsockname())
    assert room == b"abc....."
    a.sendto(b"defgh", b.getsockname())
    assert b.recv_into(memoryview(room)[4:], 2) == 2
    assert room == b"abc.de.."
    a.sendto(b"k", b.getsockname())
    assert b.recv_into(buffer=room, nbytes=1, flags=0) == 1


def test_scattered_and_gathered(udp: tuple[Any, Any]) -> None:
    a, b = udp
    assert a.sendmsg([b"ab", bytearray(b"cd"), memoryview(b"e")], [], 0, b.getsockname()) == 5
    assert b.recvmsg(10) == (b"abcde", [], 0, a.getsockname())
    first, second = bytearray(3), bytearray(10)
    a.sendmsg([b"123456"], [], 0, b.getsockname())
    assert b.recvmsg_into([first, second]) == (6, [], 0, a.getsockname())
    assert (first, second[:3]) == (b"123", b"456")


def test_truncation_is_told(sock: Any, udp: tuple[Any, Any]) -> None:
    a, b = udp
    a.sendto(b"0123456789", b.getsockname())
    data, _, flags, _ = b.recvmsg(4)
    assert (data, flags & sock.MSG_TRUNC) == (b"0123", sock.MSG_TRUNC)


def test_control_messages_carry_the_type_of_service(sock: Any, udp: tuple[Any, Any]) -> None:
    a, b = udp
    b.setsockopt(sock.IPPROTO_IP, sock.IP_RECVTOS, 1)
    tos = struct.pack("i", 0x28)
    a.sendmsg([b"x"], [(sock.IPPROTO_IP, sock.IP_TOS, tos)], 0, b.getsockname())
    _, ancillary, _, _ = b.recvmsg(10, sock.CMSG_SPACE(1))
    assert ancillary == [(sock.IPPROTO_IP, sock.IP_TOS, b"\x28")]


def test_multicast(sock: Any, make: Any) -> None:
    group, local = "224.1.1.1", sock.inet_aton("127.0.0.1")
    receiver = make(sock.AF_INET, sock.SOCK_DGRAM)
    receiver.setsockopt(sock.SOL_SOCKET, sock.SO_REUSEADDR, 1)
    receiver.bind(("", 0))
    membership = struct.pack("4s4s", sock.inet_aton(group), local)
    receiver.setsockopt(sock.IPPROTO_IP, sock.IP_ADD_MEMBERSHIP, membership)
    sender = make(sock.AF_INET, sock.SOCK_DGRAM)
    sender.setsockopt(sock.IPPROTO_IP, sock.IP_MULTICAST_TTL, 1)
    sender.setsockopt(sock.IPPROTO_IP, sock.IP_MULTICAST_LOOP, 1)
    sender.setsockopt(sock.IPPROTO_IP, sock.IP_MULTICAST_IF, local)
    sender.sendto(b"to the group", (group, receiver.getsockname()[1]))
    assert receiver.recv(100) == b"to the group"


def test_a_membership_padded_by_native_alignment(sock: Any, make: Any) -> None:
    # Tutorials write "4sl", which is 16 bytes on 64-bit systems; the kernel reads the first 8.
    receiver = make(sock.AF_INET, sock.SOCK_DGRAM, bind=("", 0))
    loopback = struct.unpack("<I", sock.inet_aton("127.0.0.1"))[0]
    membership = struct.pack("4sl", sock.inet_aton("224.1.1.1"), sock.INADDR_ANY)
    assert len(membership) == 16
    # The kernel takes the padding as the interface address, 0.0.0.0, in any case.
    as_kernel_reads = membership[:4] + membership[4:8]
    assert struct.unpack("<4sI", as_kernel_reads) == (sock.inet_aton("224.1.1.1"), 0)
    index = sock.if_nametoindex("lo")
    explicit = struct.pack("<4sIi", sock.inet_aton("224.1.1.2"), loopback, index)
    receiver.setsockopt(sock.IPPROTO_IP, sock.IP_ADD_MEMBERSHIP, explicit + bytes(4))
    receiver.setsockopt(sock.IPPROTO_IP, sock.IP_DROP_MEMBERSHIP, explicit + bytes(4))


def test_broadcast_needs_permission(sock: Any, make: Any) -> None:
    one = make(sock.AF_INET, sock.SOCK_DGRAM, bind=("127.0.0.1", 0))
    with pytest.raises(PermissionError):
        one.sendto(b"x", ("<broadcast>", 9))
    one.setsockopt(sock.SOL_SOCKET, sock.SO_BROADCAST, 1)
    assert one.getsockopt(sock.SOL_SOCKET, sock.SO_BROADCAST) == 1


def test_peeking_leaves_the_datagram(sock: Any, udp: tuple[Any, Any]) -> None:
    a, b = udp
    a.sendto(b"once", b.getsockname())
    assert b.recv(10, sock.MSG_PEEK) == b"once"
    assert b.recvfrom(10) == (b"once", a.getsockname())


def test_select_and_poll(udp: tuple[Any, Any]) -> None:
    a, b = udp
    assert select.select([b], [a], [], 0) == ([], [a], [])
    a.sendto(b"x", b.getsockname())
    assert select.select([b], [], [], 5) == ([b], [], [])
    poller = select.poll()
    poller.register(b, select.POLLIN)
    assert poller.poll(1000) == [(b.fileno(), select.POLLIN)]
