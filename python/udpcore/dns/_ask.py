"""Asking: one message, the records in it, or one address.

The exchange itself (sockets, retries, what is trusted) is in Rust, with the GIL released.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import NamedTuple, TypedDict, Unpack

from udpcore import _core
from udpcore._core import Message
from udpcore.dns._addresses import addresses_of
from udpcore.dns._cache import Cache
from udpcore.dns._connection import PORTS, Connection, Transport
from udpcore.dns._errors import (
    BogusError,
    NoDataError,
    NXDomainError,
    ResolveError,
    error_of,
)
from udpcore.dns._system import addresses_from_hosts, read_system

_log = logging.getLogger("udpcore.dns")

#: A chain of aliases may leave the answer this many times before `resolve` gives up.
QUESTIONS_MAX = 8


class QueryOptions(TypedDict, total=False):
    """What :func:`query` takes by keyword; its text says what each means."""

    edns: int | None
    dnssec_ok: bool
    recursion_desired: bool
    checking_disabled: bool
    ignore_truncation: bool
    mix_case: bool
    options: Sequence[tuple[int, bytes]]
    cookies: bool
    lifetime: float | None
    transport: Transport
    server_name: str | None
    cafile: str | PathLike[str] | None
    path: str
    dnssec: bool
    trust_anchor: str | None


class Exchange(NamedTuple):
    """A message and how it came: ``server`` is ``address#port``, ``rtt_us`` in µs."""

    message: Message
    server: str
    transport: Transport
    rtt_us: int


def exchange(
    name: str,
    rdtype: str | int,
    server: str | Iterable[str],
    port: int = 53,
    timeout: float = 2.0,
    retries: int = 3,
    tcp: bool = False,
    *,
    edns: int | None = 1232,
    dnssec_ok: bool = False,
    recursion_desired: bool = True,
    checking_disabled: bool = False,
    ignore_truncation: bool = False,
    mix_case: bool = True,
    options: Sequence[tuple[int, bytes]] = (),
    cookies: bool = True,
    lifetime: float | None = None,
    transport: Transport = "udp",
    server_name: str | None = None,
    cafile: str | PathLike[str] | None = None,
    path: str = "/dns-query",
    dnssec: bool = False,
    trust_anchor: str | None = None,
) -> Exchange:
    """Do what :func:`query` does, and tell also how the answer came."""
    if transport not in PORTS:
        raise ValueError(f"transport {transport!r}: give one of {', '.join(PORTS)}")
    if dnssec and transport in ("tls", "https"):
        raise ValueError("dnssec=True asks for keys over UDP: leave transport out")
    if transport in ("tls", "https"):
        servers = [server] if isinstance(server, str) else list(server)
        connections = [
            Connection(
                host,
                PORTS[transport] if port == PORTS["udp"] else port,
                transport,
                server_name=server_name,
                cafile=cafile,
                path=path,
                timeout=timeout if lifetime is None else min(timeout, lifetime),
            )
            for host in servers
        ]
        return _over_connections(
            connections,
            (name, rdtype),
            edns=edns,
            dnssec_ok=dnssec_ok,
            recursion_desired=recursion_desired,
            checking_disabled=checking_disabled,
            options=options,
        )
    addresses = addresses_of(server, port)
    message, answerer, came_over_tcp, rtt_us = _core.dns_exchange(
        name,
        rdtype,
        addresses,
        timeout=timeout,
        retries=retries,
        tcp=tcp or transport == "tcp",
        edns=edns,
        dnssec_ok=dnssec_ok or dnssec,
        recursion_desired=recursion_desired,
        # RFC 4035 §3.2.2: who validates wants to see also what the server finds bogus.
        checking_disabled=checking_disabled or dnssec,
        ignore_truncation=ignore_truncation,
        mix_case=mix_case,
        options=options,
        cookies=cookies,
        lifetime=lifetime,
    )
    if dnssec:
        _core.dns_validate(
            message, addresses, timeout=timeout, retries=retries, anchor=trust_anchor
        )
    return Exchange(message, answerer, "tcp" if came_over_tcp else "udp", rtt_us)


class _StreamOptions(TypedDict):
    edns: int | None
    dnssec_ok: bool
    recursion_desired: bool
    checking_disabled: bool
    options: Sequence[tuple[int, bytes]]


def _over_connections(
    connections: Sequence[Connection],
    question: tuple[str, str | int],
    **options: Unpack[_StreamOptions],
) -> Exchange:
    """Ask each server in turn until one answers."""
    failed: OSError | None = None
    for connection in connections:
        start = time.monotonic_ns()
        try:
            with connection:
                message = connection.query(*question, **options)
        except OSError as error:
            failed = failed or error
            continue
        rtt_us = (time.monotonic_ns() - start) // 1000
        return Exchange(message, connection.server, connection.transport, rtt_us)
    raise failed or ValueError("no name server given")


def query(
    name: str,
    rdtype: str | int,
    server: str | Iterable[str],
    port: int = 53,
    timeout: float = 2.0,
    retries: int = 3,
    tcp: bool = False,
    **options: Unpack[QueryOptions],
) -> Message:
    """Ask `server` for `name` and return its message, whatever the response code.

    Each of the ``1 + retries`` tries (at most 20 retries) waits at most `timeout` seconds, less
    if the round trips to its server are known to be short, and has a fresh socket, a random port
    and a random id; several servers are asked in turn. Datagrams that do not answer this very
    question are ignored while the wait goes on. A truncated answer is fetched again over TCP; a
    server that knows no EDNS is asked without. By keyword:

    - ``lifetime``: seconds for all tries together (None: as long as they wait).
    - ``edns``: largest UDP answer in bytes (1232; None sends no EDNS), ``options``: EDNS options,
      pairs of code and bytes, ``dnssec_ok``, ``recursion_desired``, ``checking_disabled``.
    - ``ignore_truncation``: take the truncated answer as it is.
    - ``mix_case`` (True): give the letters a random case that the answer must repeat.
    - ``cookies`` (True): send a DNS cookie, and believe no other answer of a server that knows
      them.
    - ``transport``: ``"udp"``, ``"tcp"``, ``"tls"`` or ``"https"``, with `server_name`, `cafile`
      and `path` as in :class:`Connection`; a port of 53 then means 853 and 443.
    - ``dnssec``: validate, and say in ``.security`` of the message what came out; from the keys
      of the root, or from ``trust_anchor``: DS or DNSKEY records as in a zone file.

    Raises :exc:`DnsTimeoutError` (a :exc:`TimeoutError`) if nobody answered, :exc:`OSError` with
    its ``errno`` if the network refused, :exc:`ValueError` for a bad name, type or number.
    RFC 1035, RFC 4035, RFC 5452, RFC 6891, RFC 7766, RFC 7858, RFC 7873, RFC 8484.

    >>> from udpcore import dns
    >>> dns.query("example.com", "A", "127.0.0.1", port=1, retries=0)
    Traceback (most recent call last):
    ConnectionRefusedError: [Errno 111] Connection refused: name server 127.0.0.1#1
    """
    return exchange(name, rdtype, server, port, timeout, retries, tcp, **options).message


def resolve(
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
    """Return the records of `rdtype` at `name` as dig prints them, aliases followed.

    Without `server` the machine's own settings hold: ``/etc/hosts`` first, then the servers of
    ``/etc/resolv.conf`` with its search list (a name with a final dot is taken as it is).
    A `cache` is asked first, and keeps what is found as long as its TTL says. The `options` are
    those of :func:`query`; ``dnssec=True`` refuses what is bogus.

    Raises :exc:`NXDomainError`, :exc:`NoDataError`, :exc:`ServFailError`, :exc:`RefusedError`,
    :exc:`BogusError` or :exc:`ResolveError` (each a :exc:`socket.gaierror` with the message in
    ``.response``);
    :exc:`DnsTimeoutError`; what :func:`query` raises. RFC 1034 §5.3.

    >>> from udpcore import dns
    >>> dns.resolve("localhost")
    ['127.0.0.1']
    """
    if server is not None:
        return _lookup(name, rdtype, server, port, timeout, retries, cache, options)
    from_hosts = addresses_from_hosts(name, str(rdtype))
    if from_hosts:
        return from_hosts
    system = read_system()
    negative: list[ResolveError] = []
    for candidate in system.candidates(name):
        try:
            return _lookup(
                candidate, rdtype, system.servers, port, timeout, retries, cache, options
            )
        except ResolveError as error:
            negative.append(error)
    # That a name exists says more than a failure, and a failure more than that another does not.
    weight = {NoDataError: 2, NXDomainError: 0}
    raise max(negative, key=lambda error: weight.get(type(error), 1))


def _lookup(
    name: str,
    rdtype: str | int,
    server: str | Iterable[str],
    port: int,
    timeout: float,
    retries: int,
    cache: Cache | None,
    options: QueryOptions,
) -> list[str]:
    if cache is None:
        return _ask(name, rdtype, server, port, timeout, retries, options)[0]
    servers = server if isinstance(server, str) else tuple(server)
    key = (_core.dns_normalise(name).lower(), str(rdtype).upper(), servers, port, repr(options))
    known = cache.get(key)
    if known is None:
        try:
            known, ttl = _ask(name, rdtype, servers, port, timeout, retries, options)
        except (NXDomainError, NoDataError) as error:
            cache.put(key, error, _core.dns_read_answer(error.response, name, rdtype)[3])
            raise
        cache.put(key, known, ttl)
    if isinstance(known, ResolveError):
        # A new one each time: an exception gathers tracebacks.
        raise copy.copy(known)
    return list(known)


def _ask(
    name: str,
    rdtype: str | int,
    server: str | Iterable[str],
    port: int,
    timeout: float,
    retries: int,
    options: QueryOptions,
) -> tuple[list[str], int]:
    """Return the records as text and the smallest TTL on the way to them."""
    target, seen, least = name, set[str](), 2**31 - 1
    for _ in range(QUESTIONS_MAX):
        message = query(target, rdtype, server, port, timeout, retries, **options)
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


def dns_query(
    domain: str,
    dns_server: str = "8.8.8.8",
    *,
    port: int = 53,
    timeout: float = 2.0,
    retries: int = 3,
) -> str | None:
    """Return an IPv4 address of `domain`, or ``None`` if there is none or nobody answers.

    The tutorials' function, done right: random id and port, answer checked, aliases followed,
    retried. Why there was no address is logged at level INFO under ``udpcore.dns``.

    Raises :exc:`ValueError` for a `domain` that cannot be a name.
    """
    try:
        return resolve(domain, "A", dns_server, port, timeout=timeout, retries=retries)[0]
    except OSError as error:
        _log.info("no address for %s: %s", domain, error)
        return None
