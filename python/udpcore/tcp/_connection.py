"""A framed connection for threads: blocking calls with deadlines, one reader and any writers."""

from __future__ import annotations

import errno
import select
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

import udpcore
from udpcore.tcp._framing import Buffer, Framing, check_timeouts, framing_or_default

__all__ = ["Connection", "connect"]

#: Bytes taken from the kernel at once.
CHUNK = 65_536
#: The longest single wait in seconds; poll(2) counts in milliseconds and an int.
_WAIT_MAX = 86_400.0


class Connection:
    """Messages over one TCP connection; made by :func:`connect` or a :class:`Server`.

    One thread may receive while others send. Iterating gives messages until the peer has closed.
    """

    def __init__(
        self,
        sock: Any,
        framing: Framing,
        *,
        idle_timeout: float | None = None,
        write_timeout: float | None = 30.0,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._framing = framing
        self._parser = framing.parser()
        self._idle_timeout = idle_timeout
        self._write_timeout = write_timeout
        self._write_lock = threading.Lock()
        self._stopping = False
        # What was done to it on this side: nothing yet, "closed" or "aborted".
        self._end = ""

    @property
    def address(self) -> Any:
        """The peer's address."""
        return self._sock.getpeername()

    @property
    def local_address(self) -> Any:
        """The own address."""
        return self._sock.getsockname()

    @property
    def closed(self) -> bool:
        """Whether the connection is closed on this side."""
        return bool(self._sock.fileno() < 0)

    def _wait(self, event: int, end: float | None, what: str) -> None:
        fd = self._sock.fileno()
        if fd < 0:  # closed by another thread just now
            raise OSError(errno.EBADF, "the connection is closed")
        poll = select.poll()
        poll.register(fd, event)
        left = _WAIT_MAX if end is None else max(0.0, end - time.monotonic())
        # Rounded up: a deadline is never early.
        ready = poll.poll(int(min(left, _WAIT_MAX) * 1000) + 1)
        if not ready and end is not None and time.monotonic() >= end:
            raise TimeoutError(f"{what} for too long")

    def recv(self, timeout: float | None = None) -> bytes:
        """Wait for one message.

        ``timeout`` in seconds, None for the connection's ``idle_timeout``. Raises
        ``TimeoutError``, ``EOFError`` when the peer has closed after its last message,
        :class:`FrameError` when what came is no message, ``OSError`` when the connection broke.
        """
        timeout = self._idle_timeout if timeout is None else timeout
        end = None if timeout is None else time.monotonic() + timeout
        while (message := self._parser.next_message()) is None:
            try:
                data = self._sock.recv(CHUNK)
            except BlockingIOError:
                self._wait(select.POLLIN, end, "the peer has sent nothing")
                continue
            if not data:
                if self._end:
                    raise ConnectionAbortedError(f"the connection was {self._end} on this side")
                if not self._stopping:
                    self._parser.finish()
                raise EOFError("the peer has closed the connection")
            self._parser.feed(data)
            if end is not None and time.monotonic() > end:
                # A peer that sends a byte now and then is no better than a silent one.
                if (message := self._parser.next_message()) is not None:
                    return message
                raise TimeoutError("the peer has not completed a message for too long")
        return message

    def __iter__(self) -> Iterator[bytes]:
        while True:
            try:
                yield self.recv()
            except EOFError:
                return

    def send(self, message: Buffer, timeout: float | None = None) -> None:
        """Send one message; returns when the kernel has taken all of it.

        ``timeout`` in seconds, None for the connection's ``write_timeout``. Raises
        ``ValueError`` for a message the framing cannot send, ``TimeoutError`` when the peer does
        not read (the connection is reset then: half a message cannot be taken back), ``OSError``
        when the connection is broken.
        """
        frame = memoryview(self._framing.compose(message))
        timeout = self._write_timeout if timeout is None else timeout
        end = None if timeout is None else time.monotonic() + timeout
        with self._write_lock:
            while frame:
                try:
                    frame = frame[self._sock.send(frame) :]
                except BlockingIOError:
                    try:
                        self._wait(select.POLLOUT, end, "the peer has read nothing")
                    except TimeoutError:
                        self.abort()
                        raise

    def stop_reading(self) -> None:
        """End the stream of messages from here; what was sent already may still go out."""
        self._stopping = True
        with suppress(OSError):  # the peer was quicker
            self._sock.shutdown(udpcore.SHUT_RD)

    def abort(self) -> None:
        """Reset the connection: the peer sees an error, calls that wait in other threads end."""
        self._end = "aborted"
        with suppress(OSError):  # already gone
            self._sock.setsockopt(udpcore.SOL_SOCKET, udpcore.SO_LINGER, struct.pack("ii", 1, 0))
        self._close()

    def close(self) -> None:
        """Close the connection; what was sent still arrives, what waits in other threads ends."""
        self._end = self._end or "closed"
        self._close()

    def _close(self) -> None:
        with suppress(OSError):  # already gone
            # A thread in poll() is not woken by close(), and keeps the connection open. The end
            # of reading is not told to the peer, the end of writing is; only somebody who waits
            # for room needs that.
            sending = self._write_lock.locked()
            self._sock.shutdown(udpcore.SHUT_RDWR if sending else udpcore.SHUT_RD)
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection {'closed' if self.closed else self._sock.fileno()}>"


def connect(
    address: tuple[Any, ...],
    *,
    framing: Framing | None = None,
    timeout: float | None = 10.0,
    idle_timeout: float | None = None,
    write_timeout: float | None = 30.0,
) -> Connection:
    """Connect to a server that speaks the same framing (default: :class:`LengthPrefix`).

    Times in seconds: ``timeout`` for connecting, ``idle_timeout`` for a message to come (None:
    for ever), ``write_timeout`` for one to go, each above 0. Raises ``OSError``
    (``TimeoutError``, ``ConnectionRefusedError``, ``gaierror``).
    """
    framing = framing_or_default(framing)
    check_timeouts(timeout=timeout, idle_timeout=idle_timeout, write_timeout=write_timeout)
    sock = udpcore.create_connection(address, timeout)
    sock.setsockopt(udpcore.IPPROTO_TCP, udpcore.TCP_NODELAY, 1)
    return Connection(sock, framing, idle_timeout=idle_timeout, write_timeout=write_timeout)
