"""How to ask, from what a user gave: checked, with addresses for names and ports for transports."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import NamedTuple, TypedDict

from udpcore import _core
from udpcore._core import Message
from udpcore.dns._addresses import addresses_of
from udpcore.dns._connection import PORTS, Connection, StreamOptions, Transport
from udpcore.dns._errors import DnsTimeoutError


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


@dataclass(frozen=True)
class Settings:
    """How to ask over UDP and TCP; read by the core."""

    servers: list[tuple[str, int]]
    timeout: float
    retries: int
    tcp: bool
    edns: int | None
    dnssec_ok: bool
    recursion_desired: bool
    checking_disabled: bool
    ignore_truncation: bool
    mix_case: bool
    options: Sequence[tuple[int, bytes]]
    cookies: bool
    lifetime: float | None
    #: Not of the exchange itself: validate what came, from this anchor.
    dnssec: bool
    trust_anchor: str | None

    def validate(self, message: Message) -> None:
        """Ask for the keys that `message` is signed with, and keep the verdict in it."""
        if self.dnssec:
            _core.dns_validate(
                message,
                self.servers,
                timeout=self.timeout,
                retries=self.retries,
                anchor=self.trust_anchor,
                tcp=self.tcp,
            )


@dataclass(frozen=True)
class Encrypted:
    """How to ask over connections, TLS and HTTPS above all: servers that are asked in turn."""

    connections: list[Connection]
    options: StreamOptions
    dnssec: bool
    trust_anchor: str | None

    def ask(self, question: tuple[str, str | int]) -> Exchange:
        """Ask each server in turn until one answers."""
        failed: OSError | None = None
        for connection in self.connections:
            start = time.monotonic_ns()
            try:
                with connection:
                    message = connection.query(*question, **self.options)
                    rtt_us = (time.monotonic_ns() - start) // 1000
                    if self.dnssec:
                        # The keys come over the same connection.
                        connection.validate(message, self.trust_anchor)
            except OSError as error:
                failed = failed or error
                continue
            return Exchange(message, connection.server, connection.transport, rtt_us)
        raise failed or ValueError("no name server given")


def plan(
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
    kept: bool = False,
) -> Settings | Encrypted:
    """Return how to ask, from what a user gave; `kept` keeps a connection over TCP, too."""
    if transport not in PORTS:
        raise ValueError(f"transport {transport!r}: give one of {', '.join(PORTS)}")
    if transport == "udp" or (transport == "tcp" and not kept):
        return Settings(
            servers=addresses_of(server, port),
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
            dnssec=dnssec,
            trust_anchor=trust_anchor,
        )
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
        for host in ([server] if isinstance(server, str) else server)
    ]
    return Encrypted(
        connections,
        StreamOptions(
            edns=edns,
            dnssec_ok=dnssec_ok or dnssec,
            recursion_desired=recursion_desired,
            checking_disabled=checking_disabled or dnssec,
            options=options,
        ),
        dnssec,
        trust_anchor,
    )


def remaining(options: QueryOptions, began: float) -> QueryOptions:
    """Return `options` with what is left of ``lifetime`` since `began`, a monotonic time.

    Raises :exc:`DnsTimeoutError` when nothing is.
    """
    lifetime = options.get("lifetime")
    if lifetime is None:
        return options
    left = lifetime - (time.monotonic() - began)
    if lifetime > 0 and left <= 0:
        raise DnsTimeoutError(f"no answer within the lifetime of {lifetime} s")
    return {**options, "lifetime": min(left, lifetime)}
