"""The UDP endpoint on real loops: asyncio's and uvloop's."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

import udpcore
from udpcore import aio

LOCAL = ("127.0.0.1", 0)
TIMEOUT = 20


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on a loop of the kind."""
    factory = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[request.param]

    def run_it(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=factory, debug=request.param == "asyncio") as runner:
            return runner.run(asyncio.wait_for(main, TIMEOUT))

    return run_it


def test_echo(run):
    async def main():
        async with aio.open_udp(LOCAL) as server:
            async with aio.open_udp(remote=server.local_address) as client:
                assert client.remote_address == server.local_address
                assert server.remote_address is None
                await client.send(b"ping")
                data, address = await server.receive()
                assert (data, address) == (b"ping", client.local_address)
                await server.send(b"pong", address)
                assert await client.receive() == (b"pong", server.local_address)
            assert client.closed
        assert server.fileno() == -1
        return repr(server)

    assert run(main()) == "<UDPEndpoint closed queued=0>"


def test_ten_thousand_datagrams(run):
    async def main():
        count, window = 10_000, 64
        async with aio.open_udp(LOCAL) as server, aio.open_udp(LOCAL) as client:

            async def serve():
                while True:
                    got = await server.receive_many(256)
                    await server.send_many(got)

            task = asyncio.create_task(serve())
            seen = []
            for begin in range(0, count, window):
                batch = [b"%d" % n for n in range(begin, min(begin + window, count))]
                sent = await client.send_many((d, server.local_address) for d in batch)
                assert sent == len(batch)
                got = 0
                while got < len(batch):
                    answers = await client.receive_many()
                    seen += [int(data) for data, _ in answers]
                    got += len(answers)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert seen == list(range(count))

    run(main())


def test_async_for_ends_when_the_endpoint_is_closed(run):
    async def main():
        endpoint = await aio.open_udp(LOCAL)
        address = endpoint.local_address
        await endpoint.send_many([(b"1", address), (b"2", address), (b"3", address)])
        seen = []
        async for data, sender in endpoint:
            assert sender == address
            seen.append(data)
            if len(seen) == 3:
                endpoint.close()
        assert seen == [b"1", b"2", b"3"]
        with pytest.raises(OSError, match="closed") as raised:
            await endpoint.receive()
        assert raised.value.errno == errno.EBADF
        with pytest.raises(OSError, match="closed"):
            await endpoint.send(b"x", address)
        endpoint.close()

    run(main())


def test_closing_wakes_those_who_wait(run):
    async def main():
        endpoint = await aio.open_udp(LOCAL)
        tasks = [asyncio.create_task(endpoint.receive()) for _ in range(3)]
        await asyncio.sleep(0)
        endpoint.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [result.errno for result in results] == [errno.EBADF] * 3

    run(main())


def test_nobody_there_is_an_error_of_the_receiver_and_of_the_sender(run):
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
            closed.bind(LOCAL)
            nobody = closed.getsockname()
        async with aio.open_udp(remote=nobody) as client:
            await client.send(b"anybody?")
            with pytest.raises(ConnectionRefusedError):
                await client.receive()
            # The endpoint stays usable: the next error is a new one.
            for _ in range(3):
                await client.send(b"really nobody?")
                with pytest.raises(ConnectionRefusedError):
                    await anext(client)
            with pytest.raises(OSError, match="too long"):
                await client.send(bytes(70_000))

    run(main())


def test_a_cancelled_receiver_loses_no_datagram(run):
    async def main():
        async with aio.open_udp(LOCAL) as endpoint:
            for turn in range(60):
                tasks = [asyncio.create_task(endpoint.receive()) for _ in range(4)]
                await asyncio.sleep(0)
                await endpoint.send_many([(b"%d" % n, endpoint.local_address) for n in range(3)])
                # Cancelled before, while or after the datagrams are handed over.
                for _ in range(turn % 6):
                    await asyncio.sleep(0)
                tasks[turn % 4].cancel()
                tasks[(turn + 2) % 4].cancel()
                seen = []
                for _ in range(2):
                    await asyncio.sleep(0)
                while len(seen) + sum(_has_result(task) for task in tasks) < 3:
                    seen.append((await endpoint.receive())[0])
                seen += [task.result()[0] for task in tasks if _has_result(task)]
                assert sorted(seen) == [b"0", b"1", b"2"]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    run(main())


def _has_result(task: asyncio.Task[Any]) -> bool:
    return task.done() and not task.cancelled()


def test_a_timeout_is_a_cancellation(run):
    async def main():
        async with aio.open_udp(LOCAL) as endpoint:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await endpoint.receive()
            await endpoint.send(b"x", endpoint.local_address)
            assert (await endpoint.receive())[0] == b"x"

    run(main())


def test_a_full_queue_stops_reading_and_resumes(run):
    async def main():
        async with aio.open_udp(LOCAL, queue_max=8) as endpoint:
            address = endpoint.local_address
            await endpoint.send_many((b"%d" % n, address) for n in range(50))
            while endpoint.queued < 8:
                await asyncio.sleep(0)
            for _ in range(20):
                await asyncio.sleep(0)
                assert endpoint.queued == 8
            # The rest waits in the kernel.
            seen = [int((await endpoint.receive())[0]) for _ in range(50)]
            assert seen == list(range(50))

    run(main())


def test_senders_wait_for_room_in_their_order_and_can_be_cancelled(run):
    async def main():
        one, two = udpcore.socketpair(udpcore.AF_UNIX, udpcore.SOCK_DGRAM)
        two.setblocking(False)
        with two:
            async with aio.open_udp(sock=one) as endpoint:
                filled = 0
                while True:
                    try:
                        one.send(bytes(4))
                    except BlockingIOError:
                        break
                    filled += 1
                tasks = [asyncio.create_task(endpoint.send(b"%d" % n)) for n in range(5)]
                many = asyncio.create_task(endpoint.send_many([b"5", b"6"]))
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not any(task.done() for task in [*tasks, many])
                tasks[2].cancel()
                seen: list[bytes] = []
                while len(seen) < filled + 6:
                    await asyncio.sleep(0)
                    try:
                        seen += [data for data, _ in two.recvmmsg(4)]
                    except BlockingIOError:
                        continue
                assert await many == 2
                assert seen[filled:] == [b"0", b"1", b"3", b"4", b"5", b"6"]
                assert tasks[2].cancelled()
                # Closing ends those who wait to send.
                while True:
                    try:
                        one.send(b"full")
                    except BlockingIOError:
                        break
                late = asyncio.create_task(endpoint.send(b"late"))
                await asyncio.sleep(0)
            with pytest.raises(OSError, match="closed"):
                await late

    run(main())


def test_a_busy_sender_lets_others_run(run):
    async def main():
        async with aio.open_udp(LOCAL) as endpoint:
            turns = 0

            async def other():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            task = asyncio.create_task(other())
            for _ in range(1000):
                await endpoint.send(b"x", endpoint.local_address)
            assert turns >= 5
            task.cancel()

    run(main())


def test_addresses_names_and_ipv6(run):
    async def main():
        async with (
            aio.open_udp(("::1", 0)) as server,
            aio.open_udp(remote=("::1", server.local_address[1])) as client,
        ):
            await client.send(b"six")
            assert await server.receive() == (b"six", client.local_address)
        async with aio.open_udp(("localhost", 0)) as server:
            assert server.local_address[0] in ("127.0.0.1", "::1")
        async with aio.open_udp(("", 0)) as server:
            assert server.local_address[0] == "0.0.0.0"
        async with aio.open_udp() as server:
            assert server.local_address[0] == "0.0.0.0"
        async with (
            aio.open_udp(LOCAL, reuse_port=True) as one,
            aio.open_udp(one.local_address, reuse_port=True) as two,
        ):
            assert one.local_address == two.local_address

    run(main())


def test_what_makes_no_sense_is_refused(run):
    async def main():
        async with aio.open_udp(LOCAL) as taken:
            with pytest.raises(OSError, match="in use"):
                await aio.open_udp(taken.local_address)
            with pytest.raises(ValueError, match="at least 1"):
                await taken.receive_many(0)
        with pytest.raises(socket.gaierror):
            await aio.open_udp(("no.such.host.invalid", 1))
        with pytest.raises(ValueError, match="bufsize"):
            aio.open_udp(bufsize=0)
        with pytest.raises(ValueError, match="queue_max"):
            aio.open_udp(queue_max=0)
        with (
            udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM) as sock,
            pytest.raises(ValueError, match="either sock"),
        ):
            aio.open_udp(LOCAL, sock=sock)

    run(main())


def test_cancelling_at_every_await_loses_and_doubles_nothing(run):
    """The pauses for other tasks included, of which there is one in 64 calls."""

    async def main():
        async with aio.open_udp(LOCAL) as endpoint:
            got: list[int] = []
            for number in range(1000):
                await endpoint.send(b"%d" % number, endpoint.local_address)
                receiving = asyncio.create_task(endpoint.receive())
                for _ in range(number % 5):
                    await asyncio.sleep(0)
                receiving.cancel()
                results = await asyncio.gather(receiving, return_exceptions=True)
                got += [int(result[0]) for result in results if isinstance(result, tuple)]
            while len(got) < 1000:
                got.append(int((await endpoint.receive())[0]))
            assert got == list(range(1000))

            sent = 0
            for _ in range(500):
                sending = asyncio.create_task(endpoint.send(b"x", endpoint.local_address))
                await asyncio.sleep(0)
                sending.cancel()
                results = await asyncio.gather(sending, return_exceptions=True)
                sent += results == [None]
            await endpoint.send(b"end", endpoint.local_address)
            while (await endpoint.receive())[0] == b"x":
                sent -= 1
            assert sent == 0

    run(main())


def test_a_standard_socket_is_taken_over_and_a_stream_is_not(run):
    async def main():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as standard:
            standard.bind(LOCAL)
            async with aio.open_udp(sock=standard) as endpoint:
                await endpoint.send(b"hello", endpoint.local_address)
                assert await endpoint.receive() == (b"hello", endpoint.local_address)
            assert standard.fileno() == -1
        for module in (socket, udpcore):
            with module.socket() as stream, pytest.raises(ValueError, match="datagram socket"):
                aio.open_udp(sock=stream)
        with pytest.raises(ValueError, match="bufsize must be 1 to 16777216 bytes"):
            aio.open_udp(bufsize=1 << 40)

    run(main())
