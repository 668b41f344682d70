"""Framed connections on their own: threads, tasks, timeouts, uvloop, IPv6."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop

from udpcore import tcp

LINES = tcp.Delimiter(b"\n")
PATIENCE = 30.0


def echo(connection):
    for message in connection:
        connection.send(message)


async def echo_async(connection):
    async for message in connection:
        await connection.send(message)


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as one:
        one.settimeout(20)
        yield one


def test_one_thread_sends_while_another_receives():
    def twice(connection):
        for message in connection:
            connection.send(message)
            connection.send(message)

    with tcp.Server(twice) as server, tcp.connect(server.address, idle_timeout=20) as client:
        sent = [b"%d" % n * 1000 for n in range(500)]
        sender = threading.Thread(target=lambda: [client.send(message) for message in sent])
        sender.start()
        got = [client.recv() for _ in range(1000)]
        sender.join()
        assert got[::2] == got[1::2] == sent


def test_a_receive_times_out_and_can_be_repeated(listener):
    with tcp.connect(listener.getsockname(), framing=LINES) as client:
        peer, _ = listener.accept()
        with peer:
            begin = time.monotonic()
            with pytest.raises(TimeoutError, match="sent nothing"):
                client.recv(timeout=0.02)
            assert time.monotonic() - begin >= 0.02
            peer.sendall(b"he")
            with pytest.raises(TimeoutError):
                client.recv(timeout=0.02)
            peer.sendall(b"llo\n")
            assert client.recv(timeout=20) == b"hello"
            peer.sendall(b"bye")
        with pytest.raises(tcp.FrameError, match="ended 3 bytes"):
            client.recv(timeout=20)


def send_many(client):
    for _ in range(1000):
        client.send(bytes(100_000))


def test_a_peer_that_does_not_read_ends_the_connection(listener):
    with tcp.connect(listener.getsockname(), write_timeout=0.05) as client:
        peer, _ = listener.accept()
        with peer:
            with pytest.raises(TimeoutError, match="read nothing"):
                send_many(client)
            assert client.closed
            with pytest.raises(OSError, match="Bad file descriptor"):
                client.send(b"more")


def test_nobody_listens(listener):
    address = listener.getsockname()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        tcp.connect(address)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(tcp.connect_async(address))


def test_reprs_name_the_state(listener):
    client = tcp.connect(listener.getsockname())
    assert "closed" not in repr(client)
    assert client.address == listener.getsockname()
    client.close()
    assert "closed" in repr(client)


def test_asyncio_connections_on_uvloop_and_ipv6():
    async def main():
        async def echo(connection):
            async for message in connection:
                await connection.send(message)

        async with tcp.AsyncServer(echo, ("::1", 0), framing=LINES) as server:

            async def client(number):
                connection = await tcp.connect_async(server.address, framing=LINES)
                async with connection:
                    for n in range(20):
                        await connection.send(b"%d %d" % (number, n))
                        assert await connection.recv(timeout=20) == b"%d %d" % (number, n)

            await asyncio.gather(*(client(number) for number in range(20)))
            quiet = await tcp.connect_async(server.address, framing=LINES)
            with pytest.raises(TimeoutError):
                await quiet.recv(timeout=0.01)
            await quiet.close()
        assert server.stats.finished + server.stats.aborted == 21

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 30))


def test_cancelling_a_receive_loses_no_message():
    async def main():
        async def talk(connection):
            for n in range(200):
                await connection.send(b"%d" % n)
                await asyncio.sleep(0)

        async with tcp.AsyncServer(talk) as server:
            client = await tcp.connect_async(server.address)
            seen: list[int] = []
            while len(seen) < 200:
                task = asyncio.create_task(client.recv())
                await asyncio.sleep(0)
                if not task.done():
                    await asyncio.sleep(0)
                    task.cancel()
                results = await asyncio.gather(task, return_exceptions=True)
                seen += [int(result) for result in results if isinstance(result, bytes)]
            assert seen == list(range(200))
            await client.close()

    asyncio.run(asyncio.wait_for(main(), 30))


@pytest.mark.parametrize("end", ["close", "abort"])
def test_closing_ends_what_waits_in_other_threads(end):
    told = threading.Event()

    def handler(connection):
        with pytest.raises((EOFError, ConnectionResetError)):
            connection.recv()
        told.set()

    with tcp.Server(handler) as server:
        client = tcp.connect(server.address)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(client.recv)
            while not waiting.running():
                time.sleep(0.001)
            time.sleep(0.05)
            getattr(client, end)()
            assert isinstance(waiting.exception(timeout=PATIENCE), OSError)
        assert told.wait(PATIENCE)


def test_a_timeout_may_be_longer_than_poll_can_count():
    with (
        tcp.Server(echo) as server,
        tcp.connect(server.address, idle_timeout=1e12) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(client.recv)
        time.sleep(0.05)
        client.send(b"hello")
        assert waiting.result(PATIENCE) == b"hello"


def test_a_timeout_of_asyncio_says_what_was_waited_for():
    async def main():
        async with (
            tcp.AsyncServer(echo_async) as server,
            await tcp.connect_async(server.address) as client,
        ):
            with pytest.raises(TimeoutError, match="has not completed a message"):
                await client.recv(timeout=0.01)

    asyncio.run(main())
