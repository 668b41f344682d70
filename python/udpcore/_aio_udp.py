"""The UDP endpoint of :mod:`udpcore.aio`.

Reading: the event loop says that the socket is readable, one call takes up to 64 datagrams into
a bounded queue; while the queue is full nothing is read, so the kernel's buffer fills and then
drops, as UDP does. Writing: at once if the kernel has room, otherwise the sender waits its turn.
Needs of the loop only ``add_reader`` and ``add_writer``.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import udpcore
from udpcore._interop import Standard as _Standard

__all__ = ["UDPEndpoint", "open_udp"]

Address = tuple[Any, ...]
Buffer = bytes | bytearray | memoryview

#: Datagrams taken in one call, and sends or receives after which other tasks have their turn.
BATCH = 64
#: The most room a datagram can be given; the longest of UDP have 65,535 bytes.
BUFSIZE_MAX = 16 << 20


class UDPEndpoint:
    """A UDP socket for one event loop; made by :func:`open_udp`, not by hand.

    Any number of tasks may send and receive at once: each datagram goes to one of them.
    """

    def __init__(self, sock: udpcore.socket, *, bufsize: int, queue_max: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._bufsize = bufsize
        self._queue_max = queue_max
        # What came, in its order: datagrams, and errors of the connected peer.
        self._queue: deque[tuple[bytes, Any] | OSError] = deque()
        self._receivers: deque[asyncio.Future[None]] = deque()
        self._senders: deque[asyncio.Future[None]] = deque()
        self._reading = False
        self._turns = 0
        sock.setblocking(False)
        self._resume()

    # Opening and closing.

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._sock.fileno() < 0

    @property
    def local_address(self) -> Any:
        """The endpoint's own address."""
        return self._sock.getsockname()

    @property
    def remote_address(self) -> Any | None:
        """The address it is connected to, or None."""
        try:
            return self._sock.getpeername()
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                return None
            raise

    @property
    def queued(self) -> int:
        """How many datagrams wait to be received."""
        return len(self._queue)

    def fileno(self) -> int:
        """The descriptor, for socket options and :mod:`udpcore.batch`; -1 once closed."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket; who waits to send or receive gets an ``OSError`` (``EBADF``).

        What was received before can still be taken.
        """
        if self.closed:
            return
        self._pause()
        if self._senders:
            self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for waiters in (self._receivers, self._senders):
            while waiters:
                _wake(waiters.popleft())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"local={self.local_address}"
        return f"<UDPEndpoint {state} queued={self.queued}>"

    def _check_open(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "the endpoint is closed")

    async def _take_turns(self) -> None:
        """Let other tasks run now and then, though nothing has to be waited for.

        Before anything is taken or sent: whoever is cancelled here has lost nothing.
        """
        self._turns += 1
        if self._turns >= BATCH:
            self._turns = 0
            await asyncio.sleep(0)

    # Receiving.

    def _resume(self) -> None:
        if not self._reading and not self.closed and len(self._queue) < self._queue_max:
            self._reading = True
            self._loop.add_reader(self._sock.fileno(), self._on_readable)

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock.fileno())

    def _on_readable(self) -> None:
        room = min(BATCH, self._queue_max - len(self._queue))
        try:
            self._queue.extend(self._sock.recvmmsg(room, self._bufsize))
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                self._queue.append(error)
            self._watch_again()
        if len(self._queue) >= self._queue_max:
            self._pause()
        for waiter in list(self._receivers)[: len(self._queue)]:
            _wake(waiter)

    def _watch_again(self) -> None:
        """Go on after an error: libuv (uvloop) stops watching a descriptor that reported one."""
        self._pause()
        self._resume()
        if self._senders and not self.closed:
            self._loop.remove_writer(self._sock.fileno())
            self._loop.add_writer(self._sock.fileno(), self._on_writable)

    async def _wait_for_datagram(self) -> None:
        while not self._queue:
            self._check_open()
            waiter = self._loop.create_future()
            self._receivers.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # The datagram this task was woken for is for the next one.
                if not waiter.cancelled() and self._receivers:
                    self._pass_on(waiter)
                raise
            finally:
                _discard(self._receivers, waiter)

    def _pass_on(self, waiter: asyncio.Future[None]) -> None:
        others = (other for other in self._receivers if other is not waiter and not other.done())
        if other := next(others, None):
            _wake(other)

    async def receive(self) -> tuple[bytes, Any]:
        """Wait for one datagram: ``(data, address)``.

        Raises ``ConnectionRefusedError`` and other errors of the connected peer, each once; the
        endpoint stays usable. ``OSError`` (``EBADF``) once closed and emptied. Cancelled, it has
        taken nothing.
        """
        await self._take_turns()
        await self._wait_for_datagram()
        item = self._queue.popleft()
        self._resume()
        if isinstance(item, OSError):
            raise item
        return item

    async def receive_many(self, max_messages: int = BATCH) -> list[tuple[bytes, Any]]:
        """Wait for one datagram and take with it what is there, up to ``max_messages``.

        Raises as :meth:`receive`, before any datagram that came after the error.
        """
        if max_messages < 1:
            raise ValueError(f"max_messages must be at least 1, not {max_messages}")
        taken = [await self.receive()]
        while self._queue and len(taken) < max_messages:
            item = self._queue[0]
            if isinstance(item, OSError):
                break
            taken.append(item)
            self._queue.popleft()
        self._resume()
        return taken

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[bytes, Any]:
        """The next datagram; the loop ends when the endpoint is closed and emptied."""
        try:
            return await self.receive()
        except OSError as error:
            if error.errno == errno.EBADF and self.closed:
                raise StopAsyncIteration from None
            raise

    # Sending.

    def _on_writable(self) -> None:
        if self._senders:
            _wake(self._senders[0])

    async def _wait_for_room(self) -> None:
        """Wait for this task's turn to send."""
        self._check_open()
        waiter = self._loop.create_future()
        if not self._senders:
            self._loop.add_writer(self._sock.fileno(), self._on_writable)
        self._senders.append(waiter)
        try:
            await waiter
        finally:
            _discard(self._senders, waiter)
            if not self._senders and not self.closed:
                self._loop.remove_writer(self._sock.fileno())
        self._check_open()

    async def send(self, data: Buffer, address: Address | None = None) -> None:
        """Send one datagram, to ``address`` or to the connected peer; waits for room if need be.

        Raises ``OSError`` from the kernel (``ConnectionRefusedError`` for an earlier datagram
        nobody wanted, ``EMSGSIZE``); ``EBADF`` once closed. Cancelled, it has sent nothing.
        """
        await self._take_turns()
        self._check_open()
        if self._senders:
            await self._wait_for_room()
        while True:
            try:
                if address is None:
                    self._sock.send(data)
                else:
                    self._sock.sendto(data, address)
            except BlockingIOError:
                await self._wait_for_room()
            except OSError:
                self._watch_again()
                raise
            else:
                return

    async def send_many(self, messages: Iterable[Any]) -> int:
        """Send datagrams with as few calls as possible; return how many.

        ``messages`` as for :func:`udpcore.batch.sendmmsg`: ``(data, address)`` pairs or data.
        Waits until the kernel has taken all. Raises ``OSError`` for a datagram the kernel
        refuses; those before it are sent.
        """
        await self._take_turns()
        self._check_open()
        left = list(messages)
        sent = 0
        if self._senders:
            await self._wait_for_room()
        while sent < len(left):
            try:
                sent += self._sock.sendmmsg(left[sent:] if sent else left)
            except BlockingIOError:
                await self._wait_for_room()
            except OSError:
                self._watch_again()
                raise
        return sent


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _discard(waiters: deque[asyncio.Future[None]], waiter: asyncio.Future[None]) -> None:
    with suppress(ValueError):
        waiters.remove(waiter)


class _Opening:
    """What :func:`open_udp` gives: ``await`` it, or use it in ``async with``."""

    def __init__(self, open_now: Any) -> None:
        self._open_now = open_now
        self._endpoint: UDPEndpoint | None = None

    def __await__(self) -> Generator[Any, None, UDPEndpoint]:
        endpoint: UDPEndpoint = yield from self._open_now().__await__()
        return endpoint

    async def __aenter__(self) -> UDPEndpoint:
        self._endpoint = await self
        return self._endpoint

    async def __aexit__(self, *_exception: object) -> None:
        if self._endpoint is not None:
            self._endpoint.close()


def open_udp(
    local: Address | None = None,
    remote: Address | None = None,
    *,
    sock: udpcore.socket | _Standard | None = None,
    bufsize: int = 65_536,
    queue_max: int = 1024,
    reuse_port: bool = False,
) -> _Opening:
    """Open a UDP endpoint: ``endpoint = await open_udp(...)`` or ``async with open_udp(...)``.

    ``local`` is the address to bind to, ``remote`` the one to connect to, each a tuple as for
    ``socket.bind``; host names are resolved without blocking. Neither means any IPv4 address and
    a free port. ``sock`` takes over a datagram socket instead, the standard module's too (it is
    detached then). ``bufsize``: longer datagrams are cut off. ``queue_max``: datagrams kept while
    nobody receives; beyond that the kernel's buffer fills, then the kernel drops. ``reuse_port``
    lets several processes share the port.

    Raises ``OSError`` when the address is taken, ``gaierror`` for unknown names, ``ValueError``
    for a size out of range, ``sock`` together with an address or not for datagrams.

    >>> import asyncio
    >>> async def main():
    ...     endpoint = await open_udp(("127.0.0.1", 0))
    ...     await endpoint.send_many((f"{i}".encode(), endpoint.local_address) for i in range(3))
    ...     print(await endpoint.receive_many(3) == [
    ...         (b"0", endpoint.local_address),
    ...         (b"1", endpoint.local_address),
    ...         (b"2", endpoint.local_address),
    ...     ])
    ...     endpoint.close()
    >>> asyncio.run(main())
    True
    """
    if not 1 <= bufsize <= BUFSIZE_MAX:
        raise ValueError(f"bufsize must be 1 to {BUFSIZE_MAX} bytes, not {bufsize}")
    if queue_max < 1:
        raise ValueError(f"queue_max must be at least 1, not {queue_max}")
    if sock is not None and not (local is None and remote is None):
        raise ValueError("give either sock, or local and remote")
    if sock is not None and sock.type != udpcore.SOCK_DGRAM:
        raise ValueError(f"sock must be a datagram socket, not {sock!r}")

    async def open_now() -> UDPEndpoint:
        if isinstance(sock, _Standard):
            made = udpcore.from_stdlib(sock)
        elif sock is not None:
            made = sock
        else:
            made = await _make_socket(local, remote, reuse_port)
        try:
            return UDPEndpoint(made, bufsize=bufsize, queue_max=queue_max)
        except BaseException:
            made.close()
            raise

    return _Opening(open_now)


async def _make_socket(
    local: Address | None, remote: Address | None, reuse_port: bool
) -> udpcore.socket:
    family = int(udpcore.AF_UNSPEC)
    if remote is not None:
        family, remote = await _resolve(remote, family)
    if local is not None:
        family, local = await _resolve(local, family)
    elif remote is None:
        family, local = int(udpcore.AF_INET), ("0.0.0.0", 0)
    sock = udpcore.socket(family, udpcore.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if reuse_port:
            sock.setsockopt(udpcore.SOL_SOCKET, udpcore.SO_REUSEPORT, 1)
        if local is not None:
            sock.bind(local)
        if remote is not None:
            sock.connect(remote)
    except OSError as error:
        sock.close()
        if error.errno is not None:
            text = f"{os.strerror(error.errno)} (local={local}, remote={remote})"
            raise OSError(error.errno, text) from None
        raise
    except BaseException:
        sock.close()
        raise
    return sock


async def _resolve(address: Address, family: int) -> tuple[int, Address]:
    host, port, *rest = address
    loop = asyncio.get_running_loop()
    flags = 0 if host else udpcore.AI_PASSIVE
    found = await loop.getaddrinfo(
        host or None, port, family=family, type=udpcore.SOCK_DGRAM, flags=flags
    )
    if not host and family == udpcore.AF_UNSPEC:
        # The empty host means IPv4, as for bind().
        found = [entry for entry in found if entry[0] == udpcore.AF_INET] or found
    found_family, _, _, _, found_address = found[0]
    return int(found_family), (*found_address[:2], *rest) if rest else tuple(found_address)
