"""Many names at once: every name comes back exactly once, with its records or an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from os import PathLike
from typing import Any

from udpcore import _core
from udpcore.dns._addresses import addresses_of
from udpcore.dns._connection import Transport
from udpcore.dns._many_streams import Way, over_connections
from udpcore.dns._plan import Encrypted, plan
from udpcore.dns._system import read_system

#: With ``ordered=True`` so many results per open question may wait for an earlier one.
HELD_FACTOR = 8


def resolve_many(
    names: Iterable[str],
    rdtype: str | int = "A",
    server: str | Iterable[str] | None = None,
    port: int = 53,
    concurrency: int = 1000,
    *,
    timeout: float = 10.0,
    rate: int | None = None,
    ordered: bool = False,
    progress: Callable[[int], object] | None = None,
    messages: bool = False,
    edns: int | None = 1232,
    dnssec_ok: bool = False,
    recursion_desired: bool = True,
    mix_case: bool = True,
    transport: Transport = "udp",
    server_name: str | None = None,
    cafile: str | PathLike[str] | None = None,
    path: str = "/dns-query",
    dnssec: bool = False,
    trust_anchor: str | None = None,
) -> Iterator[tuple[str, Any]]:
    """Resolve `names` and yield ``(name, result)`` as the answers come.

    `result` is what :func:`resolve` would return, or the exception it would raise (never raised
    here, so that one bad name does not end the run); with `messages` it is the
    :class:`Message`. Every name comes back exactly once, with ``ordered=True`` in the order given.

    `names` is read only as far as there is room: at most `concurrency` questions (1 to 100,000)
    are open at once. `timeout` is seconds for one name, tries included; how long a try waits
    follows the round-trip times of its server. `rate` limits the queries a second. `progress` is
    called with the number of names done so far. Several servers share the queries. At least 64
    sockets on random ports are used, each for 1,000 queries. RFC 5452, RFC 6298.

    With a `transport` of ``"tcp"``, ``"tls"`` or ``"https"`` (and `server_name`, `cafile` and
    `path` as in :class:`Connection`) they are asked over one connection in rounds, always in
    order, `timeout` being for a round; there ``dnssec`` and ``trust_anchor`` validate each answer
    as :func:`query` does. Over UDP ``dnssec=True`` is a :exc:`ValueError`.

    Raises what :func:`query` raises for a bad type, number or server; nothing for a name.

    >>> from udpcore import dns
    >>> for name, result in dns.resolve_many(["bad..name"], server="127.0.0.1", port=5300):
    ...     print(name, type(result).__name__)
    bad..name ValueError
    """
    if transport != "udp":
        if concurrency < 1 or rate == 0:
            raise ValueError("concurrency=0 or rate=0: nothing could be asked")
        how = plan(
            read_system().servers if server is None else server,
            port,
            timeout,
            edns=edns,
            dnssec_ok=dnssec_ok,
            recursion_desired=recursion_desired,
            transport=transport,
            server_name=server_name,
            cafile=cafile,
            path=path,
            dnssec=dnssec,
            trust_anchor=trust_anchor,
            kept=True,
        )
        assert isinstance(how, Encrypted)
        way = Way(how.connections, how.options, dnssec, trust_anchor)
        _core.Question(".", rdtype)
        return over_connections(way, iter(names), rdtype, concurrency, rate, progress, messages)
    engine = engine_for(
        rdtype,
        server,
        port,
        concurrency,
        timeout=timeout,
        rate=rate,
        messages=messages,
        edns=edns,
        dnssec_ok=dnssec_ok,
        recursion_desired=recursion_desired,
        mix_case=mix_case,
        dnssec=dnssec,
    )
    source = iter(names)
    if ordered:
        return _in_order(engine, source, concurrency * HELD_FACTOR, progress)
    return _as_completed(engine, source, progress)


def engine_for(
    rdtype: str | int,
    server: str | Iterable[str] | None,
    port: int,
    concurrency: int,
    *,
    timeout: float,
    rate: int | None,
    messages: bool = False,
    edns: int | None = 1232,
    dnssec_ok: bool = False,
    recursion_desired: bool = True,
    mix_case: bool = True,
    transport: str = "udp",
    dnssec: bool = False,
) -> _core.DnsBatch:
    """Return what does the work of :func:`resolve_many`, given the same."""
    if transport != "udp":
        raise ValueError(
            f"aio.resolve_many asks over UDP, not transport {transport!r}: "
            "use udpcore.dns.resolve_many in a thread, or aio.resolve"
        )
    if dnssec:
        raise ValueError(
            "resolve_many validates over connections: add transport='tcp' (or 'tls', 'https'), "
            "or use resolve with dnssec=True"
        )
    return _core.DnsBatch(
        rdtype,
        addresses_of(read_system().servers if server is None else server, port),
        concurrency=concurrency,
        timeout=timeout,
        rate=rate,
        edns=edns,
        dnssec_ok=dnssec_ok,
        recursion_desired=recursion_desired,
        mix_case=mix_case,
        messages=messages,
    )


def _as_completed(
    engine: _core.DnsBatch, source: Iterator[str], progress: Callable[[int], object] | None
) -> Iterator[tuple[str, Any]]:
    done, more = 0, True
    while True:
        room = engine.room()
        taken = list(islice(source, room)) if more else []
        more = more and len(taken) == room
        results = engine.run(taken, more)
        if not results and not more:
            return
        done += len(results)
        if progress is not None:
            progress(done)
        yield from results


class _Numbered(str):
    """A name that knows its place; equal names are told apart by it."""

    __slots__ = ("place",)
    place: int


def _in_order(
    engine: _core.DnsBatch,
    source: Iterator[str],
    held_max: int,
    progress: Callable[[int], object] | None,
) -> Iterator[tuple[str, Any]]:
    held: dict[int, tuple[str, Any]] = {}
    asked = given = done = 0
    more = True
    while True:
        room = min(engine.room(), held_max - (asked - given))
        taken = []
        for name in islice(source, room) if more else ():
            numbered = _Numbered(name)
            numbered.place = asked
            taken.append(numbered)
            asked += 1
        more = more and len(taken) == room
        results = engine.run(taken, more and room > 0)
        if not results and not more:
            return
        done += len(results)
        if progress is not None:
            progress(done)
        for name, result in results:
            held[getattr(name, "place", 0)] = (str(name), result)
        while given in held:
            yield held.pop(given)
            given += 1
