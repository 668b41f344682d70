"""udpcore sockets under event loops: asyncio's own and uvloop, low-level calls and transports."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

SECONDS_MAX = 30
Runner = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Runs a coroutine to its end under one of the loops."""
    factory = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop

    def run_on_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(main(), SECONDS_MAX))

    return run_on_loop


def test_low_level_stream(sock: Any, run: Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with sock.create_server(("127.0.0.1", 0)) as server, sock.socket() as client:
            server.setblocking(False)
            client.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(server))
            await loop.sock_connect(client, server.getsockname())
            connection, _ = await accepting
            with connection:
                sending = asyncio.create_task(loop.sock_sendall(client, b"x" * 1_000_000))
                received = 0
                while received < 1_000_000:
                    received += len(await loop.sock_recv(connection, 65536))
                await sending
                room = bytearray(10)
                await loop.sock_sendall(connection, b"back")
                assert await loop.sock_recv_into(client, room) == 4
                assert room[:4] == b"back"

    run(main)


def test_low_level_datagrams(sock: Any) -> None:
    # uvloop has these methods for nobody's sockets.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with sock.socket(sock.AF_INET, sock.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
            room = bytearray(10)
            waiting = asyncio.create_task(loop.sock_recvfrom_into(one, room))
            await asyncio.sleep(0)
            await loop.sock_sendto(one, b"first", one.getsockname())
            assert await waiting == (5, one.getsockname())
            await loop.sock_sendto(one, b"datagram", one.getsockname())
            assert await loop.sock_recvfrom(one, 100) == (b"datagram", one.getsockname())

    asyncio.run(main())


class Echo(asyncio.DatagramProtocol):
    """Sends back what comes, in capitals."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data.upper(), addr)


class Client(asyncio.DatagramProtocol):
    """Keeps the first answer."""

    def __init__(self) -> None:
        self.answer = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answer.set_result((data, addr))


def test_datagram_endpoints(sock: Any, run: Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, two = (sock.socket(sock.AF_INET, sock.SOCK_DGRAM) for _ in range(2))
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        address = one.getsockname()
        server, _ = await loop.create_datagram_endpoint(Echo, sock=one)
        client, protocol = await loop.create_datagram_endpoint(Client, sock=two)
        client.sendto(b"quiet", address)
        assert await protocol.answer == (b"QUIET", address)
        for transport in (client, server):
            transport.close()
        await asyncio.sleep(0.01)

    run(main)


def test_streams(sock: Any, run: Runner) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        listener = sock.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        listener.setblocking(False)
        server = await asyncio.start_server(serve, sock=listener)
        client = sock.create_connection(address)
        client.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(b"line\n")
        assert await reader.readline() == b"LINE\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        assert (listener.fileno(), client.fileno()) == (-1, -1)

    run(main)


def test_readers_and_writers(sock: Any, run: Runner) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with sock.socket(sock.AF_INET, sock.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
            received = loop.create_future()
            loop.add_reader(one, lambda: received.set_result(one.recv(10)))
            one.sendto(b"ready", one.getsockname())
            assert await received == b"ready"
            loop.remove_reader(one)

    run(main)


def test_uvloop_is_the_real_one() -> None:
    assert "uvloop.loop" in sys.modules
