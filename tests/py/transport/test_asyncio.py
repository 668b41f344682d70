"""The transport under asyncio: waiting, cancellation, back-pressure, closing."""

from __future__ import annotations

import asyncio
import gc
import os
import time

import pytest

from udpcore._aio_transport import connect, listen
from udpcore.reliable import generate_keys


def run(coroutine):
    """Run with a limit of its own, so that a hang names the test."""

    async def limited():
        async with asyncio.timeout(50):
            return await coroutine

    return asyncio.run(limited())


@pytest.mark.parametrize("options", [{}, {"secret": "s3cret"}, {"plaintext": True}])
def test_echo_many_connections_at_once(options):
    async def serve(server):
        async def echo(connection):
            async for message in connection:
                await connection.send(message)

        async with asyncio.TaskGroup() as tasks:
            async for connection in server:
                tasks.create_task(echo(connection))

    async def ask(address, number):
        async with await connect(address, **options) as connection:
            sent = [f"{number}:{n}".encode() for n in range(50)]
            await connection.send_many(sent)
            assert [await connection.recv() for _ in sent] == sent

    async def main():
        server = await listen(**options)
        serving = asyncio.create_task(serve(server))
        await asyncio.gather(*(ask(server.address, number) for number in range(20)))
        server.close()
        await serving

    run(main())


def test_a_cancelled_receive_loses_nothing():
    async def main():
        async with await listen() as server, await connect(server.address) as client:
            there = await server.accept()
            for number in range(50):
                waiting = asyncio.create_task(there.recv())
                await asyncio.sleep(0)
                await client.send(str(number).encode())
                if number % 2:
                    await asyncio.sleep(0.001 * (number % 5))
                waiting.cancel()
                try:
                    got = await waiting
                except asyncio.CancelledError:
                    got = await there.recv()
                assert got == str(number).encode()

    run(main())


def test_send_waits_while_the_buffer_is_full():
    limits = {
        "message_len_max": 100_000,
        "receive_window": 300_000,
        "channel_window": 200_000,
        "send_buffer": 300_000,
    }

    async def main():
        async with (
            await listen(**limits) as server,
            await connect(server.address, **limits) as client,
        ):
            there = await server.accept()
            sending = asyncio.create_task(client.send_many([bytes(50_000)] * 100))
            done, _ = await asyncio.wait({sending}, timeout=0.2)
            assert not done, "100 messages fit into a buffer for six"
            received = 0
            while received < 100:
                received += len(await there.recv_many(10))
            receipts = await sending
            assert [await receipt.wait() for receipt in receipts] == ["acked"] * 100

    run(main())


def test_timeouts_errors_and_the_end():
    async def main():
        async with await listen(secret="right") as server:
            with pytest.raises(TimeoutError, match="wrong secret"):
                await connect(server.address, secret="wrong", timeout=0.3)
            assert server.dropped()["bad_handshake"] >= 1
            client = await connect(server.address, secret="right")
            there = await server.accept()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.recv()
            await there.send(b"last words")
            closing = asyncio.create_task(there.close())
            assert [message async for message in client] == [b"last words"]
            await closing
            with pytest.raises(EOFError):
                await client.recv()
            with pytest.raises(BrokenPipeError):
                await client.send(b"too late")
        with pytest.raises(BrokenPipeError):
            await server.accept()

    run(main())


def test_accept_ends_when_the_listener_closes():
    async def main():
        server = await listen()
        waiting = asyncio.create_task(server.accept())
        await asyncio.sleep(0.01)
        server.close()
        with pytest.raises(BrokenPipeError):
            await waiting

    run(main())


def test_channels_keys_and_statistics():
    async def main():
        secret_key, public_key = generate_keys()
        async with await listen(key=secret_key) as server:
            client = await connect(("localhost", server.address[1]), peer_key=public_key)
            there = await server.accept()
            ours, theirs = client.channel(3, "unordered"), there.channel(3, "unordered")
            receipt = await ours.send(b"three", deadline=30.0, priority=7)
            await client.send(b"zero")
            assert await there.recv() == b"zero"
            assert await theirs.recv() == b"three"
            assert await receipt.wait() == "acked"
            assert client.stats().messages_sent == 2
            assert there.remote_address is not None
            client.abort()
            with pytest.raises(ConnectionResetError):
                await there.recv()
            _, another = generate_keys()
            with pytest.raises(TimeoutError):
                await connect(server.address, peer_key=another, timeout=0.3)

    run(main())


def test_nothing_stays_open():
    async def main():
        async with await listen() as server:
            for _ in range(20):
                async with await connect(server.address) as client:
                    await client.send(b"x")
                    there = await server.accept()
                    await there.recv()

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run(main())
        gc.collect()
    # The endpoints' threads end in the background, some milliseconds after the last word.
    deadline = time.monotonic() + 30
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before
