"""Asking: one message, the records in it, or one address.

The exchange itself (sockets, retries, what is trusted) is in Rust, with the GIL released.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Unpack

from udpcore import _core
from udpcore._core import Message
from udpcore.dns._cache import Cache
from udpcore.dns._plan import Encrypted, Exchange, QueryOptions, plan, remaining
from udpcore.dns._resolving import resolving

_log = logging.getLogger("udpcore.dns")


def exchange(
    name: str,
    rdtype: str | int,
    server: str | Iterable[str],
    port: int = 53,
    timeout: float = 2.0,
    retries: int = 3,
    tcp: bool = False,
    **options: Unpack[QueryOptions],
) -> Exchange:
    """Do what :func:`query` does, and tell also how the answer came."""
    how = plan(server, port, timeout, retries, tcp, **options)
    if isinstance(how, Encrypted):
        return how.ask((name, rdtype))
    message, answerer, over_tcp, rtt_us = _core.dns_exchange((name, rdtype), how)
    how.validate(message)
    return Exchange(message, answerer, "tcp" if over_tcp else "udp", rtt_us)


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
    those of :func:`query`; ``dnssec=True`` refuses what is bogus, ``lifetime`` is for
    all questions of the chain.

    Raises :exc:`NXDomainError`, :exc:`NoDataError`, :exc:`ServFailError`, :exc:`RefusedError`,
    :exc:`BogusError` or :exc:`ResolveError` (each a :exc:`socket.gaierror` with the message in
    ``.response``);
    :exc:`DnsTimeoutError`; what :func:`query` raises. RFC 1034 §5.3.

    >>> from udpcore import dns
    >>> dns.resolve("localhost")
    ['127.0.0.1']
    """
    steps = resolving(name, rdtype, server, port, cache, options)
    began = time.monotonic()
    try:
        question = next(steps)
        while True:
            try:
                left = remaining(options, began)
                message = query(*question, port, timeout, retries, **left)
            except OSError as error:
                question = steps.throw(error)
            else:
                question = steps.send(message)
    except StopIteration as stop:
        found: list[str] = stop.value
        return found


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
