"""The transport's connections for asyncio: :func:`connect` and :func:`listen` of ``udpcore.aio``.

The same thread in Rust does the work as for :mod:`udpcore.reliable`; the event loop learns of
changes through one descriptor an endpoint. Nothing here runs in an executor, and nothing is lost
when a task is cancelled: a message is taken and returned in one step.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from udpcore._core import TransportConnection, TransportEndpoint
from udpcore._transport import (
    SOCK_DGRAM,
    Address,
    Buffer,
    ConnectionStats,
    Fec,
    Mode,
    Outcome,
    choose,
    client_endpoint,
    is_name,
)
from udpcore._transport import listen as _listen

__all__ = ["AsyncChannel", "AsyncConnection", "AsyncListener", "AsyncReceipt", "connect", "listen"]

_T = TypeVar("_T")
#: The key of those who wait for new connections.
_ACCEPTS = -1


class _Hub:
    """Wakes the tasks that wait for a connection of one endpoint."""

    def __init__(self, endpoint: TransportEndpoint) -> None:
        self._notifier = endpoint.subscribe()
        self._descriptor = self._notifier.descriptor()
        self._waiters: dict[int, set[asyncio.Future[None]]] = {}
        self._loop = asyncio.get_running_loop()
        # The loop must not keep the hub alive: it goes with its last connection.
        self._loop.add_reader(self._descriptor, _pump, weakref.ref(self))

    async def until(self, key: int, look: Callable[[], _T | None]) -> _T:
        """Look now and after every change until there is something."""
        while (found := look()) is None:
            change: asyncio.Future[None] = self._loop.create_future()
            waiters = self._waiters.setdefault(key, set())
            waiters.add(change)
            try:
                await change
            finally:
                waiters.discard(change)
                if not waiters and self._waiters.get(key) is waiters:
                    del self._waiters[key]
        return found

    def pump(self) -> None:
        changed, accepts = self._notifier.take()
        for key in [*changed, _ACCEPTS] if accepts else changed:
            for change in self._waiters.get(key, ()):
                if not change.done():
                    change.set_result(None)

    def __del__(self) -> None:
        descriptor = getattr(self, "_descriptor", None)
        if descriptor is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(descriptor)
            os.close(descriptor)


def _pump(hub: weakref.ref[_Hub]) -> None:
    if (alive := hub()) is not None:
        alive.pump()


class AsyncReceipt:
    """Tells what became of one message."""

    __slots__ = ("_connection", "_number")

    def __init__(self, connection: _Core, number: int) -> None:
        self._connection = connection
        self._number = number

    async def wait(self) -> Outcome:
        """Wait until the fate of the message is known; see :meth:`udpcore.reliable.Receipt.wait`"""
        return await self._connection.outcome(self._number)

    def __repr__(self) -> str:
        return f"<AsyncReceipt {self._number}>"


class _Core:
    """What a connection and its channels share."""

    def __init__(self, raw: TransportConnection, hub: _Hub) -> None:
        self.raw = raw
        self.hub = hub

    async def until(self, look: Callable[[], _T | None]) -> _T:
        return await self.hub.until(self.raw.token, look)

    async def send(
        self,
        messages: list[Buffer],
        channel: int,
        deadline: float | None,
        priority: int,
        fec: Fec,
    ) -> list[AsyncReceipt]:
        numbers: list[int] = []

        def push() -> bool | None:
            numbers.extend(
                self.raw.send_now(messages, len(numbers), channel, deadline, priority, fec)
            )
            return True if len(numbers) == len(messages) else None

        await self.until(push)
        return [AsyncReceipt(self, number) for number in numbers]

    async def recv_many(self, n: int, channel: int | None) -> list[bytes]:
        return await self.until(lambda: self.raw.recv_now(n, channel) or None)

    async def outcome(self, number: int) -> Outcome:
        def look() -> Outcome | None:
            try:
                return self.raw.wait_outcome(number, 0)
            except TimeoutError:
                return None

        return await self.until(look)

    async def each(self, channel: int | None) -> AsyncIterator[bytes]:
        while True:
            # One at a time: a loop that is left must not have taken more than it used.
            try:
                messages = await self.recv_many(1, channel)
            except EOFError:
                return
            yield messages[0]


class AsyncChannel:
    """One channel of a connection; made by :meth:`AsyncConnection.channel`."""

    __slots__ = ("_core", "id", "mode")

    def __init__(self, core: _Core, id: int, mode: Mode) -> None:
        self._core = core
        self.id = id
        self.mode = mode

    async def send(
        self,
        data: Buffer,
        *,
        deadline: float | None = None,
        priority: int = 0,
        fec: Fec = None,
    ) -> AsyncReceipt:
        """Send a message; see :meth:`AsyncConnection.send`."""
        return (await self._core.send([data], self.id, deadline, priority, fec))[0]

    async def recv(self) -> bytes:
        """The next message of this channel."""
        return (await self._core.recv_many(1, self.id))[0]

    async def recv_many(self, n: int) -> list[bytes]:
        """Up to ``n`` messages of this channel: waits for the first, takes what is there."""
        return await self._core.recv_many(n, self.id)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._core.each(self.id)

    def __repr__(self) -> str:
        return f"<AsyncChannel {self.id} {self.mode}>"


class AsyncConnection:
    """A connection for asyncio; the methods mean what they mean in ``udpcore.reliable``.

    Any of them may be cancelled (``asyncio.timeout``, ``Task.cancel``): a message that was not
    returned is still there for the next call. It belongs to the loop it was made in.
    """

    __slots__ = ("_core", "_endpoint")

    def __init__(
        self, raw: TransportConnection, hub: _Hub, endpoint: TransportEndpoint | None = None
    ) -> None:
        self._core = _Core(raw, hub)
        self._endpoint = endpoint

    async def send(
        self,
        data: Buffer,
        channel: int = 0,
        deadline: float | None = None,
        priority: int = 0,
        fec: Fec = None,
    ) -> AsyncReceipt:
        """Hand over a message; waits while the send buffer is full, which is the back-pressure."""
        return (await self._core.send([data], channel, deadline, priority, fec))[0]

    async def send_many(
        self,
        messages: Iterable[Buffer],
        channel: int = 0,
        deadline: float | None = None,
        priority: int = 0,
        fec: Fec = None,
    ) -> list[AsyncReceipt]:
        """Hand over many messages; what was taken before a cancellation stays taken."""
        return await self._core.send(list(messages), channel, deadline, priority, fec)

    async def recv(self) -> bytes:
        """The next message of any channel without an :class:`AsyncChannel` of its own.

        Raises EOFError when the connection was closed in order and every message was taken,
        ConnectionError when it broke.
        """
        return (await self._core.recv_many(1, None))[0]

    async def recv_many(self, n: int) -> list[bytes]:
        """Up to ``n`` messages: waits for the first, takes what is there."""
        return await self._core.recv_many(n, None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._core.each(None)

    def channel(self, id: int, mode: Mode = "ordered") -> AsyncChannel:
        """Open a channel; ``mode`` is how what this side sends on it is delivered."""
        self._core.raw.open_channel(id, mode)
        return AsyncChannel(self._core, id, mode)

    def stats(self) -> ConnectionStats:
        """Counters and the state of the path, at this moment."""
        return ConnectionStats(**self._core.raw.stats())

    @property
    def remote_address(self) -> Address | None:
        """The peer's address; it changes when the peer moves."""
        return self._core.raw.remote()

    @property
    def closed(self) -> str | None:
        """Why the connection ended, or None."""
        return self._core.raw.close_reason()

    async def close(self) -> None:
        """Close in order: what was accepted is delivered first."""
        raw = self._core.raw
        raw.start_close()
        await self._core.until(raw.close_reason)

    def abort(self) -> None:
        """Close at once: what is not acknowledged is lost."""
        self._core.raw.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.abort()

    def __repr__(self) -> str:
        return f"<AsyncConnection to {self.remote_address}: {self.closed or 'open'}>"


class AsyncListener:
    """Accepts connections; made by :func:`listen`."""

    __slots__ = ("_endpoint", "_hub", "address")

    def __init__(self, endpoint: TransportEndpoint) -> None:
        self._endpoint = endpoint
        self._hub = _Hub(endpoint)
        #: Where it listens: (host, port).
        self.address: Address = endpoint.address

    async def accept(self) -> AsyncConnection:
        """The next connection; raises BrokenPipeError once the listener is closed."""

        def look() -> TransportConnection | None:
            try:
                return self._endpoint.accept(0)
            except TimeoutError:
                return None

        return AsyncConnection(await self._hub.until(_ACCEPTS, look), self._hub)

    async def __aiter__(self) -> AsyncIterator[AsyncConnection]:
        while True:
            try:
                connection = await self.accept()
            except BrokenPipeError:
                return
            yield connection

    def dropped(self) -> dict[str, int]:
        """Datagrams dropped before they reached a connection, by reason (``"bad_handshake"``…)."""
        return self._endpoint.dropped()

    def close(self) -> None:
        """Accept no more; connections already accepted go on."""
        self._endpoint.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<AsyncListener on {self.address}>"


async def listen(
    address: Address = ("127.0.0.1", 0),
    secret: str | bytes | None = None,
    *,
    key: bytes | None = None,
    plaintext: bool = False,
    **options: Any,
) -> AsyncListener:
    """Listen for connections; the arguments are those of :func:`udpcore.reliable.listen`.

    >>> async def greet():
    ...     async with await listen() as server:
    ...         async with await connect(server.address) as conn:
    ...             there = await server.accept()
    ...             await conn.send(b"hello")
    ...             return await there.recv()
    >>> asyncio.run(greet())
    b'hello'
    """
    numeric = await _numeric(address)
    listener = _listen(numeric, secret, key=key, plaintext=plaintext, **options)
    return AsyncListener(listener.endpoint)


async def connect(
    address: Address,
    secret: str | bytes | None = None,
    congestion: str = "cubic",
    timeout: float | None = 10.0,
    *,
    peer_key: bytes | None = None,
    plaintext: bool = False,
    **options: Any,
) -> AsyncConnection:
    """Connect to a listener; the arguments are those of :func:`udpcore.reliable.connect`."""
    numeric = await _numeric(address)
    endpoint = client_endpoint(numeric, secret, congestion, timeout, peer_key, plaintext, options)
    hub = _Hub(endpoint)
    raw = endpoint.connect(numeric)

    def look() -> bool | None:
        try:
            raw.wait_connected(0)
        except TimeoutError:
            # Over, or merely not there yet.
            if raw.close_reason() is not None:
                raise
            return None
        return True

    await hub.until(raw.token, look)
    return AsyncConnection(raw, hub, endpoint)


async def _numeric(address: Address) -> Address:
    """The address with its host looked up, without holding up the loop."""
    if not is_name(address):
        return address
    loop = asyncio.get_running_loop()
    return choose(await loop.getaddrinfo(address[0], address[1], type=SOCK_DGRAM))
