"""Both servers beside rude clients: who dies, sends garbage, says nothing or never reads."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from udpcore import tcp

FRAMING = tcp.LengthPrefix(4, max_size=1 << 20)
#: Longer than any test takes.
PATIENCE = 30.0


class AsyncInThread:
    """An AsyncServer on a loop of its own thread, to be tested as the threaded one is."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handler: Any, **options: Any) -> None:
        self._loop = loop
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = tcp.AsyncServer(handler, **options)
        self._call(self._server.start())
        self.address = self._server.address

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    @property
    def stats(self) -> tcp.ServerStats:
        return self._server.stats

    def close(self, timeout: float = 5.0) -> None:
        if self._loop.is_closed():
            return
        self._call(self._server.close(timeout))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


async def echo_async(connection: tcp.AsyncConnection) -> None:
    async for message in connection:
        if message == b"fail":
            raise RuntimeError("as asked for")
        if message.startswith(b"flood"):
            while True:
                await connection.send(bytes(100_000))
        await connection.send(message)


def echo(connection: tcp.Connection) -> None:
    for message in connection:
        if message == b"fail":
            raise RuntimeError("as asked for")
        if message.startswith(b"flood"):
            while True:
                connection.send(bytes(100_000))
        connection.send(message)


@pytest.fixture(params=["threads", "asyncio", "uvloop"])
def serve(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Starts an echo server of the kind."""
    servers: list[Any] = []

    def start(**options: Any) -> Any:
        options = {
            "framing": FRAMING,
            "idle_timeout": PATIENCE,
            "write_timeout": PATIENCE,
        } | options
        if request.param == "threads":
            server: Any = tcp.Server(echo, **options)
        else:
            loops = {"asyncio": asyncio, "uvloop": uvloop}
            loop = loops[request.param].new_event_loop()
            server = AsyncInThread(loop, echo_async, **options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def until(server: Any, **expected: int) -> None:
    """Waits until the counters are as expected."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        stats = server.stats
        if all(getattr(stats, name) == value for name, value in expected.items()):
            return
        time.sleep(0.001)
    raise AssertionError(f"{server.stats} never became {expected}")


def still_serves(server: Any) -> None:
    with tcp.connect(server.address, framing=FRAMING, idle_timeout=PATIENCE) as client:
        client.send(b"still there?")
        assert client.recv() == b"still there?"


def raw(server: Any) -> socket.socket:
    return socket.create_connection(server.address, timeout=PATIENCE)


def read_to_the_end(client: socket.socket) -> bytes:
    received = b""
    while piece := client.recv(100):
        received += piece
    return received


def test_messages_of_all_sizes_come_back(serve):
    server = serve()
    with tcp.connect(server.address, framing=FRAMING, idle_timeout=PATIENCE) as client:
        for size in (0, 1, 1000, 65_536, 1 << 20):
            message = os.urandom(size)
            client.send(message)
            assert client.recv() == message
        # Many at once, in their order.
        for n in range(1000):
            client.send(b"%d" % n)
        assert [int(client.recv()) for _ in range(1000)] == list(range(1000))
    until(server, finished=1, open=0)


def test_a_client_that_dies_within_a_message(serve):
    server = serve()
    with raw(server) as client:
        client.sendall(b"\x00\x00\x00\x10half")
    until(server, garbage=1)
    still_serves(server)


def test_a_client_that_resets(serve):
    server = serve()
    for _ in range(5):
        client = raw(server)
        client.sendall(FRAMING.compose(b"x" * 1000))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    until(server, accepted=5, open=0)
    still_serves(server)


def test_a_client_that_sends_garbage(serve):
    server = serve()
    with raw(server) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        # Its first four letters are a length far too large.
        with pytest.raises(ConnectionResetError):
            read_to_the_end(client)
    until(server, garbage=1)
    still_serves(server)


def test_garbage_after_good_messages(serve):
    server = serve()
    with raw(server) as client:
        client.sendall(FRAMING.compose(b"good") + b"\xff\xff\xff\xff")
        # The reset may overtake the answer.
        with pytest.raises(ConnectionResetError):
            read_to_the_end(client)
    until(server, garbage=1)


def test_a_client_that_says_nothing(serve):
    server = serve(idle_timeout=0.05)
    with raw(server) as client, pytest.raises(ConnectionResetError):
        read_to_the_end(client)
    until(server, timeouts=1)


def test_a_client_that_drips_bytes(serve):
    server = serve(idle_timeout=0.2)
    with raw(server) as client:
        client.sendall(b"\x00\x00\x10\x00")
        while not server.stats.timeouts:
            with suppress(ConnectionResetError, BrokenPipeError):
                client.sendall(b"x")
            time.sleep(0.01)
    until(server, timeouts=1)


def test_a_client_that_never_reads(serve):
    server = serve(write_timeout=0.1)
    with raw(server) as client:
        client.sendall(FRAMING.compose(b"flood"))
        until(server, timeouts=1)
    still_serves(server)


def test_a_handler_that_fails_is_logged_and_hurts_nobody_else(serve, caplog):
    server = serve()
    with caplog.at_level(logging.ERROR, logger="udpcore.tcp"):
        with tcp.connect(server.address, framing=FRAMING, idle_timeout=PATIENCE) as client:
            client.send(b"fail")
            with pytest.raises((EOFError, ConnectionResetError)):
                client.recv()
        until(server, failed=1)
    assert "as asked for" in caplog.text
    still_serves(server)


def test_all_rude_clients_at_once_and_the_books_balance(serve):
    server = serve(idle_timeout=1.5, write_timeout=0.1)
    good_done = threading.Event()

    def good():
        with tcp.connect(server.address, framing=FRAMING, idle_timeout=PATIENCE) as client:
            for n in range(300):
                client.send(b"%d" % n)
                assert int(client.recv()) == n
        good_done.set()

    thread = threading.Thread(target=good)
    thread.start()
    clients = []
    for n in range(40):
        client = raw(server)
        clients.append(client)
        client.sendall(
            [b"", b"\xff\xff\xff\xff", FRAMING.compose(b"flood"), b"\x00\x00\x00\x09cut"][n % 4]
        )
        if n % 4 == 3:
            client.close()
    thread.join(PATIENCE)
    assert good_done.is_set()
    until(server, open=0, accepted=41)
    stats = server.stats
    ended = stats.finished + stats.garbage + stats.timeouts + stats.broken + stats.failed
    assert ended + stats.aborted == stats.accepted
    assert (stats.garbage, stats.timeouts, stats.finished) == (20, 20, 1)
    for client in clients:
        client.close()


def test_a_clean_stop_lets_handlers_finish(serve):
    server = serve()
    clients = [
        tcp.connect(server.address, framing=FRAMING, idle_timeout=PATIENCE) for _ in range(3)
    ]
    for client in clients:
        client.send(b"first")
        assert client.recv() == b"first"
    server.close()
    assert (server.stats.finished, server.stats.open, server.stats.aborted) == (3, 0, 0)
    for client in clients:
        with pytest.raises(EOFError):
            client.recv()
        client.close()
    with pytest.raises(ConnectionRefusedError):
        tcp.connect(server.address)
    server.close()


def test_a_stop_ends_a_busy_connection_after_its_timeout(serve):
    server = serve()
    with raw(server) as client:
        client.sendall(FRAMING.compose(b"flood"))
        assert client.recv(1)
        server.close(timeout=0.1)
    until(server, aborted=1, open=0)


def test_a_client_too_many_waits_for_a_place(serve):
    server = serve(connections_max=1)
    with (
        tcp.connect(server.address, framing=FRAMING, idle_timeout=PATIENCE) as first,
        tcp.connect(server.address, framing=FRAMING, idle_timeout=PATIENCE) as second,
    ):
        first.send(b"1")
        assert first.recv() == b"1"
        second.send(b"2")
        with pytest.raises(TimeoutError):
            second.recv(timeout=0.02)
        first.close()
        assert second.recv() == b"2"


def test_no_descriptor_and_no_thread_is_left(serve):
    before = len(os.listdir("/proc/self/fd"))
    server = serve()
    for _ in range(20):
        still_serves(server)
        with raw(server) as client:
            client.sendall(b"\xff\xff\xff\xff")
    server.close()
    assert len(os.listdir("/proc/self/fd")) <= before
    assert not [t for t in threading.enumerate() if t.name.startswith("udpcore-tcp")]


def test_the_address_must_be_free(serve):
    server = serve()
    with pytest.raises(OSError, match="in use"):
        tcp.Server(echo, server.address)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="connections_max"):
        tcp.Server(echo, connections_max=0)
    with pytest.raises(ValueError, match="connections_max"):
        tcp.AsyncServer(echo_async, connections_max=0)


def test_a_stop_amid_a_flood_is_no_error():
    handled: list[int] = []
    errors: list[Any] = []

    def flood(address: Any, frames: bytes) -> None:
        with suppress(OSError), socket.create_connection(address) as client:
            while True:
                client.sendall(frames)

    async def slow(connection: tcp.AsyncConnection) -> None:
        async for message in connection:
            handled.append(len(message))
            await asyncio.sleep(0.001)

    async def main() -> tcp.ServerStats:
        asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
        server = tcp.AsyncServer(slow, framing=FRAMING)
        await server.start()
        frames = FRAMING.compose(bytes(5000)) * 100
        client = asyncio.create_task(asyncio.to_thread(flood, server.address, frames))
        while len(handled) < 100:
            await asyncio.sleep(0.01)
        await server.close(PATIENCE)
        await client
        return server.stats

    stats = asyncio.run(main())
    assert (stats.accepted, stats.finished, errors) == (1, 1, [])


def test_a_stop_that_is_cancelled_still_ends_the_handlers():
    async def stubborn(connection: tcp.AsyncConnection) -> None:
        await asyncio.Event().wait()

    async def main() -> tcp.ServerStats:
        server = tcp.AsyncServer(stubborn)
        await server.start()
        with pytest.raises(RuntimeError, match=r"listens on .* already"):
            await server.start()
        async with await tcp.connect_async(server.address):
            while server.stats.open == 0:
                await asyncio.sleep(0.01)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await server.close(PATIENCE)
            while server.stats.open:
                await asyncio.sleep(0.01)
        return server.stats

    assert asyncio.run(main()).aborted == 1


@pytest.mark.parametrize("kind", [tcp.Server, tcp.AsyncServer])
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"framing": "lines"}, TypeError),
        ({"idle_timeout": "1"}, TypeError),
        ({"idle_timeout": 0}, ValueError),
        ({"write_timeout": float("nan")}, ValueError),
    ],
)
def test_a_server_that_could_serve_nobody_is_not_made(kind, wrong, error):
    with pytest.raises(error, match=next(iter(wrong))):
        kind(echo, **wrong)
