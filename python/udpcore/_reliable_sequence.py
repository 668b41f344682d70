"""Sequence numbers over UDP: loss is noticed, nothing is repaired.

The format is ``[seq u32][utf-8 text]``, big-endian. Does not retransmit: see ``UDPWithACK``.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import Any, NamedTuple, Self

from udpcore import _core

logger = logging.getLogger("udpcore.reliable")
logger.addHandler(logging.NullHandler())

#: The longest datagram UDP carries, and more than that.
_DATAGRAM_MAX = 65_535


class SequenceStats(NamedTuple):
    """What a :class:`ReliableUDPReceiver` has counted, of all peers or of one."""

    #: Messages that arrived, without duplicates.
    received: int
    #: Numbers skipped that have not come.
    lost: int
    #: Numbers that came after they had been skipped; no longer among ``lost``.
    late: int
    #: Messages that came again.
    duplicates: int
    #: Times a peer was seen to count from elsewhere: it was started anew.
    restarts: int


class _Speaking:
    """Print with ``verbose``, log otherwise."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose

    def say(self, level: int, text: str) -> None:
        if self._verbose:
            print(text, flush=True)
        else:
            logger.log(level, text)


class ReliableUDPSender:
    """Send numbered texts to one address.

    Raises :class:`OverflowError` for a port outside 0-65535, :class:`socket.gaierror` for a host
    that cannot be resolved.

    >>> with ReliableUDPReceiver(0) as receiver:
    ...     with ReliableUDPSender(("127.0.0.1", receiver.local_address[1])) as sender:
    ...         _ = sender.send_message("bonjour")
    ...     receiver.receive_message(timeout=5.0)
    'bonjour'
    """

    def __init__(self, dest_addr: tuple[str, int], *, verbose: bool = False) -> None:
        host, port = dest_addr[0], dest_addr[1]
        if not 0 <= port <= 65_535:
            raise OverflowError(f"the port of dest_addr must be 0-65535, not {port}")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, address = found[0][0], found[0][4]
        self.dest_addr: tuple[Any, ...] = address
        #: The number of the next message; after 4,294,967,295 comes 0.
        self.sequence = 0
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self._speaking = _Speaking(verbose)

    def send_message(self, message: str) -> int:
        """Send `message` and return its number.

        Raises :class:`OSError` (``EMSGSIZE``) when its UTF-8 form is longer than 65,503 bytes,
        and whatever ``sendto`` raises; the number is used again then.
        """
        if not isinstance(message, str):
            raise TypeError(f"message must be a str, not {type(message).__name__}")
        number = self.sequence
        self.sock.sendto(_core.compose_sequence(number, message), self.dest_addr)
        self.sequence = (number + 1) & 0xFFFF_FFFF
        self._speaking.say(logging.DEBUG, f"message {number} sent to {self.dest_addr}")
        return number

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ReliableUDPReceiver:
    """Receive numbered texts, from any number of senders at once, and notice what is missing.

    Duplicates (same peer, number and text within 30 s) are counted and not returned, unless
    `deliver_duplicates` asks for them. A number far away from the one expected, or a known one
    with another text, means that the sender was started anew: its message is returned.

    `port` 0 lets the system choose; see :attr:`local_address`.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "0.0.0.0",
        deliver_duplicates: bool = False,
        verbose: bool = False,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self.sock.bind((host, port))
        except BaseException:
            self.sock.close()
            raise
        #: Who sent the message returned last.
        self.last_address: tuple[Any, ...] | None = None
        self._deliver_duplicates = deliver_duplicates
        self._detector = _core.SequenceDetector()
        self._speaking = _Speaking(verbose)

    def receive_message(self, timeout: float | None = None) -> str:
        """Return the next message, late ones included.

        Without `timeout` (seconds) it waits as long as :attr:`sock` does, by default for ever.
        Raises :class:`TimeoutError` when nothing came in time. Datagrams that do not follow the
        format are counted in :attr:`malformed`.
        """
        if timeout is None:
            return self._receive()
        if timeout < 0:
            raise ValueError(f"timeout must be a number of seconds from 0 on, not {timeout}")
        before = self.sock.gettimeout()
        try:
            return self._receive(time.monotonic() + timeout)
        finally:
            self.sock.settimeout(before)

    def _receive(self, deadline: float | None = None) -> str:
        while True:
            if deadline is not None:
                # Zero would make the socket non-blocking and change the error.
                self.sock.settimeout(max(deadline - time.monotonic(), 1e-6))
            datagram, address = self.sock.recvfrom(_DATAGRAM_MAX)
            handled = self._detector.handle(datagram, address)
            if handled is None:
                self._speaking.say(logging.WARNING, f"malformed datagram from {address} ignored")
                continue
            number, text, arrival, missing = handled
            self._report(number, address, arrival, missing)
            if arrival != "duplicate" or self._deliver_duplicates:
                self.last_address = address
                return text

    def _report(self, number: int, address: object, arrival: str, missing: int) -> None:
        told = {
            "in order": (logging.DEBUG, "as expected"),
            "gap": (logging.WARNING, f"{missing} missing before it"),
            "late": (logging.INFO, "late, it was taken for lost"),
            "duplicate": (logging.INFO, "a duplicate"),
            "restarted": (logging.INFO, "its sender counts from elsewhere now"),
        }
        level, text = told[arrival]
        self._speaking.say(level, f"message {number} from {address}: {text}")

    @property
    def expected_seq(self) -> int:
        """The number expected next from the peer heard last; 0 at first."""
        return self._detector.expected()

    @property
    def lost(self) -> int:
        """How many numbers were skipped and have not come, of all peers."""
        return self.stats().lost

    @property
    def late(self) -> int:
        """How many messages came after they had been taken for lost, of all peers."""
        return self.stats().late

    @property
    def duplicates(self) -> int:
        """How many messages came again, of all peers."""
        return self.stats().duplicates

    @property
    def malformed(self) -> int:
        """How many datagrams did not follow the format."""
        return self._detector.stats()[-1]

    @property
    def peers(self) -> dict[tuple[Any, ...], SequenceStats]:
        """The counters of each sender, by address; at most 1,024, those heard last."""
        return {address: SequenceStats(*row) for address, _, *row in self._detector.peers()}

    @property
    def local_address(self) -> tuple[Any, ...]:
        """The address the socket is bound to."""
        address: tuple[Any, ...] = self.sock.getsockname()
        return address

    def stats(self) -> SequenceStats:
        """Return the counters of all peers together."""
        return SequenceStats(*self._detector.stats()[:-1])

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
