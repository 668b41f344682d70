"""One file, four ways: plain UDP, sequence numbers, ACK + retransmission, and TCP as control.

A way sends numbered chunks and collects what arrives; what the application sees is counted in a
:class:`Collector`, the same for all ways. Nothing here knows how bad the link is.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import udpcore as socket
from udpcore import reliable
from udpcore.cli._progress import Progress

Address = tuple[str, int]
#: Opens the link to a receiver and returns the address a sender uses.
OpenLink = Callable[[Address], Address]

CHUNK_BYTES = 900
"""Base64 text of a chunk and its headers still fit one Ethernet frame."""
INDEX_BYTES = 4
SEND_PER_SECOND = 4000
"""All ways offer the link the same rate, so that only the link loses datagrams."""
POLL_SECONDS = 0.1
"""How often a receiver looks whether it shall stop."""
QUIET_POLLS = 5
"""A receiver without guarantees stops after so many polls without a datagram."""
ACK_TIMEOUT_SECONDS = 0.15
ACK_RETRIES_MAX = 20


@dataclass(frozen=True)
class Outcome:
    """What one way did with the file."""

    way: str
    chunks: int
    delivered: int
    out_of_order: int
    duplicates: int
    retransmissions: int | None
    seconds: float
    size_bytes: int
    intact: bool

    @property
    def goodput_mbit(self) -> float:
        """Megabits of the file that arrived, a second."""
        return self.size_bytes * 8 / 1e6 * (self.delivered / max(1, self.chunks)) / self.seconds


class Collector:
    """Counts what the receiving application sees, and puts the file together."""

    def __init__(self, progress: Progress) -> None:
        self.chunks: dict[int, bytes] = {}
        self.duplicates = self.out_of_order = 0
        self.last_arrival = time.monotonic()
        self._highest = -1
        self._progress = progress

    def add(self, index: int, chunk: bytes) -> None:
        """Note the chunk with number `index`."""
        if index in self.chunks:
            self.duplicates += 1
            return
        self.out_of_order += index < self._highest
        self._highest = max(self._highest, index)
        self.chunks[index] = chunk
        self.last_arrival = time.monotonic()
        self._progress.update(len(self.chunks))

    def data(self) -> bytes:
        """Return the chunks in order; shorter than the file when some are missing."""
        return b"".join(chunk for _, chunk in sorted(self.chunks.items()))


Way = Callable[[Sequence[bytes], Collector, OpenLink], int | None]


def transfer(name: str, way: Way, data: bytes, open_link: OpenLink) -> Outcome:
    """Send `data` one way and say what arrived."""
    chunks = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
    with Progress(name, len(chunks)) as progress:
        collector = Collector(progress)
        began = time.monotonic()
        retransmissions = way(chunks, collector, open_link)
    return Outcome(
        way=name,
        chunks=len(chunks),
        delivered=len(collector.chunks),
        out_of_order=collector.out_of_order,
        duplicates=collector.duplicates,
        retransmissions=retransmissions,
        seconds=collector.last_arrival - began,
        size_bytes=len(data),
        intact=hashlib.sha256(collector.data()).digest() == hashlib.sha256(data).digest(),
    )


def plain_udp(chunks: Sequence[bytes], collector: Collector, open_link: OpenLink) -> None:
    """Send every chunk once and hope."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(POLL_SECONDS)
        destination = open_link(receiver.getsockname())

        def receive() -> None:
            datagram, _ = receiver.recvfrom(65535)
            collector.add(*_unpack(datagram))

        with _Receiving(receive):
            for index, chunk in _paced(chunks):
                sender.sendto(_pack(index, chunk), destination)


def sequence_numbers(chunks: Sequence[bytes], collector: Collector, open_link: OpenLink) -> None:
    """Number the messages: loss is noticed, duplicates are dropped, nothing is repaired."""
    with reliable.ReliableUDPReceiver(0) as receiver:
        destination = open_link(("127.0.0.1", receiver.local_address[1]))

        def receive() -> None:
            index, text = receiver.receive_message(timeout=POLL_SECONDS).split(":")
            collector.add(int(index), base64.b64decode(text))

        with reliable.ReliableUDPSender(destination) as sender, _Receiving(receive):
            for index, chunk in _paced(chunks):
                sender.send_message(f"{index}:{base64.b64encode(chunk).decode()}")


def ack_retransmission(chunks: Sequence[bytes], collector: Collector, open_link: OpenLink) -> int:
    """Repeat every message until it is acknowledged."""
    with reliable.UDPWithACK(0) as receiver, reliable.UDPWithACK(0) as sender:
        destination = open_link(("127.0.0.1", receiver.local_address[1]))

        def receive() -> None:
            payload, _ = receiver.receive(timeout=POLL_SECONDS)
            if payload is None:
                raise TimeoutError
            collector.add(*_unpack(payload))

        with _Receiving(receive):
            for index, chunk in _paced(chunks):
                sender.send_reliable(
                    _pack(index, chunk),
                    destination,
                    max_retries=ACK_RETRIES_MAX,
                    timeout=ACK_TIMEOUT_SECONDS,
                )
            sender.flush()
        return sender.stats().retransmissions


def tcp(chunks: Sequence[bytes], collector: Collector, open_link: OpenLink) -> None:
    """Let the kernel do it, over the clean link: the control."""
    record = INDEX_BYTES + CHUNK_BYTES
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()

        def send() -> None:
            # An interruption closes the other end: that is no error of ours.
            with contextlib.suppress(OSError), socket.create_connection(address) as sender:
                for index, chunk in _paced(chunks):
                    sender.sendall(_pack(index, chunk))

        thread = threading.Thread(target=send)
        thread.start()
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as stream:
            while datagram := stream.read(record):
                collector.add(*_unpack(datagram))
        thread.join()


class _Receiving:
    """Run `receive` in a thread; leaving the block waits until the link has gone quiet.

    Leaving it by an exception does not wait.
    """

    def __init__(self, receive: Callable[[], None]) -> None:
        self._receive = receive
        self._all_sent = threading.Event()
        self._given_up = threading.Event()
        # An interruption may come before the block has begun, and nobody joins it then.
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        quiet = 0
        while not self._given_up.is_set():
            try:
                self._receive()
                quiet = 0
            except TimeoutError:
                quiet += 1
                if self._all_sent.is_set() and quiet >= QUIET_POLLS:
                    return

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        (self._all_sent if kind is None else self._given_up).set()
        try:
            self._thread.join()
        finally:
            self._given_up.set()


def _paced(chunks: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the numbered chunks at `SEND_PER_SECOND`, late ones in a burst."""
    began = time.monotonic()
    for index, chunk in enumerate(chunks):
        early = began + index / SEND_PER_SECOND - time.monotonic()
        if early > 0.001:
            time.sleep(early)
        yield index, chunk


def _pack(index: int, chunk: bytes) -> bytes:
    return index.to_bytes(INDEX_BYTES) + chunk


def _unpack(datagram: bytes) -> tuple[int, bytes]:
    return int.from_bytes(datagram[:INDEX_BYTES]), datagram[INDEX_BYTES:]
