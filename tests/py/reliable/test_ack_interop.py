"""``UDPWithACK`` against a tutorial's own script, in both roles, and through a lossy middle."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from reliable_support import at
from tutorial_reliable import AckPeer

from udpcore.reliable import UDPWithACK

MESSAGES = 200

#: Both ways.
BAD_LINK = {"loss": "20%", "duplicate": "5%", "reorder": "5%", "delay": "2ms", "jitter": "1ms"}


@pytest.fixture
def plain() -> Iterator[AckPeer]:
    peer = AckPeer(0)
    yield peer
    peer.sock.close()


def test_our_sender_and_a_plain_receiver(plain):
    with UDPWithACK(0) as ours:
        numbers = [
            ours.send_reliable(b"message %d" % n, plain.sock.getsockname()) for n in range(MESSAGES)
        ]
        received = []
        while len(received) < MESSAGES:
            payload, address = plain.receive()
            if payload is not None:
                assert address == at(ours)
                received.append(payload)
        assert received == [b"message %d" % n for n in range(MESSAGES)]
        assert all(ours.wait(seq, timeout=10) for seq in numbers)
        assert ours.failed == {}


def test_a_plain_sender_and_our_receiver(plain):
    with UDPWithACK(0) as ours:
        for n in range(MESSAGES):
            plain.send_reliable(b"message %d" % n, at(ours))
        while plain.pending_acks:
            assert plain.receive() == (None, None)
        assert plain.given_up == []
        received = [payload for payload, _ in ours.receive_many(1000)]
        assert received == [b"message %d" % n for n in range(MESSAGES)]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_plain_sender_through_loss_is_delivered_exactly_once(plain, netem, seed):
    with UDPWithACK(0) as ours:
        middle = netem(at(ours), seed=seed, **BAD_LINK)
        for n in range(MESSAGES):
            plain.send_reliable(b"message %d" % n, middle.address, 50, timeout=0.05)
        while plain.pending_acks:
            plain.receive()
        assert plain.given_up == []
        received = Counter(payload for payload, _ in ours.receive_many(1000))
        assert received == Counter(b"message %d" % n for n in range(MESSAGES))


@pytest.mark.parametrize("seed", [3, 4])
def test_our_sender_through_loss_reaches_a_plain_receiver(plain, netem, seed):
    with UDPWithACK(0) as ours:
        middle = netem(plain.sock.getsockname(), seed=seed, **BAD_LINK)
        for n in range(MESSAGES):
            ours.send_reliable(b"message %d" % n, middle.address, 50, timeout=0.05)
        received = Counter()
        while ours.pending_acks:
            payload, _ = plain.receive()
            if payload is not None:
                received[payload] += 1
        assert ours.failed == {}
        # A plain receiver cannot tell duplicates, but it has every message.
        assert set(received) == {b"message %d" % n for n in range(MESSAGES)}


def messages(seed: int, count: int) -> list[bytes]:
    """Messages of 1 to 1,400 bytes, each with its number in front if it is long enough."""
    numbers = random.Random(seed)
    return [b"%06d" % n + numbers.randbytes(numbers.randint(0, 1_394)) for n in range(count)]


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_both_ends_ours_through_loss_are_exactly_once(netem, seed):
    sent = messages(seed, 1_000)
    with UDPWithACK(0) as a, UDPWithACK(0) as b:
        middle = netem(at(b), seed=seed, **BAD_LINK)
        for message in sent:
            a.send_reliable(message, middle.address, max_retries=20, timeout=0.1)
        assert a.flush(timeout=30)
        assert a.failed == {}
        received = [payload for payload, _ in b.receive_many(10_000)]
        assert sorted(received) == sorted(sent)
        assert b.receive(timeout=0) == (None, None)
        assert a.stats().retransmissions > 300
        assert b.stats().duplicates > 100


@pytest.mark.parametrize("seed", [8, 9])
def test_with_few_retries_each_message_ends_as_acked_or_failed(netem, seed):
    sent = messages(seed, 500)
    with UDPWithACK(0) as a, UDPWithACK(0) as b:
        middle = netem(at(b), seed=seed, **BAD_LINK)
        numbers = [a.send_reliable(m, middle.address, timeout=0.1) for m in sent]
        outcome = Counter(a.wait(seq, timeout=30) for seq in numbers)
        stats = a.stats()
        assert (stats.acked, stats.failed) == (outcome[True], outcome[False])
        assert stats.acked + stats.failed == len(sent)
        assert set(a.failed) == {seq for seq in numbers if not a.wait(seq)}
        received = Counter(payload for payload, _ in b.receive_many(10_000))
        assert set(received.values()) == {1}
        assert stats.acked <= len(received) <= len(sent)


def test_many_peers_at_once_through_one_lossy_server_link(netem):
    with ExitStack() as stack:
        server = stack.enter_context(UDPWithACK(0))
        middle = netem(at(server), seed=10, **BAD_LINK)
        clients = [stack.enter_context(UDPWithACK(0)) for _ in range(8)]
        for n in range(50):
            for client in clients:
                client.send_reliable(b"%d" % n, middle.address, max_retries=20, timeout=0.1)
        assert all(client.flush(timeout=30) for client in clients)
        received = Counter(server.receive_many(10_000))
        assert len(received) == 8 * 50
        assert set(received.values()) == {1}
        assert len({address for _, address in received}) == 8
