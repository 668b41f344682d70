"""What the kernel tells: time, interface, TOS, hops, overflow, errors, path MTU."""

from __future__ import annotations

import errno
import time

import pytest

import udpcore
from udpcore import batch


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_everything_that_was_asked_for_is_told(make, host):
    sender, receiver = make(host), make(host)
    batch.observe(receiver, timestamps=True, packet_info=True, tos=True, ttl=True)
    before = time.time_ns()
    batch.sendmmsg(sender, [(b"hello", receiver.getsockname())], tos=0xB9)
    [got] = batch.receive(receiver)
    # The kernel's clock may be read a little earlier than Python's.
    assert before - 10**9 < got.timestamp_ns < time.time_ns() + 10**9
    assert got.destination == host
    assert got.interface == udpcore.if_nametoindex("lo")
    assert (got.tos, got.dscp, got.ecn, got.ttl) == (0xB9, 46, 1, 64)
    assert (got.data, got.address, got.truncated) == (b"hello", sender.getsockname(), False)
    text = repr(got)
    assert text.startswith("Datagram(b'hello', ('")
    assert "tos=0xb9" in text
    assert "overflow" not in text
    match got:
        case batch.Datagram(data, address):
            assert (data, address) == (b"hello", sender.getsockname())
    with pytest.raises(AttributeError):
        got.data = b"changed"


def test_what_was_not_asked_for_is_none(pair):
    sender, receiver = pair
    batch.sendmmsg(sender, [(b"x", receiver.getsockname())] * 2)
    one, two = batch.receive(receiver)
    assert (one.timestamp_ns, one.interface, one.tos, one.ttl, one.overflow) == (None,) * 5
    assert one == two
    assert hash(one) == hash(two)
    assert one != b"x"
    batch.observe(receiver, tos=True)
    batch.observe(receiver, tos=False)
    batch.sendmmsg(sender, [(b"x", receiver.getsockname())], tos=3)
    assert batch.receive(receiver)[0].tos is None


def test_numbers_out_of_range_are_named(pair):
    sender, receiver = pair
    for name, wrong in (("tos", 256), ("tos", -1), ("interface", -1), ("interface", 2**32)):
        with pytest.raises(ValueError, match=f"{name} must be 0 to .*, not {wrong}"):
            batch.sendmmsg(sender, [(b"x", receiver.getsockname())], **{name: wrong})


def test_ecn_of_each_datagram_of_a_run(pair):
    sender, receiver = pair
    batch.observe(receiver, tos=True)
    batch.set_gro(receiver)
    to = receiver.getsockname()
    for mark in (0, 1, 2, 3):
        batch.sendmmsg(sender, [(bytes(100), to)] * 10, tos=mark)
    got: list[batch.Datagram] = []
    while len(got) < 40:
        got += batch.receive(receiver, 640)
    assert [one.ecn for one in got] == [0] * 10 + [1] * 10 + [2] * 10 + [3] * 10


def test_a_batch_tells_the_same(pair):
    sender, receiver = pair
    batch.observe(receiver, tos=True, packet_info=True)
    room = batch.DatagramBatch(64, 2048)
    batch.sendmmsg(sender, [(b"hello", receiver.getsockname())], tos=2)
    batch.recvmmsg_into(receiver, room)
    got = room.datagram(0)
    assert (got.data, got.ecn, got.destination) == (b"hello", 2, "127.0.0.1")


def test_an_ipv6_socket_tells_of_ipv4_peers_too(sock, make):
    sender = make()
    with sock.socket(sock.AF_INET6, sock.SOCK_DGRAM) as receiver:
        receiver.setsockopt(sock.IPPROTO_IPV6, sock.IPV6_V6ONLY, 0)
        receiver.settimeout(20)
        receiver.bind(("::", 0))
        batch.observe(receiver, tos=True, packet_info=True, ttl=True)
        port = receiver.getsockname()[1]
        batch.sendmmsg(sender, [(b"x", ("127.0.0.1", port))], tos=1)
        [got] = batch.receive(receiver)
        assert (got.ecn, got.destination, got.ttl) == (1, "127.0.0.1", 64)
        batch.observe(sender, tos=True)
        batch.sendmmsg(receiver, [(b"y", got.address)], tos=2, source="127.0.0.1")
        [answer] = batch.receive(sender)
        assert (answer.data, answer.ecn) == (b"y", 2)


def test_the_source_can_be_chosen(make):
    receiver = make()
    sender = make("0.0.0.0")
    port = sender.getsockname()[1]
    lo = udpcore.if_nametoindex("lo")
    for source in ("127.0.0.2", "127.0.0.3"):
        to = [(b"x", receiver.getsockname())]
        assert batch.sendmmsg(sender, to, source=source, interface=lo) == 1
        assert receiver.recvfrom(10) == (b"x", (source, port))


def test_a_full_queue_is_counted(sock, make):
    sender, receiver = make(), make()
    receiver.setsockopt(sock.SOL_SOCKET, sock.SO_RCVBUF, 4096)
    batch.observe(receiver, overflow=True)
    to = receiver.getsockname()
    assert batch.sendmmsg(sender, [(bytes(1000), to)] * 100) == 100
    receiver.setblocking(False)
    before = len(batch.receive(receiver, 100))
    assert before < 100
    batch.sendmmsg(sender, [(b"last", to)])
    [last] = batch.receive(receiver, 100)
    assert last.overflow == 100 - before


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_icmp_errors_come_back_with_their_datagram(make, host):
    nobody = make(host)
    address = nobody.getsockname()
    nobody.close()
    sender = make(host)
    batch.observe(sender, errors=True, timestamps=True)
    assert batch.read_errors(sender) == []
    batch.sendmmsg(sender, [(b"anybody?", address)])
    [error] = batch.read_errors(sender)
    assert error.errno == errno.ECONNREFUSED
    expected = ("icmp6", 1, 4) if ":" in host else ("icmp", 3, 3)
    assert (error.origin, error.icmp_type, error.icmp_code) == expected
    assert error.offender[0] == host
    assert error.address == address
    assert error.data == b"anybody?"
    assert error.mtu is None
    assert repr(error).startswith(f"DatagramError(ECONNREFUSED, origin='{expected[0]}'")
    assert batch.read_errors(sender) == []


def test_a_datagram_too_long_for_the_path_says_how_long_it_may_be(pair):
    sender, receiver = pair
    batch.observe(sender, errors=True)
    sender.connect(receiver.getsockname())
    batch.set_dont_fragment(sender)
    mtu = batch.path_mtu(sender)
    # Loopback's path takes as much as a datagram can have, unless it was told otherwise.
    if mtu >= 65_535:
        with pytest.raises(OSError, match="too long"):
            batch.sendmmsg(sender, [bytes(65_508)])
        return
    with pytest.raises(OSError, match="too long"):
        batch.sendmmsg(sender, [bytes(mtu)])
    [error] = batch.read_errors(sender)
    assert (error.errno, error.origin, error.mtu) == (errno.EMSGSIZE, "local", mtu)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_fragmentation_modes(make, host):
    one = make(host)
    for mode in ("dont", "want", "do", "probe"):
        batch.set_dont_fragment(one, mode)
        assert batch.dont_fragment(one) == mode
    batch.set_dont_fragment(one, False)
    assert batch.dont_fragment(one) == "dont"
    with pytest.raises(OSError, match="not connected"):
        batch.path_mtu(one)


NAMES = (
    "UDP_SEGMENT UDP_GRO SO_TIMESTAMPNS SO_RXQ_OVFL IP_MTU_DISCOVER IP_RECVERR IP_MTU "
    "IP_PMTUDISC_PROBE IPV6_RECVERR IPV6_MTU IPV6_MTU_DISCOVER MSG_ERRQUEUE MSG_WAITFORONE"
)


def test_missing_constants_are_there():
    for name in NAMES.split():
        assert isinstance(getattr(udpcore, name), int), name
