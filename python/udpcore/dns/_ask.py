"""Asking: one message, the records in it, or one address.

The exchange itself (sockets, retries, what is trusted) is in Rust, with the GIL released.
"""

from __future__ import annotations

import copy
import logging
import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from udpcore import _core
from udpcore._core import Message
from udpcore.dns._cache import Cache
from udpcore.dns._errors import NoDataError, NXDomainError, ResolveError, error_of
from udpcore.dns._system import addresses_from_hosts, read_system

_log = logging.getLogger("udpcore.dns")

#: A chain of aliases may leave the answer this many times before `resolve` gives up.
QUESTIONS_MAX = 8


class Exchange(NamedTuple):
    """A message and how it came: ``server`` is ``address#port``, ``rtt_us`` in µs."""

    message: Message
    server: str
    tcp: bool
    rtt_us: int


def addresses_of(server: str | Iterable[str], port: int) -> list[tuple[str, int]]:
    """Return the addresses of `server`, which may be a name, an address or several of them.

    Raises :exc:`socket.gaierror` for a name without address, :exc:`ValueError` for a bad port.
    """
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is out of range; give 1 to 65535")
    found = []
    for host in [server] if isinstance(server, str) else server:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (socket.gaierror, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise socket.gaierror(
                getattr(error, "errno", None) or socket.EAI_NONAME,
                f"name server {host!r} has no address: {reason}",
            ) from None
        # Only the first address of a name: the others are the same server.
        found.append((str(infos[0][4][0]).partition("%")[0], port))
    if not found:
        raise ValueError("no name server given")
    return found


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
) -> Exchange:
    """Do what :func:`query` does, and tell also how the answer came."""
    return Exchange(
        *_core.dns_exchange(
            name,
            rdtype,
            addresses_of(server, port),
            timeout=timeout,
            retries=retries,
            tcp=tcp,
            edns=edns,
            dnssec_ok=dnssec_ok,
            recursion_desired=recursion_desired,
            checking_disabled=checking_disabled,
            ignore_truncation=ignore_truncation,
            mix_case=mix_case,
            options=options,
            cookies=cookies,
        )
    )


def query(
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
) -> Message:
    """Ask `server` for `name` and return its message, whatever the response code.

    Each of the ``1 + retries`` tries (at most 20 retries) waits `timeout` seconds and has a fresh
    socket, a random port and a random id; several servers are asked in turn. Datagrams that do
    not answer this very question are ignored while the wait goes on. A truncated answer is
    fetched again over TCP unless `ignore_truncation`; a server that knows no EDNS is asked
    without. `mix_case` gives the letters of the name a random case that the answer must repeat.
    `options` are EDNS options, pairs of code and bytes.
    `cookies` sends a DNS cookie, and believes no other answer of a server that knows them.

    Raises :exc:`DnsTimeoutError` (a :exc:`TimeoutError`) if nobody answered, :exc:`OSError` with
    its ``errno`` if the network refused, :exc:`ValueError` for a bad name, type or number.
    RFC 1035, RFC 5452, RFC 6891, RFC 7766, RFC 7873.

    >>> from udpcore import dns
    >>> dns.query("example.com", "A", "127.0.0.1", port=1, retries=0)
    Traceback (most recent call last):
    ConnectionRefusedError: [Errno 111] Connection refused: name server 127.0.0.1#1
    """
    return exchange(
        name,
        rdtype,
        server,
        port,
        timeout,
        retries,
        tcp,
        edns=edns,
        dnssec_ok=dnssec_ok,
        recursion_desired=recursion_desired,
        checking_disabled=checking_disabled,
        ignore_truncation=ignore_truncation,
        mix_case=mix_case,
        options=options,
        cookies=cookies,
    ).message


def resolve(
    name: str,
    rdtype: str | int = "A",
    server: str | Iterable[str] | None = None,
    port: int = 53,
    *,
    timeout: float = 2.0,
    retries: int = 3,
    cache: Cache | None = None,
) -> list[str]:
    """Return the records of `rdtype` at `name` as dig prints them, aliases followed.

    Without `server` the machine's own settings hold: ``/etc/hosts`` first, then the servers of
    ``/etc/resolv.conf`` with its search list (a name with a final dot is taken as it is).
    A `cache` is asked first, and keeps what is found as long as its TTL says.

    Raises :exc:`NXDomainError`, :exc:`NoDataError`, :exc:`ServFailError`, :exc:`RefusedError`
    or :exc:`ResolveError` (each a :exc:`socket.gaierror` with the message in ``.response``);
    :exc:`DnsTimeoutError`; what :func:`query` raises. RFC 1034 §5.3.

    >>> from udpcore import dns
    >>> dns.resolve("localhost")
    ['127.0.0.1']
    """
    if server is not None:
        return _lookup(name, rdtype, server, port, timeout, retries, cache)
    from_hosts = addresses_from_hosts(name, str(rdtype))
    if from_hosts:
        return from_hosts
    system = read_system()
    negative: list[ResolveError] = []
    for candidate in system.candidates(name):
        try:
            return _lookup(candidate, rdtype, system.servers, port, timeout, retries, cache)
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
) -> list[str]:
    if cache is None:
        return _ask(name, rdtype, server, port, timeout, retries)[0]
    servers = server if isinstance(server, str) else tuple(server)
    key = (_core.dns_normalise(name).lower(), str(rdtype).upper(), servers, port)
    known = cache.get(key)
    if known is None:
        try:
            known, ttl = _ask(name, rdtype, servers, port, timeout, retries)
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
) -> tuple[list[str], int]:
    """Return the records as text and the smallest TTL on the way to them."""
    target, seen, least = name, set[str](), 2**31 - 1
    for _ in range(QUESTIONS_MAX):
        message = query(target, rdtype, server, port, timeout, retries)
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
