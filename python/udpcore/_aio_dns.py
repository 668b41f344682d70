"""DNS with ``await``: the same questions, answers and exceptions as in :mod:`udpcore.dns`.

UDP and TCP wait in the event loop itself, on asyncio and uvloop alike; TLS, HTTPS and the proof
of signatures work in a thread of the loop's executor.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from itertools import islice
from typing import Any, Unpack

from udpcore import _core
from udpcore.dns import Cache, Message
from udpcore.dns._many import engine_for
from udpcore.dns._plan import Encrypted, QueryOptions, Settings, plan, remaining
from udpcore.dns._resolving import resolving

_log = logging.getLogger("udpcore.dns")


async def query(
    name: str,
    rdtype: str | int,
    server: str | Iterable[str],
    port: int = 53,
    timeout: float = 2.0,
    retries: int = 3,
    tcp: bool = False,
    **options: Unpack[QueryOptions],
) -> Message:
    """Do what :func:`udpcore.dns.query` does, without blocking the loop.

    Cancelling it closes its sockets at once.

    >>> import asyncio
    >>> from udpcore import dns
    >>> async def main(address):
    ...     messages = [query(name, "A", *address) for name in ("www.test", "nope.test")]
    ...     return [str(message.rcode) for message in await asyncio.gather(*messages)]
    >>> zone = "@ SOA ns me 1 2 3 4 5\\nwww 60 A 192.0.2.1\\n"
    >>> with dns.Server(zone, "test") as server:
    ...     asyncio.run(main(server.address))
    ['NOERROR', 'NXDOMAIN']
    """
    loop = asyncio.get_running_loop()
    # A server that is given by its name has to be looked up.
    how = await loop.run_in_executor(
        None, partial(plan, server, port, timeout, retries, tcp, **options)
    )
    if isinstance(how, Encrypted):
        return (await loop.run_in_executor(None, how.ask, (name, rdtype))).message
    message = await _exchange((name, rdtype), how)
    if how.dnssec:
        await loop.run_in_executor(None, how.validate, message)
    return message


async def _exchange(question: tuple[str, str | int], how: Settings) -> Message:
    exchange = _core.DnsExchange(question, how)
    try:
        while True:
            sockets, wait_s = exchange.wants()
            await _ready(sockets, wait_s)
            found = exchange.advance()
            if found is not None:
                return found[0]
    finally:
        exchange.close()


async def _ready(sockets: list[tuple[int, bool]], wait_s: float) -> None:
    """Wait until one of the sockets is ready (for writing where told), or time is up."""
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    timer = loop.call_later(wait_s, woken.set)
    for fd, writes in sockets:
        (loop.add_writer if writes else loop.add_reader)(fd, woken.set)
    try:
        await woken.wait()
    finally:
        timer.cancel()
        for fd, writes in sockets:
            (loop.remove_writer if writes else loop.remove_reader)(fd)


async def resolve(
    name: str,
    rdtype: str | int = "A",
    server: str | Iterable[str] | None = None,
    port: int = 53,
    *,
    timeout: float = 2.0,
    retries: int = 3,
    cache: Cache | None = None,
    **options: Unpack[QueryOptions],
) -> list[str]:
    """Do what :func:`udpcore.dns.resolve` does, without blocking the loop.

    >>> import asyncio
    >>> asyncio.run(resolve("localhost"))
    ['127.0.0.1']
    """
    steps = resolving(name, rdtype, server, port, cache, options)
    began = time.monotonic()
    try:
        question = next(steps)
        while True:
            try:
                left = remaining(options, began)
                message = await query(*question, port, timeout, retries, **left)
            except OSError as error:
                question = steps.throw(error)
            else:
                question = steps.send(message)
    except StopIteration as stop:
        found: list[str] = stop.value
        return found


async def dns_query(
    domain: str,
    dns_server: str = "8.8.8.8",
    *,
    port: int = 53,
    timeout: float = 2.0,
    retries: int = 3,
) -> str | None:
    """Do what :func:`udpcore.dns.dns_query` does, without blocking the loop."""
    try:
        return (await resolve(domain, "A", dns_server, port, timeout=timeout, retries=retries))[0]
    except OSError as error:
        _log.info("no address for %s: %s", domain, error)
        return None


async def resolve_many(
    names: Iterable[str],
    rdtype: str | int = "A",
    server: str | Iterable[str] | None = None,
    port: int = 53,
    concurrency: int = 1000,
    *,
    timeout: float = 10.0,
    rate: int | None = None,
    progress: Callable[[int], object] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[str, Any]]:
    """Yield what :func:`udpcore.dns.resolve_many` yields, as completed, for ``async for``.

    The work is done in a thread of the loop's executor; leaving the loop ends it.

    >>> import asyncio
    >>> async def main():
    ...     async for name, result in resolve_many(["bad..name"], server="127.0.0.1", port=5300):
    ...         print(name, type(result).__name__)
    >>> asyncio.run(main())
    bad..name ValueError
    """
    engine = engine_for(rdtype, server, port, concurrency, timeout=timeout, rate=rate, **options)
    source = iter(names)
    done, more = 0, True
    try:
        while True:
            room = engine.room()
            taken = list(islice(source, room)) if more else []
            more = more and len(taken) == room
            results = await asyncio.to_thread(engine.run, taken, more)
            if not results and not more:
                return
            done += len(results)
            if progress is not None:
                progress(done)
            for result in results:
                yield result
    finally:
        engine.stop()
