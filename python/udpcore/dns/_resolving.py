"""What is asked next, until a name is resolved: aliases, the search list, the cache.

Generators that yield questions and are sent messages, or thrown what went wrong, so that the
same steps serve :func:`udpcore.dns.resolve` and the one that is awaited.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterable

from udpcore import _core
from udpcore._core import Message
from udpcore.dns._cache import Cache
from udpcore.dns._errors import (
    BogusError,
    NoDataError,
    NXDomainError,
    ResolveError,
    error_of,
)
from udpcore.dns._plan import QueryOptions
from udpcore.dns._system import addresses_from_hosts, read_system

#: A chain of aliases may leave the answer this many times before it is given up.
QUESTIONS_MAX = 8

#: Name, type and servers of a question.
Question = tuple[str, str | int, str | Iterable[str]]
Steps = Generator[Question, Message, list[str]]


def resolving(
    name: str,
    rdtype: str | int,
    server: str | Iterable[str] | None,
    port: int,
    cache: Cache | None,
    options: QueryOptions,
) -> Steps:
    """Yield questions until the records of `rdtype` at `name` are known; return them."""
    how = (port, repr(options))
    if server is not None:
        return (yield from _lookup(name, rdtype, server, how, cache))
    from_hosts = addresses_from_hosts(name, str(rdtype))
    if from_hosts:
        return from_hosts
    system = read_system()
    negative: list[ResolveError] = []
    for candidate in system.candidates(name):
        try:
            return (yield from _lookup(candidate, rdtype, system.servers, how, cache))
        except ResolveError as error:
            negative.append(error)
    # That a name exists says more than a failure, and a failure more than that another does not.
    weight = {NoDataError: 2, NXDomainError: 0}
    raise max(negative, key=lambda error: weight.get(type(error), 1))


def _lookup(
    name: str,
    rdtype: str | int,
    server: str | Iterable[str],
    how: tuple[object, ...],
    cache: Cache | None,
) -> Steps:
    servers = server if isinstance(server, str) else tuple(server)
    if cache is None:
        return (yield from _ask(name, rdtype, servers))[0]
    key = (_core.dns_normalise(name).lower(), str(rdtype).upper(), servers, *how)
    known = cache.get(key)
    if known is None:
        try:
            known, ttl = yield from _ask(name, rdtype, servers)
        except (NXDomainError, NoDataError) as error:
            cache.put(key, error, _core.dns_read_answer(error.response, name, rdtype)[3])
            raise
        cache.put(key, known, ttl)
    if isinstance(known, ResolveError):
        # A new one each time: an exception gathers tracebacks.
        raise copy.copy(known)
    return list(known)


def _ask(
    name: str, rdtype: str | int, servers: str | Iterable[str]
) -> Generator[Question, Message, tuple[list[str], int]]:
    """Return the records as text and the smallest TTL on the way to them."""
    target, seen, least = name, set[str](), 2**31 - 1
    for _ in range(QUESTIONS_MAX):
        message = yield target, rdtype, servers
        if message.security is not None and message.security.state == "bogus":
            text = f"{target}: bogus (DNSSEC): {message.security.reason}"
            raise BogusError(text, name, str(rdtype), message)
        verdict, canonical, records, ttl = _core.dns_read_answer(message, target, rdtype)
        least = min(least, ttl or 0)
        if verdict == "found":
            return [record.to_text() for record in records], least
        seen.add(target.lower())
        if verdict != "elsewhere" or canonical.lower() in seen:
            raise error_of(verdict, name, canonical, rdtype, message)
        target = canonical
    raise ResolveError(
        f"{name}: aliases lead on after {QUESTIONS_MAX} questions", name, str(rdtype), message
    )
