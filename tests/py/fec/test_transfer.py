"""``send_with_fec`` and ``receive_with_fec``: loss, plain peers, several senders, bad input."""

from __future__ import annotations

import math
import random
import socket
import struct
import zlib
from collections.abc import Iterator

import pytest

from udpcore.fec import Decoder, Encoder, FECReceiver, receive_with_fec, send_with_fec


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        yield sender


class Recorder:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendto(self, data: bytes, address: object) -> int:
        self.sent.append(data)
        return len(data)


def datagrams(data: bytes, **options) -> list[bytes]:
    recorder = Recorder()
    assert send_with_fec(data, recorder, ("192.0.2.1", 9), **options) == len(recorder.sent)
    return recorder.sent


def randbytes(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


@pytest.mark.parametrize("length", [0, 1, 999, 1000, 1001, 12_345, 60_000])
def test_there_and_back(sock, sender, length):
    data = randbytes(length, length)
    count = send_with_fec(data, sender, sock.getsockname())
    k = max(1, math.ceil(length / 1000))
    assert count == k + max(1, math.ceil(k * 0.3))
    assert receive_with_fec(sock, timeout=10) == data
    assert sock.gettimeout() == 10


def test_the_datagrams_are_as_documented():
    data = randbytes(1, 2500)
    sent = datagrams(data, redundancy=0.5, chunk_size=1000)
    assert [datagram[4:] for datagram in sent[:3]] == [data[:1000], data[1000:2000], data[2000:]]
    assert [struct.unpack("!HH", datagram[:4]) for datagram in sent] == [(n, 3) for n in range(5)]
    for repair in sent[3:]:
        assert struct.unpack("!BHII", repair[4:15]) == (1, 2, 2500, zlib.crc32(data))
        assert len(repair) == 15 + 1000


def test_ten_times_three_tenths_is_three():
    assert len(datagrams(bytes(10_000), redundancy=0.3)) == 13


def test_a_plain_receiver_collects_the_source_chunks(sock, sender):
    data = randbytes(2, 7_777)
    send_with_fec(data, sender, sock.getsockname())
    chunks: dict[int, bytes] = {}
    k = None
    while k is None or len(chunks) < k:
        datagram = sock.recv(65535)
        index, k = struct.unpack("!HH", datagram[:4])
        if index < k:
            chunks[index] = datagram[4:]
    assert b"".join(chunks[index] for index in range(k)) == data


def test_a_plain_sender_without_repair_chunks_is_received(sock, sender):
    data = randbytes(3, 2_500)
    chunks = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    for index, chunk in enumerate(chunks):
        sender.sendto(struct.pack("!HH", index, len(chunks)) + chunk, sock.getsockname())
    assert receive_with_fec(sock, timeout=10) == data


@pytest.mark.parametrize("seed", range(5))
def test_any_m_losses_and_any_order(sock, sender, seed):
    data = randbytes(seed, 20_500)
    sent = datagrams(data)
    numbers = random.Random(seed)
    kept = numbers.sample(sent, 21)
    for datagram in kept:
        sender.sendto(datagram, sock.getsockname())
    assert receive_with_fec(sock, timeout=10) == data, f"seed {seed}"


@pytest.mark.parametrize("seed", range(3))
def test_through_a_lossy_link(netem, sock, sender, seed):
    middle = netem(sock.getsockname(), seed=seed, loss="10%", duplicate="5%", reorder="5%")
    data = randbytes(seed, 40_000)
    send_with_fec(data, sender, middle.address, redundancy=1.0)
    assert receive_with_fec(sock, timeout=10) == data


def test_the_same_data_again_and_again(sock, sender):
    data = randbytes(4, 5_000)
    for _ in range(5):
        send_with_fec(data, sender, sock.getsockname())
        assert receive_with_fec(sock, timeout=10) == data


def test_several_senders_at_once_do_not_mix(sock):
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(5)]
    data = [randbytes(seed, 9_000 + seed) for seed in range(5)]
    queues = [iter(datagrams(one)) for one in data]
    for _ in range(13):
        for sender, queue in zip(senders, queues, strict=True):
            sender.sendto(next(queue, b""), sock.getsockname())
    receiver = FECReceiver(sock)
    received = [receiver.receive(timeout=10) for _ in senders]
    assert sorted(one for one, _ in received) == sorted(data)
    assert len({address for _, address in received}) == 5
    assert receiver.stats().completed == 5
    for sender in senders:
        sender.close()


def test_what_other_senders_sent_is_kept_for_the_next_call(sock, sender):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        first, second = datagrams(b"1" * 3000), datagrams(b"2" * 3000)
        for datagram in first[:2]:
            other.sendto(datagram, sock.getsockname())
        for datagram in second:
            sender.sendto(datagram, sock.getsockname())
        assert receive_with_fec(sock, timeout=10) == b"2" * 3000
        for datagram in first[3:]:
            other.sendto(datagram, sock.getsockname())
        assert receive_with_fec(sock, timeout=10) == b"1" * 3000


def test_an_abandoned_transfer_is_no_obstacle(sock, sender):
    for datagram in datagrams(b"lost" * 1000)[:3]:
        sender.sendto(datagram, sock.getsockname())
    send_with_fec(b"whole" * 1000, sender, sock.getsockname())
    assert receive_with_fec(sock, timeout=10) == b"whole" * 1000


def test_altered_data_is_never_returned(sock, sender):
    sent = datagrams(bytes(5_000), redundancy=0.2)
    sender.sendto(sent[0][:-1] + b"!", sock.getsockname())
    for datagram in sent[1:]:
        sender.sendto(datagram, sock.getsockname())
    receiver = FECReceiver(sock)
    with pytest.raises(TimeoutError):
        receiver.receive(timeout=0.2)
    assert receiver.stats().corrupt >= 1


def test_garbage_is_counted_and_a_timeout_is_a_timeout_error(sock, sender):
    for datagram in (b"", b"abc", b"\0\0\0\0x", b"\0\1\0\1\7", b"\0\1\0\1"):
        sender.sendto(datagram, sock.getsockname())
    receiver = FECReceiver(sock)
    with pytest.raises(TimeoutError, match="no transfer"):
        receiver.receive(timeout=0.05)
    assert receiver.stats().malformed == 5
    with pytest.raises(ValueError, match="-1"):
        receiver.receive(timeout=-1)


def test_bad_arguments_are_refused_with_words():
    for options, words in [
        ({"chunk_size": 0}, "1 to 65491"),
        ({"chunk_size": 65_492}, "1 to 65491"),
        ({"redundancy": -0.1}, "redundancy"),
        ({"redundancy": float("nan")}, "redundancy"),
    ]:
        with pytest.raises(ValueError, match=words):
            datagrams(b"x", **options)
    with pytest.raises(ValueError, match="use larger chunks"):
        datagrams(bytes(100_000), chunk_size=1)
    with pytest.raises(TypeError, match="bytes-like"):
        datagrams("text")


def test_any_number_of_seconds_is_a_timeout(sock, sender):
    for wrong, error in (("1", TypeError), (float("nan"), ValueError), (-1, ValueError)):
        with pytest.raises(error, match="timeout must be a number of seconds"):
            receive_with_fec(sock, wrong)
    for long in (1e12, float("inf")):
        send_with_fec(b"patience", sender, sock.getsockname())
        assert receive_with_fec(sock, long) == b"patience"
    assert sock.gettimeout() == 10


def test_coders_say_which_they_are():
    assert repr(Encoder(10, 3)).startswith("<Encoder k=10 m=3 kernel=")
    assert repr(Decoder(10, 3)) == "<Decoder k=10 m=3>"
