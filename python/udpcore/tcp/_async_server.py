"""A framed TCP server with one task a client, on asyncio (or uvloop).

Accepts by itself, because ``asyncio.Server`` may lose a client that comes while it is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import udpcore
from udpcore.tcp._asyncio import CHUNK, AsyncConnection
from udpcore.tcp._framing import FrameError, Framing, check_timeouts, framing_or_default
from udpcore.tcp._stats import ServerStats

__all__ = ["AsyncServer"]

LOG = logging.getLogger("udpcore.tcp")
#: Pause when the kernel cannot give another descriptor, in seconds.
_ACCEPT_PAUSE = 0.05


class AsyncServer:
    """Awaits ``handler(connection)`` in a task of its own for each client.

    Arguments and behaviour as :class:`Server`. Use it in an ``async with`` block, or
    ``await server.start()`` and ``await server.close()``.
    """

    def __init__(
        self,
        handler: Callable[[AsyncConnection], Awaitable[object]],
        address: tuple[Any, ...] = ("127.0.0.1", 0),
        *,
        framing: Framing | None = None,
        connections_max: int = 1000,
        idle_timeout: float | None = 60.0,
        write_timeout: float | None = 10.0,
    ) -> None:
        if connections_max < 1:
            raise ValueError(f"connections_max must be at least 1, not {connections_max}")
        check_timeouts(idle_timeout=idle_timeout, write_timeout=write_timeout)
        self._handler = handler
        self._wanted = address
        self._framing = framing_or_default(framing)
        self._connections_max = connections_max
        self._idle_timeout = idle_timeout
        self._write_timeout = write_timeout
        self._stats = ServerStats()
        self._listener: udpcore.socket | None = None
        self._accepting = False
        self._address: Any = None
        # The connection is None while the loop takes the socket over.
        self._serving: dict[asyncio.Task[None], AsyncConnection | None] = {}

    @property
    def address(self) -> Any:
        """Where it listens; None before :meth:`start`."""
        return self._address

    @property
    def stats(self) -> ServerStats:
        """A copy of the counters."""
        return replace(self._stats)

    async def start(self) -> None:
        """Begin to listen. Raises ``OSError`` when the address is taken."""
        if self._listener is not None:
            raise RuntimeError(f"it listens on {self._address} already: close() it first")
        family = udpcore.AF_INET6 if ":" in str(self._wanted[0]) else udpcore.AF_INET
        self._listener = udpcore.create_server(self._wanted, family=family)
        self._listener.setblocking(False)
        self._address = self._listener.getsockname()
        self._resume()

    def _resume(self) -> None:
        free = len(self._serving) < self._connections_max
        if self._listener is not None and free and not self._accepting:
            self._accepting = True
            loop = asyncio.get_running_loop()
            loop.add_reader(self._listener.fileno(), self._on_client, self._listener)

    def _pause(self) -> None:
        if self._listener is not None and self._accepting:
            self._accepting = False
            asyncio.get_running_loop().remove_reader(self._listener.fileno())

    def _on_client(self, listener: udpcore.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            # A client that left before its turn, or no descriptor left: neither ends us.
            LOG.warning("accept: %s", error)
            self._pause()
            loop.call_later(_ACCEPT_PAUSE, self._resume)
            return
        sock.setblocking(False)
        task = loop.create_task(self._take(sock))
        self._serving[task] = None
        self._stats.accepted += 1
        self._stats.open += 1
        if len(self._serving) >= self._connections_max:
            self._pause()

    async def _take(self, sock: Any) -> None:
        """Serve one client to its end, whatever happens."""
        how = "broken"
        try:
            with suppress(OSError):
                sock.setsockopt(udpcore.IPPROTO_TCP, udpcore.TCP_NODELAY, 1)
            reader, writer = await asyncio.open_connection(sock=sock, limit=CHUNK)
            connection = AsyncConnection(
                reader,
                writer,
                self._framing,
                idle_timeout=self._idle_timeout,
                write_timeout=self._write_timeout,
            )
            how = await self._serve(connection)
            if how in ("garbage", "timeouts", "aborted"):
                connection.abort()
            await connection.close()
        except (OSError, asyncio.CancelledError) as error:
            LOG.info("a client is gone: %s", error)
            sock.close()
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._serving.pop(task, None)
            self._stats.open -= 1
            setattr(self._stats, how, getattr(self._stats, how) + 1)
            self._resume()

    async def _serve(self, connection: AsyncConnection) -> str:
        """Call the handler; how it ended, as a name of :class:`ServerStats`."""
        task = asyncio.current_task()
        if task is not None:
            self._serving[task] = connection
        if self._listener is None:
            connection.stop_reading()
        try:
            await self._handler(connection)
        except EOFError:
            pass
        except FrameError as error:
            LOG.info("a client is dropped: %s", error)
            return "garbage"
        except TimeoutError as error:
            LOG.info("a client is dropped: %s", error)
            return "timeouts"
        except OSError as error:
            LOG.info("a client is gone: %s", error)
            return "broken"
        except asyncio.CancelledError:
            return "aborted"
        except Exception:
            LOG.exception("a handler failed")
            return "failed"
        return "finished"

    async def close(self, timeout: float = 5.0) -> None:
        """Stop: no more clients, no more messages; handlers have ``timeout`` seconds to finish.

        Those that are busy after that are cancelled and their connections reset.
        """
        if self._listener is None:
            return
        self._pause()
        self._listener.close()
        self._listener = None
        for connection in self._serving.values():
            if connection is not None:
                connection.stop_reading()
        try:
            if self._serving:
                await asyncio.wait(list(self._serving), timeout=timeout)
        finally:  # whoever does not want to wait any longer does not want them to go on either
            for task in list(self._serving):
                task.cancel()
        if self._serving:
            await asyncio.wait(list(self._serving))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncServer {self._address} open={self._stats.open}>"
