"""Asking with ``await``: the same answers as without, many at once, cancelled without a trace."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
import uvloop

from udpcore import aio, dns

Address = tuple[str, int]
Sender = Callable[[bytes, Address, socket.socket], None]
T = TypeVar("T")
Run = Callable[[Awaitable[T]], T]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    """Run a coroutine on each kind of loop."""
    return asyncio.run if request.param == "asyncio" else uvloop.run


def test_answers_are_those_without_await(nsd: Address, run: Run[Any]) -> None:
    names = ["www", "chain1", "nope", "ns1", "web", "loop1", "big", "outside"]

    async def one(name: str) -> object:
        try:
            return await aio.resolve(f"{name}.example.test", "A", *nsd)
        except OSError as error:
            return type(error), str(error)

    async def main() -> list[object]:
        return await asyncio.gather(*map(one, names))

    for name, result in zip(names, run(main()), strict=True):
        expected: object
        try:
            expected = dns.resolve(f"{name}.example.test", "A", *nsd)
        except OSError as error:
            expected = (type(error), str(error))
        assert result == expected, name


def test_truncation_leads_to_tcp(nsd: Address, run: Run[Any]) -> None:
    message = run(aio.query("big.example.test", "TXT", *nsd))
    assert len(message.answers) == 41
    assert run(aio.dns_query("web.example.test", nsd[0], port=nsd[1])) == "192.0.2.10"
    assert run(aio.dns_query("nope.example.test", nsd[0], port=nsd[1])) is None


def test_many_wait_side_by_side(udp_server: Callable[[Sender], Any], run: Run[Any]) -> None:
    """A hundred questions to a server that is silent take the time of one."""
    server = udp_server(lambda *_: None)

    async def main() -> list[object]:
        ask = [
            aio.query(f"n{i}.test", "A", *server.address, timeout=0.5, retries=0)
            for i in range(100)
        ]
        return await asyncio.gather(*ask, return_exceptions=True)

    start = time.monotonic()
    results = run(main())
    assert time.monotonic() - start < 20
    assert {type(result) for result in results} == {dns.DnsTimeoutError}


def test_a_cancelled_question_leaves_nothing(
    udp_server: Callable[[Sender], Any], run: Run[Any]
) -> None:
    server = udp_server(lambda *_: None)

    async def main() -> tuple[int, int]:
        before = len(os.listdir("/proc/self/fd"))
        tasks = [
            asyncio.create_task(aio.query("n.test", "A", *server.address, timeout=60))
            for _ in range(50)
        ]
        while len(server.queries) < 50:
            await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        del tasks
        gc.collect()
        return before, len(os.listdir("/proc/self/fd"))

    before, after = run(main())
    assert before == after


def test_many_names(nsd: Address, run: Run[Any]) -> None:
    names = [f"x{i}.wild.example.test" for i in range(3000)]
    seen: list[int] = []

    async def main() -> dict[str, Any]:
        stream = aio.resolve_many(names, "TXT", *nsd, concurrency=200, progress=seen.append)
        return {name: result async for name, result in stream}

    found = run(main())
    assert found == {name: ['"any"'] for name in names}
    assert seen[-1] == 3000


def test_a_stream_that_is_left_ends_its_thread(
    udp_server: Callable[[Sender], Any], run: Run[Any]
) -> None:
    """The server is silent, the timeout long: without an end the loop could not close."""
    server = udp_server(lambda *_: None)

    async def main() -> None:
        stream = aio.resolve_many(["a.test"], "A", *server.address, timeout=50)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.2)
        await stream.aclose()  # type: ignore[attr-defined]

    start = time.monotonic()
    run(main())
    assert time.monotonic() - start < 20


def test_local_faults_are_value_errors(run: Run[Any]) -> None:
    for name, options in (("a..b", {}), ("a", {"port": 0}), ("a", {"transport": "pigeon"})):
        with pytest.raises(ValueError, match=r"empty label|label|port 0|pigeon"):
            run(aio.query(name, "A", "127.0.0.1", **options))


def test_validated(nsd: Address, run: Run[Any]) -> None:
    """The zone is not signed, and the anchor says that it should be."""
    anchor = f"example.test. IN DS 1 13 2 {'AB' * 32}"
    options: Any = {"dnssec": True, "trust_anchor": anchor}
    message = run(aio.query("www.example.test", "A", *nsd, **options))
    assert message.security is not None
    assert message.security.state == "bogus"
    with pytest.raises(dns.BogusError):
        run(aio.resolve("www.example.test", "A", *nsd, **options))
