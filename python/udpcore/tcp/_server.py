"""A framed TCP server with one thread a client."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

import udpcore
from udpcore.tcp._connection import Connection
from udpcore.tcp._framing import FrameError, Framing, check_timeouts, framing_or_default
from udpcore.tcp._stats import ServerStats

__all__ = ["Server"]

LOG = logging.getLogger("udpcore.tcp")
#: Pause when the kernel cannot give another descriptor, in seconds.
_ACCEPT_PAUSE = 0.05


class Server:
    """Calls ``handler(connection)`` in a thread of its own for each client.

    The connection is closed when the handler returns or raises. ``framing`` is
    :class:`LengthPrefix` unless given. ``connections_max``: further clients wait in the kernel's
    queue. ``idle_timeout``: seconds a client may take for a message, ``write_timeout``: seconds it
    may refuse to read; then it is dropped (None: for ever). The server listens as soon as it is
    made; use it in a ``with`` block or call :meth:`close`.

    >>> from udpcore import tcp
    >>> def echo(connection):
    ...     for message in connection:
    ...         connection.send(message)
    >>> with Server(echo, framing=tcp.Delimiter()) as server:
    ...     with tcp.connect(server.address, framing=tcp.Delimiter()) as client:
    ...         client.send(b"one line")
    ...         client.recv()
    b'one line'
    >>> server.stats.finished
    1
    """

    def __init__(
        self,
        handler: Callable[[Connection], object],
        address: tuple[Any, ...] = ("127.0.0.1", 0),
        *,
        framing: Framing | None = None,
        connections_max: int = 100,
        idle_timeout: float | None = 60.0,
        write_timeout: float | None = 10.0,
    ) -> None:
        if connections_max < 1:
            raise ValueError(f"connections_max must be at least 1, not {connections_max}")
        check_timeouts(idle_timeout=idle_timeout, write_timeout=write_timeout)
        self._handler = handler
        self._framing = framing_or_default(framing)
        self._idle_timeout = idle_timeout
        self._write_timeout = write_timeout
        family = udpcore.AF_INET6 if ":" in str(address[0]) else udpcore.AF_INET
        self._listener = udpcore.create_server(address, family=family)
        # Neither is anybody's default timeout.
        self._listener.settimeout(None)
        self._address = self._listener.getsockname()
        self._places = threading.Semaphore(connections_max)
        self._lock = threading.Lock()
        self._stats = ServerStats()
        self._serving: dict[threading.Thread, Connection] = {}
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept_all, name="udpcore-tcp", daemon=True)
        self._acceptor.start()

    @property
    def address(self) -> Any:
        """Where it listens."""
        return self._address

    @property
    def stats(self) -> ServerStats:
        """A copy of the counters."""
        with self._lock:
            return replace(self._stats)

    def _accept_all(self) -> None:
        while True:
            self._places.acquire()
            if self._closing:
                return
            try:
                sock, _ = self._listener.accept()
            except OSError as error:
                self._places.release()
                if self._closing:
                    return
                # A client that left before its turn, or no descriptor left: neither ends us.
                LOG.warning("accept: %s", error)
                time.sleep(_ACCEPT_PAUSE)
                continue
            self._begin(sock)

    def _begin(self, sock: Any) -> None:
        with suppress(OSError):  # if the client has gone already, its thread will see that
            sock.setsockopt(udpcore.IPPROTO_TCP, udpcore.TCP_NODELAY, 1)
        connection = Connection(
            sock,
            self._framing,
            idle_timeout=self._idle_timeout,
            write_timeout=self._write_timeout,
        )
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
        with self._lock:
            self._stats.accepted += 1
            self._stats.open += 1
            self._serving[thread] = connection
            late = self._closing
        if late:
            connection.stop_reading()
        try:
            thread.start()
        except RuntimeError:  # no thread to be had
            LOG.exception("a client is turned away")
            self._end(thread, connection, "failed")

    def _serve(self, connection: Connection) -> None:
        how = "finished"
        try:
            self._handler(connection)
        except EOFError:
            pass
        except FrameError as error:
            how = "garbage"
            LOG.info("a client is dropped: %s", error)
        except TimeoutError as error:
            how = "timeouts"
            LOG.info("a client is dropped: %s", error)
        except OSError as error:
            how = "broken"
            LOG.info("a client is gone: %s", error)
        except Exception:
            how = "failed"
            LOG.exception("a handler failed")
        self._end(threading.current_thread(), connection, how)

    def _end(self, thread: threading.Thread, connection: Connection, how: str) -> None:
        if how in ("garbage", "timeouts"):
            # Nothing more is owed: no queue of unread data is kept for this client.
            connection.abort()
        connection.close()
        with self._lock:
            # Taken from the table: the stopping server has counted it.
            if self._serving.pop(thread, None) is not None:
                self._stats.open -= 1
                setattr(self._stats, how, getattr(self._stats, how) + 1)
        self._places.release()

    def close(self, timeout: float = 5.0) -> None:
        """Stop: no more clients, no more messages; handlers have ``timeout`` seconds to finish.

        Those that are busy after that have their connections reset.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
            serving = dict(self._serving)
        end = time.monotonic() + timeout
        with suppress(OSError):
            self._listener.shutdown(udpcore.SHUT_RDWR)  # wakes accept()
        self._places.release()
        self._acceptor.join(timeout)
        self._listener.close()
        with self._lock:
            serving |= self._serving
        for connection in serving.values():
            connection.stop_reading()
        for thread in serving:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))
        self._abort_the_rest()

    def _abort_the_rest(self) -> None:
        with self._lock:
            rest, self._serving = self._serving, {}
            self._stats.aborted += len(rest)
            self._stats.open -= len(rest)
        for connection in rest.values():
            connection.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Server {self._address} open={self.stats.open}>"
