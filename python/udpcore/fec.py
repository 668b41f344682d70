"""Forward error correction: lost datagrams are computed from the others, nothing is sent again.

* :class:`Encoder` and :class:`Decoder`: a Reed-Solomon code over chunks. Any ``k`` of ``k + m``
  chunks give back the ``k`` source chunks, whatever their lengths.
* :class:`SlidingEncoder` and :class:`SlidingDecoder`: repair across a stream of messages, without
  waiting for a block to fill (RFC 8681).
* :func:`send_with_fec` and :func:`receive_with_fec`: one piece of data as datagrams.

The datagrams are ``[index u16][k u16][chunk]``, big-endian. Below ``k`` the chunk is a piece of
the data as it is, so a tutorial's receiver that simply collects them has the data when nothing is
lost. From ``k`` on it is a repair chunk: ``[version u8][m u16][length u32][crc32 u32][symbol]``.

>>> chunks = [b"alpha", b"beta", b"gamma", b"delta"]
>>> repair = Encoder(k=4, m=2).encode(chunks)
>>> Decoder(k=4, m=2).decode({0: b"alpha", 3: b"delta", 4: repair[0], 5: repair[1]})
[b'alpha', b'beta', b'gamma', b'delta']
"""

from __future__ import annotations

import time
import weakref
from typing import Any, NamedTuple, Protocol

from udpcore import _core

__all__ = [
    "Decoder",
    "Encoder",
    "FECReceiver",
    "FECStats",
    "SlidingDecoder",
    "SlidingEncoder",
    "receive_with_fec",
    "send_with_fec",
]

#: The longest datagram UDP carries, and more than that.
_DATAGRAM_MAX = 65_535

#: The longest single wait, in seconds.
_WAIT_MAX = 86_400.0

_Buffer = bytes | bytearray | memoryview


class _Socket(Protocol):
    """What a datagram socket must offer: the standard library's, or udpcore's."""

    def sendto(self, data: bytes, address: Any, /) -> int: ...
    def recvfrom(self, bufsize: int, /) -> tuple[bytes, Any]: ...
    def gettimeout(self) -> float | None: ...
    def settimeout(self, value: float | None, /) -> None: ...


class Encoder(_core.FecEncoder):
    """Make `m` repair chunks for every `k` source chunks: ``encode(chunks) -> repair chunks``.

    `k` is at least 1, `m` at least 0, together at most 65,535; up to 255 the code is a Cauchy
    code over GF(2^8) on the best instructions of this machine (:attr:`kernel`), above it is one
    over GF(2^16). Raises :class:`ValueError` for other numbers.

    >>> repair = Encoder(k=2, m=1).encode([b"left", b"right"])
    >>> Decoder(k=2, m=1).decode({0: b"left", 2: repair[0]})
    [b'left', b'right']
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Encoder k={self.k} m={self.m} kernel={self.kernel}>"


class Decoder(_core.FecDecoder):
    """Give back the `k` source chunks from any `k` of all: ``decode({number: chunk}) -> chunks``.

    Takes the numbers `k` and `m` of the :class:`Encoder`.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<Decoder k={self.k} m={self.m}>"


class SlidingEncoder:
    """Make repair datagrams for a stream of messages, at any time, for the last `window` of them.

    The code is that of RFC 8681 over GF(2^8). `window` is 1-4,095; `density` 0-15: at 15 a repair
    datagram covers every message in the window, below it each with the probability
    ``(density + 1) / 16``, which is quicker and repairs a little less.

    >>> encoder, decoder = SlidingEncoder(window=16), SlidingDecoder(window=32)
    >>> first, second = encoder.push(b"arrives"), encoder.push(b"is lost")
    >>> decoder.source(first, b"arrives")
    []
    >>> decoder.repair(encoder.repair())
    [(1, b'is lost')]
    """

    def __init__(self, window: int = 64, density: int = 15) -> None:
        self._machine = _core.FecSlidingEncoder(window, density)

    def push(self, message: _Buffer) -> int:
        """Take a message (at most 65,000 bytes) and return the number to send it with."""
        return self._machine.push(message)

    def repair(self) -> bytes:
        """Return a repair datagram for the messages in the window; each call gives another one.

        It is 11 bytes longer than the longest of them. Raises :class:`ValueError` before the
        first message.
        """
        repair = self._machine.repair()
        if repair is None:
            raise ValueError("nothing to repair: push a message first")
        return repair


class SlidingDecoder:
    """Find lost messages of a :class:`SlidingEncoder` with the help of its repair datagrams.

    It remembers the last `window` messages (1-4,095), best twice the encoder's window. Gaps of
    any size heal by themselves. Messages may come in any order, and repeatedly.
    """

    def __init__(self, window: int = 128) -> None:
        self._machine = _core.FecSlidingDecoder(window)

    def source(self, number: int, message: _Buffer) -> list[tuple[int, bytes]]:
        """Take a message that arrived; return the *other* messages that are found by it."""
        return self._machine.source(number, message)

    def repair(self, datagram: _Buffer) -> list[tuple[int, bytes]]:
        """Take a repair datagram; return the messages that are found by it.

        Raises :class:`ValueError` for what is no repair datagram.
        """
        return self._machine.repair(datagram)


class FECStats(NamedTuple):
    """What a :class:`FECReceiver` has counted."""

    #: Datagrams that arrived.
    datagrams: int
    #: Transfers completed.
    completed: int
    #: Source chunks that were repaired.
    repaired: int
    #: Transfers given up because another one began, or their sender was forgotten.
    abandoned: int
    #: Transfers whose CRC was wrong.
    corrupt: int
    #: Copies of chunks that were there already.
    duplicates: int
    #: Datagrams that do not follow the format.
    malformed: int


class FECReceiver:
    """Receive transfers of :func:`send_with_fec`, or of a tutorial's sender, from a socket.

    Each sender address has one transfer under way at a time; up to 256 senders are followed.
    What is received of one transfer is kept while another one completes.
    """

    def __init__(self, sock: _Socket) -> None:
        self._sock = sock
        self._machine = _core.FecReceiver()

    def receive(self, timeout: float | None = None) -> tuple[bytes, Any]:
        """Return the data of the next transfer that completes, and its sender.

        Raises :class:`TimeoutError` after `timeout` seconds; ``None`` waits as long as it takes.
        Data whose CRC-32 is wrong is never returned. A sender without repair chunks is believed
        50 ms after the last of its chunks.
        """
        if timeout is not None and not isinstance(timeout, int | float):
            raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be a number of seconds from 0 on, not {timeout}")
        before = self._sock.gettimeout()
        try:
            return self._receive(None if timeout is None else time.monotonic() + timeout)
        finally:
            self._sock.settimeout(before)

    def _receive(self, deadline: float | None) -> tuple[bytes, Any]:
        while True:
            quiet = self._machine.next_timeout()
            left = None if deadline is None else deadline - time.monotonic()
            waits = [wait for wait in (quiet, left) if wait is not None]
            # Zero would make the socket non-blocking and change the error; sockets cannot wait
            # for a million years.
            self._sock.settimeout(min(max(min(waits), 1e-6), _WAIT_MAX) if waits else None)
            try:
                datagram, address = self._sock.recvfrom(_DATAGRAM_MAX)
            except TimeoutError:
                if done := self._machine.handle_timeout():
                    return done
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError("no transfer was completed in time") from None
                continue
            data = self._machine.handle(datagram, address)
            if data is not None:
                return data, address

    def stats(self) -> FECStats:
        """Return the counters so far."""
        return FECStats(*self._machine.stats())


def send_with_fec(
    data: _Buffer,
    sock: _Socket,
    dest: Any,
    redundancy: float = 0.3,
    chunk_size: int = 1000,
) -> int:
    """Send `data` to `dest` in chunks, with repair chunks after them; return how many datagrams.

    `redundancy` is the number of repair chunks for each source chunk: ``k`` source chunks get
    ``m = max(1, ceil(k * redundancy))``, and any ``m`` lost datagrams do no harm. There is no
    pacing: data larger than the receiver's socket buffer needs a slower sender.

    Raises :class:`ValueError` for a `chunk_size` outside 1-65,491, for a `redundancy` outside
    0-100, and for data that needs more than 65,535 datagrams; otherwise what ``sendto`` raises.
    """
    datagrams = _core.fec_datagrams(data, redundancy, chunk_size)
    for datagram in datagrams:
        sock.sendto(datagram, dest)
    return len(datagrams)


_receivers: weakref.WeakKeyDictionary[Any, FECReceiver] = weakref.WeakKeyDictionary()


def receive_with_fec(sock: _Socket, timeout: float | None = None) -> bytes:
    """Return the data of the next transfer that completes on `sock`.

    As :meth:`FECReceiver.receive`, without the sender. What other senders have sent so far is
    kept for the next call with the same socket.
    """
    receiver = _receivers.get(sock)
    if receiver is None:
        # The receiver must not keep the socket alive, or it would never leave the table.
        receiver = _receivers[sock] = FECReceiver(weakref.proxy(sock))
    data, _ = receiver.receive(timeout)
    return data
