"""Framed TCP with ``await``: connections on asyncio (or uvloop)."""

from __future__ import annotations

import asyncio
import logging
import struct
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import udpcore
from udpcore.tcp._framing import Buffer, Framing, check_timeouts, framing_or_default

__all__ = ["AsyncConnection", "connect_async"]

LOG = logging.getLogger("udpcore.tcp")
#: Bytes taken from the kernel at once.
CHUNK = 65_536
#: Bytes a connection keeps for a peer that does not read, beside the message being sent.
WRITE_BUFFER_MAX = 65_536


class AsyncConnection:
    """Messages over one TCP connection; made by :func:`connect_async` or an :class:`AsyncServer`.

    One task may receive while others send. ``async for`` gives messages until the peer has
    closed.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        framing: Framing,
        *,
        idle_timeout: float | None = None,
        write_timeout: float | None = 30.0,
    ) -> None:
        writer.transport.set_write_buffer_limits(high=WRITE_BUFFER_MAX)
        self._reader = reader
        self._writer = writer
        self._framing = framing
        self._parser = framing.parser()
        self._idle_timeout = idle_timeout
        self._write_timeout = write_timeout
        self._write_lock = asyncio.Lock()
        self._stopping = False

    @property
    def address(self) -> Any:
        """The peer's address."""
        return self._writer.get_extra_info("peername")

    @property
    def closed(self) -> bool:
        """Whether the connection is closed on this side."""
        return self._writer.is_closing()

    async def recv(self, timeout: float | None = None) -> bytes:
        """Wait for one message; arguments and errors as :meth:`Connection.recv`."""
        timeout = self._idle_timeout if timeout is None else timeout
        message = self._parser.next_message()
        if message is not None:
            return message
        try:
            async with asyncio.timeout(timeout) as limit:
                return await self._recv()
        except TimeoutError:
            if not limit.expired():  # the network's, not ours
                raise
            raise TimeoutError("the peer has not completed a message for too long") from None

    async def _recv(self) -> bytes:
        while (message := self._parser.next_message()) is None:
            # A reader that is read goes on to ask for more: never again after stop_reading().
            data = b"" if self._stopping else await self._reader.read(CHUNK)
            if not data:
                if not self._stopping:
                    self._parser.finish()
                raise EOFError("the peer has closed the connection")
            self._parser.feed(data)
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except EOFError:
            raise StopAsyncIteration from None

    async def send(self, message: Buffer, timeout: float | None = None) -> None:
        """Send one message; returns when at most 64 KiB wait for the peer to read.

        Arguments and errors as :meth:`Connection.send`.
        """
        frame = self._framing.compose(message)
        timeout = self._write_timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(timeout), self._write_lock:
                self._writer.write(frame)
                await self._writer.drain()
        except TimeoutError:
            self.abort()
            raise TimeoutError("the peer has read nothing for too long") from None

    def stop_reading(self) -> None:
        """End the stream of messages from here; what was sent already may still go out."""
        self._stopping = True
        if not self._writer.is_closing() and not self._reader.at_eof():
            transport: Any = self._writer.transport
            transport.pause_reading()
            self._reader.feed_eof()  # wakes the task that waits for a message

    def abort(self) -> None:
        """Reset the connection and drop what waits to be sent."""
        sock = self._writer.get_extra_info("socket")
        with suppress(OSError):  # already gone
            sock.setsockopt(udpcore.SOL_SOCKET, udpcore.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        """Send what is left, for ``write_timeout`` seconds at most, and close."""
        self._writer.close()
        try:
            async with asyncio.timeout(self._write_timeout):
                await self._writer.wait_closed()
        except TimeoutError:
            self.abort()
        except OSError as error:  # the peer was quicker
            LOG.debug("closing: %s", error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncConnection {'closed' if self.closed else self.address}>"


async def connect_async(
    address: tuple[Any, ...],
    *,
    framing: Framing | None = None,
    timeout: float | None = 10.0,
    idle_timeout: float | None = None,
    write_timeout: float | None = 30.0,
) -> AsyncConnection:
    """Connect to a server that speaks the same framing; as :func:`connect`, with ``await``.

    >>> import asyncio
    >>> from udpcore import tcp
    >>> async def main():
    ...     async def echo(connection):
    ...         async for message in connection:
    ...             await connection.send(message)
    ...     async with tcp.AsyncServer(echo) as server:
    ...         async with await connect_async(server.address) as connection:
    ...             await connection.send(b"hello")
    ...             return await connection.recv()
    >>> asyncio.run(main())
    b'hello'
    """
    framing = framing_or_default(framing)
    check_timeouts(timeout=timeout, idle_timeout=idle_timeout, write_timeout=write_timeout)
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(*address[:2])
    return AsyncConnection(
        reader,
        writer,
        framing,
        idle_timeout=idle_timeout,
        write_timeout=write_timeout,
    )
