"""Acknowledgement and retransmission over UDP; the work is done by a thread in Rust.

The format is ``[type u8][seq u32][data]``, big-endian, 1 = DATA, 2 = ACK without data. Messages
are not ordered and not split: each is one datagram.
"""

from __future__ import annotations

import logging
import socket
import threading
from types import TracebackType
from typing import Any, NamedTuple, Self

from udpcore import _core

logger = logging.getLogger("udpcore.reliable")
logger.addHandler(logging.NullHandler())

#: How often a verbose endpoint looks for news.
_NEWS_SECONDS = 0.02


class PendingMessage(NamedTuple):
    """A message that waits for its ACK."""

    #: Where it is sent.
    address: tuple[Any, ...]
    #: How often it was repeated so far.
    retries: int
    #: Seconds since it was sent first.
    age: float


class FailedMessage(NamedTuple):
    """A message that was given up. It may have arrived all the same, if only the ACKs were lost."""

    #: Where it was sent.
    address: tuple[Any, ...]
    #: ``"no ACK"``, ``"closed"`` or ``"not sent"``.
    reason: str
    #: How often it was repeated.
    retries: int


class AckStats(NamedTuple):
    """What an endpoint has counted since it was made.

    ``sent == acked + failed + len(pending_acks)``, always. Every datagram that arrived is in
    exactly one of ``received``, ``duplicates``, ``queue_full``, ``acked``, ``ack_again``,
    ``ack_unknown``, ``ack_wrong_peer``, ``truncated``, ``unknown_type`` and ``ack_with_data``.
    """

    #: Messages accepted for sending.
    sent: int
    #: Repetitions of messages.
    retransmissions: int
    #: Messages acknowledged.
    acked: int
    #: Messages given up.
    failed: int
    #: Messages received.
    received: int
    #: DATA that was known already: acknowledged again, not delivered again.
    duplicates: int
    #: Messages under a known number with another payload: the peer was started anew.
    restarted: int
    #: DATA neither taken nor acknowledged because too many messages waited for ``receive``.
    queue_full: int
    #: ACKs sent.
    acks_sent: int
    #: ACKs not sent because too many datagrams waited to be sent.
    acks_dropped: int
    #: ACKs of messages that were settled before.
    ack_again: int
    #: ACKs of numbers that were never sent.
    ack_unknown: int
    #: ACKs from another address than the message was sent to.
    ack_wrong_peer: int
    #: Datagrams shorter than the header.
    truncated: int
    #: Datagrams that are neither DATA nor ACK.
    unknown_type: int
    #: ACKs that carry data.
    ack_with_data: int
    #: ICMP errors: nobody listens there, or no way leads there.
    unreachable: int
    #: Datagrams the system refused to send or receive for other reasons.
    system_errors: int


class UDPWithACK:
    """Send and receive messages that are acknowledged, repeated, and delivered exactly once.

    A background thread receives, acknowledges and repeats; ``receive()`` only takes what has
    arrived. One endpoint talks to any number of peers, in both roles at once.

    :param local_port: the port to listen on; 0 lets the system choose.
    :param host: the address to listen on; an IPv6 address (``"::"``) makes an IPv6 endpoint.
    :param max_pending: unacknowledged messages at once; then :meth:`send_reliable` waits.
    :param max_queued: received messages that may wait for :meth:`receive` (and 64 MiB); more are
        not acknowledged, so that their senders repeat them.
    :param first_seq: the number of the first message.
    :param verbose: print what happens; otherwise it is logged (``udpcore.reliable``, level DEBUG).

    Raises what ``bind`` raises: :class:`OverflowError` for the port, :class:`OSError`.

    >>> with UDPWithACK(0) as alice, UDPWithACK(0) as bob:
    ...     seq = alice.send_reliable(b"salut", ("127.0.0.1", bob.local_address[1]))
    ...     bob.receive()[0]
    b'salut'
    """

    def __init__(
        self,
        local_port: int = 0,
        *,
        host: str = "0.0.0.0",
        max_pending: int = 1024,
        max_queued: int = 65_536,
        first_seq: int = 0,
        verbose: bool = False,
    ) -> None:
        if max_pending < 1 or max_queued < 1:
            raise ValueError("max_pending and max_queued must be at least 1")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        narrated = verbose or logger.isEnabledFor(logging.DEBUG)
        #: The socket underneath, for its options; the endpoint's thread receives from it.
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self.sock.bind((host, local_port))
            self.local_address: tuple[Any, ...] = self.sock.getsockname()
            self._endpoint = _core.AckEndpoint(
                self.sock.fileno(), max_pending, max_queued, first_seq, narrated
            )
        except BaseException:
            self.sock.close()
            raise
        self._narrator = _Narrator(self._endpoint, verbose) if narrated else None

    def send_reliable(
        self,
        data: bytes | bytearray | memoryview,
        dest_addr: tuple[Any, ...],
        max_retries: int = 3,
        timeout: float = 1.0,
    ) -> int:
        """Send `data` to `dest_addr` and return its number, without waiting for the ACK.

        It is repeated at most `max_retries` times (0-1000), at most `timeout` seconds apart
        (0.001-14.9; without retries up to 3600), and fails one `timeout` after the last
        repetition. Once the way to the peer has been measured, the first half of the repetitions
        may come earlier (RFC 6298, not below 200 ms).

        Waits while `max_pending` messages are unacknowledged.

        Raises :class:`OSError` (``EMSGSIZE``) above 65,502 bytes, ``EBADF`` when closed, or what
        the system says ("network is unreachable"); :class:`socket.gaierror` for an unknown host,
        :class:`OverflowError` for the port, :class:`ValueError` for a retry or timeout out of
        range. The message was not accepted then.
        """
        return self._endpoint.send(data, dest_addr, max_retries, timeout)

    def receive(
        self, timeout: float | None = 1.0
    ) -> tuple[bytes, tuple[Any, ...]] | tuple[None, None]:
        """Return the next message and its sender, or ``(None, None)`` after `timeout` seconds.

        ``None`` waits as long as it takes, 0 not at all. Messages come in the order of their
        arrival. After :meth:`close` what was received before is returned, then :class:`OSError`
        (``EBADF``) is raised.
        """
        return self._endpoint.receive(timeout) or (None, None)

    def receive_many(
        self, count: int, timeout: float | None = 1.0
    ) -> list[tuple[bytes, tuple[Any, ...]]]:
        """Return up to `count` messages: wait for the first as :meth:`receive` does, then take
        what is there. An empty list after `timeout` seconds."""
        return self._endpoint.receive_many(count, timeout)

    def wait(self, seq: int, timeout: float | None = None) -> bool:
        """Wait until the message `seq` is settled: True when it was acknowledged, False when it
        failed, or is still pending after `timeout` seconds (see :attr:`pending_acks`).

        Raises :class:`ValueError` for a number that was never sent or is forgotten: the last
        65,536 failures are remembered, and :meth:`take_failed` forgets them.
        """
        return self._endpoint.wait(seq, timeout)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until every message is acknowledged or failed; False after `timeout` seconds."""
        return self._endpoint.wait_idle(timeout)

    @property
    def pending_acks(self) -> dict[int, PendingMessage]:
        """The messages that wait for their ACK, by number."""
        return {seq: PendingMessage(*row) for seq, row in self._endpoint.pending().items()}

    @property
    def failed(self) -> dict[int, FailedMessage]:
        """The messages that were given up, by number; the last 65,536 of them."""
        return {seq: FailedMessage(*row) for seq, row in self._endpoint.failures().items()}

    def take_failed(self) -> dict[int, FailedMessage]:
        """Return :attr:`failed` and forget it."""
        return {seq: FailedMessage(*row) for seq, row in self._endpoint.failures(True).items()}

    @property
    def next_seq(self) -> int:
        """The number the next message will get."""
        return self._endpoint.next_seq()

    def stats(self) -> AckStats:
        """Return the counters so far."""
        return AckStats(**self._endpoint.stats())

    def close(self) -> None:
        """Stop: what waits for an ACK fails with the reason ``"closed"``.

        What has already arrived is still handled: DATA acknowledged (:meth:`receive` returns it
        even now), ACKs counted. Returns when the thread is gone. Leaving a ``with`` block does
        :meth:`flush` before, unless an exception ends the block.
        """
        self._endpoint.close()
        self.sock.close()
        if self._narrator is not None:
            self._narrator.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None and not self._endpoint.is_closed():
                self.flush()
        finally:
            self.close()

    def __repr__(self) -> str:
        stats = self.stats()
        state = "closed" if self._endpoint.is_closed() else f"at {self.local_address}"
        return (
            f"<UDPWithACK {state}: {stats.sent} sent, {stats.acked} acked, {stats.failed} failed, "
            f"{stats.received} received>"
        )


class _Narrator:
    """A thread that tells what an endpoint does, while the endpoint's own thread does it."""

    def __init__(self, endpoint: _core.AckEndpoint, verbose: bool) -> None:
        self._endpoint = endpoint
        self._verbose = verbose
        self._lost = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="udp-ack-news", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(_NEWS_SECONDS):
            self._tell()

    def _tell(self) -> None:
        lines, lost = self._endpoint.events()
        if lost > self._lost:
            lines.append(f"({lost - self._lost} events untold: too many at once)")
            self._lost = lost
        for line in lines:
            if self._verbose:
                print(line, flush=True)
            else:
                logger.debug("%s", line)

    def finish(self) -> None:
        """Tell the rest and end."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._tell()
