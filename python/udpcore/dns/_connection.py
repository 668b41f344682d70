"""A connection to a name server that is kept: over TCP, TLS or HTTPS, many questions at once.

RFC 7766 (TCP), RFC 7858 (TLS), RFC 8484 (HTTPS). Sockets, TLS and what is believed are in Rust.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from typing import Literal, NamedTuple, TypedDict

from udpcore import _core
from udpcore._core import Message
from udpcore.dns._addresses import addresses_of

Transport = Literal["udp", "tcp", "tls", "https"]
#: Where each transport listens. RFC 7766, RFC 7858 §3.1, RFC 8484.
PORTS = {"udp": 53, "tcp": 53, "tls": 853, "https": 443}


class StreamOptions(TypedDict, total=False):
    """What :meth:`Connection.query` takes by keyword."""

    edns: int | None
    dnssec_ok: bool
    recursion_desired: bool
    checking_disabled: bool
    options: Sequence[tuple[int, bytes]]


class _Settings(NamedTuple):
    edns: int | None
    dnssec_ok: bool
    recursion_desired: bool
    checking_disabled: bool
    options: Sequence[tuple[int, bytes]]


class Connection:
    """One server over `transport`: ``"tcp"``, ``"tls"`` or ``"https"``.

    It is opened by the first question, used by all that follow, and opened again when the server
    has closed it meanwhile. Safe to share between threads: they take turns. `timeout` is seconds
    for one call. The certificate must be for `server_name` (default: `server`) and signed by a
    root of this machine or of `cafile`, a PEM file. Queries are padded when they are encrypted.
    HTTPS is HTTP/1.1: asking a server that speaks HTTP/2 only is an OSError that says so.

    Raises :exc:`ValueError` for a transport, name, path or file that cannot be,
    :exc:`socket.gaierror` for a server without address. RFC 7766, RFC 7858, RFC 8484, RFC 8467.

    >>> from udpcore import dns
    >>> zone = "@ SOA ns me 1 2 3 4 5\\nwww 60 A 192.0.2.1\\n"
    >>> with dns.Server(zone, "test") as server:
    ...     with dns.Connection(*server.address) as connection:
    ...         messages = connection.query_many([("www.test", "A"), ("test", "SOA")])
    ...         [len(message.answers) for message in messages], connection.stats()
    ([1, 1], {'opened': 1, 'answered': 2})
    """

    def __init__(
        self,
        server: str,
        port: int | None = None,
        transport: Literal["tcp", "tls", "https"] = "tcp",
        *,
        server_name: str | None = None,
        cafile: str | PathLike[str] | None = None,
        path: str = "/dns-query",
        timeout: float = 5.0,
    ) -> None:
        [address] = addresses_of(server, PORTS.get(transport, 53) if port is None else port)
        self.server = "{}#{}".format(*address)
        self.transport = transport
        self._timeout = timeout
        name = server if server_name is None else server_name
        file = None if cafile is None else fspath(cafile)
        self._core = _core.DnsConnection(address, transport, name, path, file)

    def query(
        self,
        name: str,
        rdtype: str | int = "A",
        *,
        edns: int | None = 1232,
        dnssec_ok: bool = False,
        recursion_desired: bool = True,
        checking_disabled: bool = False,
        options: Sequence[tuple[int, bytes]] = (),
    ) -> Message:
        """Ask for `name` and return the message, whatever its response code.

        Raises :exc:`DnsTimeoutError`, :exc:`OSError` if the connection fails (with ``EPROTO``
        for a certificate that is not good and for HTTP without success), :exc:`ParseError`.
        """
        [result] = self.query_many(
            [(name, rdtype)],
            edns=edns,
            dnssec_ok=dnssec_ok,
            recursion_desired=recursion_desired,
            checking_disabled=checking_disabled,
            options=options,
        )
        if isinstance(result, Exception):
            raise result
        return result

    def query_many(
        self,
        questions: Iterable[tuple[str, str | int]],
        *,
        edns: int | None = 1232,
        dnssec_ok: bool = False,
        recursion_desired: bool = True,
        checking_disabled: bool = False,
        options: Sequence[tuple[int, bytes]] = (),
    ) -> list[Message | Exception]:
        """Ask `questions`, pairs of name and type, without waiting for one to ask the next.

        Returns a message or an exception for each, in their order. Up to 128 are open at once,
        one over HTTPS; the server may answer in any order.
        """
        settings = _Settings(edns, dnssec_ok, recursion_desired, checking_disabled, options)
        return self._core.ask(list(questions), settings, self._timeout)

    def validate(self, message: Message, trust_anchor: str | None = None) -> None:
        """Say in ``.security`` of `message` what DNSSEC proves; ask for the keys here.

        `message` was asked for with ``dnssec_ok=True, checking_disabled=True``. The chain begins
        at the keys of the root, or at `trust_anchor`: DS or DNSKEY records as in a zone file.
        Raises :exc:`ValueError` for an anchor that is none. RFC 4035.
        """
        _core.dns_validate_over(message, self._core, timeout=self._timeout, anchor=trust_anchor)

    def stats(self) -> dict[str, int]:
        """Return how often it was opened, and how many answers came."""
        opened, answered = self._core.counters()
        return {"opened": opened, "answered": answered}

    def close(self) -> None:
        """Close it; a further question opens it again."""
        self._core.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection to {self.server} over {self.transport}>"
