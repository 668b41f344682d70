"""``UDPWithACK`` against a tutorial's own script, in both roles, and through a lossy middle."""

from __future__ import annotations

import random
import select
import socket
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from reliable_support import at
from tutorial_reliable import AckPeer

from udpcore.reliable import UDPWithACK

MESSAGES = 200


@pytest.fixture
def plain() -> Iterator[AckPeer]:
    peer = AckPeer(0)
    yield peer
    peer.sock.close()


class LossyMiddle(threading.Thread):
    """Forwards datagrams between one client and one server; loses and doubles some, by seed."""

    def __init__(self, server: tuple[str, int], seed: int) -> None:
        super().__init__()
        self._server = server
        self._random = random.Random(seed)
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self._back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._closed, self._closing = socket.socketpair()
        self.address = self._front.getsockname()

    def run(self) -> None:
        client = None
        while True:
            ready, _, _ = select.select([self._front, self._back, self._closed], [], [])
            if self._closed in ready:
                break
            for sock in ready:
                datagram, address = sock.recvfrom(65_535)
                if sock is self._front:
                    client = address
                copies = self._random.choices([0, 1, 2], [20, 75, 5])[0]
                for _ in range(copies):
                    if sock is self._front:
                        self._back.sendto(datagram, self._server)
                    elif client is not None:
                        self._front.sendto(datagram, client)

    def __enter__(self) -> LossyMiddle:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.close()
        self.join()
        for sock in (self._front, self._back, self._closed):
            sock.close()


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
def test_a_plain_sender_through_loss_is_delivered_exactly_once(plain, seed):
    with UDPWithACK(0) as ours, LossyMiddle(at(ours), seed) as middle:
        for n in range(MESSAGES):
            plain.send_reliable(b"message %d" % n, middle.address, 50, timeout=0.05)
        while plain.pending_acks:
            plain.receive()
        assert plain.given_up == []
        received = Counter(payload for payload, _ in ours.receive_many(1000))
        assert received == Counter(b"message %d" % n for n in range(MESSAGES)), f"seed {seed}"


@pytest.mark.parametrize("seed", [3, 4])
def test_our_sender_through_loss_reaches_a_plain_receiver(plain, seed):
    with UDPWithACK(0) as ours, LossyMiddle(plain.sock.getsockname(), seed) as middle:
        for n in range(MESSAGES):
            ours.send_reliable(b"message %d" % n, middle.address, 50, timeout=0.05)
        received = Counter()
        while ours.pending_acks:
            payload, _ = plain.receive()
            if payload is not None:
                received[payload] += 1
        assert ours.failed == {}, f"seed {seed}"
        # A plain receiver cannot tell duplicates, but it has every message.
        assert set(received) == {b"message %d" % n for n in range(MESSAGES)}
