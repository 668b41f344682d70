"""``UDPWithACK``: its interface, its errors, and what the network may do to it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import threading
import time

import pytest
from reliable_support import at, until

from udpcore.reliable import FailedMessage, UDPWithACK


def ack(seq: int) -> bytes:
    return struct.pack("!BI", 2, seq)


def data(seq: int, payload: bytes) -> bytes:
    return struct.pack("!BI", 1, seq) + payload


def test_messages_go_both_ways(pair):
    a, b = pair
    seq = a.send_reliable(b"ping", at(b))
    assert b.receive() == (b"ping", at(a))
    assert a.wait(seq, timeout=10) is True
    back = b.send_reliable(b"pong", at(a))
    assert (seq, back) == (0, 0)
    assert a.receive(timeout=None) == (b"pong", at(b))
    assert b.wait(back) is True
    assert not a.pending_acks
    assert not a.failed


@pytest.mark.parametrize("payload", [b"", b"\0" * 5, bytes(65_502)], ids=len)
def test_any_bytes_up_to_a_datagram(pair, payload):
    a, b = pair
    for form in (bytes, bytearray, memoryview):
        a.send_reliable(form(payload), at(b), max_retries=20)
        assert b.receive(timeout=10)[0] == payload


def test_a_strided_view_is_sent_as_its_bytes(pair):
    a, b = pair
    a.send_reliable(memoryview(b"abcdef")[::2], at(b))
    assert b.receive(timeout=10)[0] == b"ace"


def test_nothing_there_is_none_none(pair):
    a, _ = pair
    start = time.monotonic()
    assert a.receive(timeout=0) == (None, None)
    assert a.receive(timeout=0.05) == (None, None)
    assert 0.05 <= time.monotonic() - start < 5
    assert a.receive_many(10, timeout=0) == []


def test_acks_need_no_call_of_receive(pair):
    a, b = pair
    numbers = [a.send_reliable(b"%d" % n, at(b)) for n in range(100)]
    assert all(a.wait(seq, timeout=10) for seq in numbers)
    assert b.stats().received == 100
    received = [payload for payload, _ in b.receive_many(1000)]
    assert sorted(received) == sorted(b"%d" % n for n in range(100))


def test_a_message_nobody_acknowledges_fails_and_is_reported(pair, raw):
    a, _ = pair
    seq = a.send_reliable(b"hello?", raw.getsockname(), max_retries=2, timeout=0.03)
    assert list(a.pending_acks) == [seq]
    assert a.pending_acks[seq].address == raw.getsockname()
    assert a.wait(seq, timeout=10) is False
    assert a.failed == {seq: FailedMessage(raw.getsockname(), "no ACK", 2)}
    assert [raw.recv(100) for _ in range(3)] == [data(seq, b"hello?")] * 3
    assert (a.stats().failed, a.stats().retransmissions) == (1, 2)
    assert list(a.take_failed()) == [seq]
    assert a.failed == {}
    with pytest.raises(ValueError, match="forgotten"):
        a.wait(seq)


def test_waiting_too_short_is_false_and_still_pending(pair, raw):
    a, _ = pair
    seq = a.send_reliable(b"x", raw.getsockname())
    assert a.wait(seq, timeout=0.02) is False
    assert seq in a.pending_acks
    assert a.flush(timeout=0.02) is False
    raw.sendto(ack(seq), at(a))
    assert a.wait(seq, timeout=10) is True
    assert a.flush() is True


def test_duplicates_are_acknowledged_again_and_delivered_once(pair, raw):
    _, b = pair
    for _ in range(3):
        raw.sendto(data(5, b"once"), at(b))
        assert raw.recv(100) == ack(5)
    assert b.receive() == (b"once", raw.getsockname())
    assert b.receive(timeout=0) == (None, None)
    assert (b.stats().received, b.stats().duplicates) == (1, 2)


def test_a_restarted_peer_is_delivered_and_counted(pair, raw):
    _, b = pair
    for payload in (b"first life", b"second life"):
        raw.sendto(data(0, payload), at(b))
        assert raw.recv(100) == ack(0)
        assert b.receive()[0] == payload
    assert b.stats().restarted == 1


def test_gaps_are_not_waited_for(pair, raw):
    _, b = pair
    for seq in (7, 1_000_000, 3):
        raw.sendto(data(seq, b"%d" % seq), at(b))
        assert b.receive(timeout=10)[0] == b"%d" % seq


def test_numbers_wrap_around(raw):
    with UDPWithACK(0, first_seq=2**32 - 2) as a, UDPWithACK(0) as b:
        numbers = [a.send_reliable(b"%d" % n, at(b), 20) for n in range(5)]
        assert numbers == [2**32 - 2, 2**32 - 1, 0, 1, 2]
        assert all(a.wait(seq, timeout=10) for seq in numbers)
        assert len(b.receive_many(10)) == 5
        assert a.next_seq == 3


def test_garbage_is_counted_by_reason_and_nothing_hangs(pair, raw):
    a, b = pair
    for datagram in (b"", b"abc", b"\x01ab", b"\x02\0\0\0\x01data", ack(77), b"\xff" * 2000):
        raw.sendto(datagram, at(a))
    until(lambda: a.stats().ack_unknown == 1 and a.stats().unknown_type == 2)
    stats = a.stats()
    assert (stats.truncated, stats.unknown_type, stats.ack_with_data) == (2, 2, 1)
    seq = b.send_reliable(b"still alive", at(a))
    assert a.receive(timeout=10)[0] == b"still alive"
    assert b.wait(seq, timeout=10)


def test_a_stranger_cannot_acknowledge(pair, raw):
    a, _ = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        seq = a.send_reliable(b"x", silent.getsockname())
        raw.sendto(ack(seq), at(a))
        until(lambda: a.stats().ack_wrong_peer == 1)
        assert seq in a.pending_acks


def test_a_full_queue_loses_nothing_that_was_acknowledged():
    with UDPWithACK(0) as a, UDPWithACK(0, max_queued=10) as b:
        numbers = [a.send_reliable(b"%d" % n, at(b), 100, timeout=0.02) for n in range(50)]
        until(lambda: b.stats().queue_full > 0)
        received = [b.receive(timeout=10)[0] for _ in numbers]
        assert sorted(received) == sorted(b"%d" % n for n in range(50))
        assert all(a.wait(seq, timeout=10) for seq in numbers)


def test_sending_waits_for_room_in_the_window(raw):
    with UDPWithACK(0, max_pending=2) as a:
        for _ in range(2):
            a.send_reliable(b"x", raw.getsockname(), 0, timeout=60)
        sent = threading.Event()

        def third():
            a.send_reliable(b"y", raw.getsockname(), 0, timeout=60)
            sent.set()

        thread = threading.Thread(target=third)
        thread.start()
        assert not sent.wait(0.1)
        raw.sendto(ack(0), at(a))
        assert sent.wait(10)
        thread.join()
        a.close()


def test_bad_arguments_are_refused_and_nothing_is_accepted(pair):
    a, b = pair
    for error, words, args in [
        (OverflowError, "0-65535, not 70000", (b"x", ("127.0.0.1", 70_000))),
        (OverflowError, "0-65535, not -1", (b"x", ("127.0.0.1", -1))),
        (TypeError, "tuple", (b"x", "127.0.0.1")),
        (TypeError, "tuple", (b"x", ("127.0.0.1",))),
        (TypeError, "must be a str", (b"x", (1, 2))),
        (TypeError, "must be an int", (b"x", ("127.0.0.1", "9"))),
        (TypeError, "bytes-like", ("text", at(b))),
        (TypeError, "bytes-like", (5, at(b))),
        (ValueError, "max_retries must be 0 to 1000, not -1", (b"x", at(b), -1)),
        (TypeError, "", (b"x", at(b), "3")),
        (ValueError, "timeout", (b"x", at(b), 3, 0)),
        (ValueError, "timeout", (b"x", at(b), 3, -1)),
        (ValueError, "timeout", (b"x", at(b), 3, float("nan"))),
        (ValueError, "max_retries to 0", (b"x", at(b), 3, 20)),
        (TypeError, "timeout", (b"x", at(b), 3, "1")),
        (socket.gaierror, "", (b"x", ("no-such-host.invalid", 9))),
    ]:
        with pytest.raises(error) as caught:
            a.send_reliable(*args)
        assert words in str(caught.value)
    with pytest.raises(OSError, match="65503 bytes is too long") as caught:
        a.send_reliable(bytes(65_503), at(b))
    assert caught.value.errno == errno.EMSGSIZE
    with pytest.raises(OSError, match="Errno"):
        a.send_reliable(b"x", ("::1", 9))
    with pytest.raises(ValueError, match="never sent"):
        a.wait(12345)
    with pytest.raises(ValueError, match="timeout"):
        a.receive(timeout=-1)
    assert not a.pending_acks
    assert a.stats().acked == 0
    assert a.send_reliable(b"fine", at(b)) == a.next_seq - 1


def test_bad_constructions():
    with pytest.raises(OverflowError, match="0-65535"):
        UDPWithACK(70_000)
    with pytest.raises(TypeError):
        UDPWithACK("9999")
    with pytest.raises(ValueError, match="at least 1"):
        UDPWithACK(0, max_pending=0)
    with UDPWithACK(0) as a, pytest.raises(OSError, match="in use") as caught:
        UDPWithACK(a.local_address[1])
    assert caught.value.errno == errno.EADDRINUSE


def test_closing_fails_the_pending_and_says_so(raw):
    a = UDPWithACK(0)
    seq = a.send_reliable(b"x", raw.getsockname())
    raw.sendto(data(0, b"received before"), at(a))
    assert raw.recv(100) == data(seq, b"x")
    assert raw.recv(100) == ack(0)
    a.close()
    a.close()
    assert a.failed[seq].reason == "closed"
    assert a.wait(seq) is False
    assert a.receive()[0] == b"received before"
    for call in (a.receive, lambda: a.send_reliable(b"x", raw.getsockname())):
        with pytest.raises(OSError, match="closed") as caught:
            call()
        assert caught.value.errno == errno.EBADF
    assert "closed" in repr(a)
    assert a.sock.fileno() == -1


def test_leaving_the_block_waits_for_the_acks(raw):
    def acknowledge_late():
        datagram, address = raw.recvfrom(100)
        assert datagram == data(0, b"x")
        raw.recvfrom(100)
        raw.sendto(ack(0), address)

    thread = threading.Thread(target=acknowledge_late)
    thread.start()
    with UDPWithACK(0) as a:
        a.send_reliable(b"x", raw.getsockname(), timeout=0.05)
    thread.join()
    assert a.stats().acked == 1


def test_an_exception_that_leaves_the_block_closes_at_once(raw):
    def fail_in_the_block() -> None:
        with a:
            a.send_reliable(b"x", raw.getsockname(), timeout=10)
            raise KeyError

    a = UDPWithACK(0)
    start = time.monotonic()
    with pytest.raises(KeyError):
        fail_in_the_block()
    assert time.monotonic() - start < 5
    assert a.stats().failed == 1


def test_no_thread_and_no_descriptor_is_left():
    def census() -> tuple[int, int]:
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    before = census()
    for _ in range(20):
        with UDPWithACK(0, verbose=True) as a, UDPWithACK(0) as b:
            a.send_reliable(b"x", at(b))
    # The kernel takes a joined thread off the list a moment later.
    until(lambda: census() == before)


def test_closing_ends_a_wait_in_another_thread(pair):
    a, _ = pair
    errors = []

    def wait_for_ever():
        try:
            a.receive(timeout=None)
        except OSError as error:
            errors.append(error.errno)

    thread = threading.Thread(target=wait_for_ever)
    thread.start()
    a.close()
    thread.join(10)
    assert errors == [errno.EBADF]


def test_a_signal_interrupts_every_wait(raw):
    class RungError(Exception):
        pass

    def ring(*_):
        raise RungError

    before = signal.signal(signal.SIGALRM, ring)
    a = UDPWithACK(0, max_pending=1)
    try:
        seq = a.send_reliable(b"x", raw.getsockname(), 0, timeout=100)
        for call in (
            lambda: a.receive(timeout=None),
            lambda: a.wait(seq),
            lambda: a.flush(),
            lambda: a.send_reliable(b"y", raw.getsockname()),
        ):
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            start = time.monotonic()
            with pytest.raises(RungError):
                call()
            assert time.monotonic() - start < 2
    finally:
        signal.signal(signal.SIGALRM, before)
        a.close()


def test_other_python_threads_run_while_one_waits(pair):
    a, b = pair
    counted = []

    def count():
        counted.append(a.receive(timeout=10))

    thread = threading.Thread(target=count)
    thread.start()
    total = sum(range(100_000))
    b.send_reliable(b"done", at(a))
    thread.join(10)
    assert total == 4_999_950_000
    assert counted == [(b"done", at(b))]


def test_ipv6_and_mapped_ipv4():
    with UDPWithACK(0, host="::1") as a, UDPWithACK(0, host="::1") as b:
        seq = a.send_reliable(b"six", b.local_address)
        payload, address = b.receive(timeout=10)
        assert (payload, address[:2]) == (b"six", a.local_address[:2])
        assert len(address) == 4
        assert a.wait(seq, timeout=10)
    with UDPWithACK(0, host="::") as both, UDPWithACK(0) as four:
        seq = both.send_reliable(b"four", ("127.0.0.1", four.local_address[1]))
        assert four.receive(timeout=10)[0] == b"four"
        assert both.wait(seq, timeout=10)


def test_host_names_and_wildcards_reach_loopback(pair):
    a, b = pair
    for host in ("localhost", "0.0.0.0", ""):
        seq = a.send_reliable(host.encode(), (host, b.local_address[1]))
        assert b.receive(timeout=10)[0] == host.encode()
        assert a.wait(seq, timeout=10)
    seq = a.send_reliable(b"own address", b.local_address)
    assert a.wait(seq, timeout=10)


def test_a_dead_port_is_survived_and_counted(pair):
    a, b = pair
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        dead = gone.getsockname()
    seq = a.send_reliable(b"x", dead, max_retries=1, timeout=0.05)
    assert a.wait(seq, timeout=10) is False
    assert a.stats().unreachable >= 1
    assert a.wait(a.send_reliable(b"y", at(b)), timeout=10)


def test_verbose_prints_what_happens(raw, capsys):
    with UDPWithACK(0, verbose=True) as a, UDPWithACK(0) as b:
        a.wait(a.send_reliable(b"x", at(b)), timeout=10)
        a.wait(a.send_reliable(b"y", raw.getsockname(), 1, timeout=0.02), timeout=10)
        raw.sendto(b"abc", at(a))
        until(lambda: a.stats().unknown_type == 1)
    told = capsys.readouterr().out
    for words in (
        "DATA 0 sent to 127.0.0.1:",
        "DATA 0 acknowledged by",
        "DATA 1 sent again to",
        "DATA 1 failed: no ACK from",
        "ignored: unknown message type 97",
    ):
        assert words in told


def test_quiet_endpoints_log(pair, caplog):
    caplog.set_level("DEBUG", logger="udpcore.reliable")
    with UDPWithACK(0) as a:
        a.wait(a.send_reliable(b"x", at(pair[0])), timeout=10)
    assert "DATA 0 acknowledged" in caplog.text
