"""Sequence numbers: what is lost, late, or comes twice; plain peers in both roles."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from tutorial_reliable import SequenceReceiver, SequenceSender

from udpcore import _core
from udpcore.reliable import ReliableUDPReceiver, ReliableUDPSender, SequenceStats


@pytest.fixture
def receiver():
    with ReliableUDPReceiver(0) as receiver:
        yield receiver


def port_of(receiver) -> int:
    return receiver.sock.getsockname()[1]


def say(sock: socket.socket, receiver, seq: int, text: str) -> None:
    sock.sendto(struct.pack("!I", seq) + text.encode(), ("127.0.0.1", port_of(receiver)))


def test_our_sender_and_our_receiver(receiver):
    with ReliableUDPSender(("127.0.0.1", port_of(receiver))) as sender:
        assert sender.sequence == 0
        texts = ["bonjour", "", "é" * 300, "x" * 65_503]
        assert [sender.send_message(text) for text in texts] == [0, 1, 2, 3]
        assert sender.sequence == 4
        assert [receiver.receive_message(timeout=10) for _ in texts] == texts
        assert receiver.last_address[1] == sender.sock.getsockname()[1]
    assert receiver.expected_seq == 4
    assert receiver.stats() == SequenceStats(4, 0, 0, 0, 0)


def test_a_plain_sender_and_our_receiver(receiver):
    plain = SequenceSender(("127.0.0.1", port_of(receiver)))
    for n in range(20):
        plain.send_message(f"message numéro {n}")
    assert [receiver.receive_message() for _ in range(20)] == [
        f"message numéro {n}" for n in range(20)
    ]
    assert (receiver.expected_seq, receiver.lost) == (20, 0)
    plain.sock.close()


def test_our_sender_and_a_plain_receiver():
    plain = SequenceReceiver(0)
    with ReliableUDPSender(plain.sock.getsockname()) as sender:
        for n in range(20):
            sender.send_message(f"message numéro {n}")
    assert [plain.receive_message() for _ in range(20)] == [
        f"message numéro {n}" for n in range(20)
    ]
    assert (plain.expected_seq, plain.lost) == (20, 0)
    plain.sock.close()


def test_lost_late_and_duplicate_are_told_apart(receiver, raw):
    for seq in [0, 1, 4, 3, 3, 1, 5]:
        say(raw, receiver, seq, f"m{seq}")
    assert [receiver.receive_message(timeout=10) for _ in range(5)] == [
        "m0",
        "m1",
        "m4",
        "m3",
        "m5",
    ]
    assert (receiver.lost, receiver.late, receiver.duplicates) == (1, 1, 2)
    assert receiver.expected_seq == 6
    assert receiver.peers == {raw.getsockname(): SequenceStats(5, 1, 1, 2, 0)}


def test_duplicates_are_returned_on_request(raw):
    with ReliableUDPReceiver(0, deliver_duplicates=True) as receiver:
        for _ in range(2):
            say(raw, receiver, 0, "again")
        assert [receiver.receive_message(timeout=10) for _ in range(2)] == ["again", "again"]
        assert receiver.duplicates == 1


def test_numbers_wrap_around(receiver):
    with ReliableUDPSender(("127.0.0.1", port_of(receiver))) as sender:
        sender.sequence = 2**32 - 2
        assert [sender.send_message(str(n)) for n in range(4)] == [2**32 - 2, 2**32 - 1, 0, 1]
        for n in range(4):
            assert receiver.receive_message(timeout=10) == str(n)
    assert (receiver.lost, receiver.expected_seq) == (0, 2)


def test_malformed_datagrams_are_counted_and_passed_over(receiver, raw):
    for datagram in [b"", b"abc", b"\0\0\0\0\xff\xfe"]:
        raw.sendto(datagram, ("127.0.0.1", port_of(receiver)))
    say(raw, receiver, 0, "fine")
    assert receiver.receive_message(timeout=10) == "fine"
    assert receiver.malformed == 3


def test_a_timeout_is_a_timeout_error_and_leaves_the_socket_as_it_was(receiver):
    receiver.sock.settimeout(7)
    with pytest.raises(TimeoutError):
        receiver.receive_message(timeout=0.01)
    with pytest.raises(TimeoutError):
        receiver.receive_message(timeout=0)
    assert receiver.sock.gettimeout() == 7
    with pytest.raises(ValueError, match="-1"):
        receiver.receive_message(timeout=-1)


def test_bad_arguments():
    with pytest.raises(OverflowError, match="0-65535"):
        ReliableUDPSender(("127.0.0.1", 70_000))
    with pytest.raises(OverflowError, match="0-65535"):
        ReliableUDPReceiver(70_000)
    with pytest.raises(socket.gaierror):
        ReliableUDPSender(("no-such-host.invalid", 9))
    with ReliableUDPSender(("127.0.0.1", 9)) as sender:
        with pytest.raises(TypeError, match="str, not bytes"):
            sender.send_message(b"bytes")
        with pytest.raises(OSError, match="too long") as caught:
            sender.send_message("x" * 65_504)
        assert caught.value.errno == errno.EMSGSIZE
        assert sender.sequence == 0


def test_verbose_prints_and_quiet_logs(raw, capsys, caplog):
    with ReliableUDPReceiver(0, verbose=True) as receiver:
        say(raw, receiver, 2, "x")
        receiver.receive_message(timeout=10)
    assert "2 missing before it" in capsys.readouterr().out
    with ReliableUDPReceiver(0) as receiver:
        say(raw, receiver, 1, "x")
        receiver.receive_message(timeout=10)
    assert capsys.readouterr().out == ""
    assert "1 missing before it" in caplog.text


def test_composed_bytes():
    assert _core.compose_sequence(258, "é") == b"\0\0\x01\x02\xc3\xa9"
