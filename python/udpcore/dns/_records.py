"""The data of each record type as a named tuple, fields in the order of the wire.

Names are text with a final dot, addresses are text, character strings are bytes. To show one as
dig does, use :meth:`Record.to_text`. A type without a class here is :class:`Generic` (RFC 3597).

Rules of this file: class and field names are those of ``src/dns/schema.rs``; a test compares.
"""

from __future__ import annotations

from typing import NamedTuple


class A(NamedTuple):
    """An IPv4 address. RFC 1035 §3.4.1."""

    address: str


class AAAA(NamedTuple):
    """An IPv6 address. RFC 3596."""

    address: str


class NS(NamedTuple):
    """A name server of the zone. RFC 1035 §3.3.11."""

    target: str


class CNAME(NamedTuple):
    """The canonical name of an alias. RFC 1035 §3.3.1."""

    target: str


class PTR(NamedTuple):
    """Another name; of an address under ``in-addr.arpa``. RFC 1035 §3.3.12."""

    target: str


class DNAME(NamedTuple):
    """Where a whole subtree lives. RFC 6672."""

    target: str


class SOA(NamedTuple):
    """The start of a zone; times in seconds. RFC 1035 §3.3.13."""

    mname: str
    rname: str
    serial: int
    refresh: int
    retry: int
    expire: int
    minimum: int


class MX(NamedTuple):
    """A mail server; the smallest preference is tried first. RFC 1035 §3.3.9."""

    preference: int
    exchange: str


class TXT(NamedTuple):
    """Text, in strings of at most 255 octets. RFC 1035 §3.3.14."""

    strings: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """All strings joined, as UTF-8; octets that are not become U+FFFD."""
        return b"".join(self.strings).decode("utf-8", "replace")


class HINFO(NamedTuple):
    """Machine and system. RFC 1035 §3.3.2, RFC 8482."""

    cpu: bytes
    os: bytes


class SRV(NamedTuple):
    """Where a service is. RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str


class NAPTR(NamedTuple):
    """A rewriting rule. RFC 3403."""

    order: int
    preference: int
    flags: bytes
    services: bytes
    regexp: bytes
    replacement: str


class URI(NamedTuple):
    """Where a service is, as a URI. RFC 7553."""

    priority: int
    weight: int
    target: bytes


class CAA(NamedTuple):
    """Who may issue certificates. RFC 8659."""

    flags: int
    tag: bytes
    value: bytes


class SVCB(NamedTuple):
    """How to reach a service; `params` are pairs of key and octets. RFC 9460."""

    priority: int
    target: str
    params: tuple[tuple[str, bytes], ...]

    @property
    def alpn(self) -> tuple[str, ...]:
        """The protocols, such as ``('h3', 'h2')``; empty without the parameter."""
        return _alpn(self.params)

    @property
    def port(self) -> int | None:
        """The port, ``None`` without the parameter."""
        return _port(self.params)


class HTTPS(NamedTuple):
    """SVCB for HTTPS. RFC 9460 §9."""

    priority: int
    target: str
    params: tuple[tuple[str, bytes], ...]

    @property
    def alpn(self) -> tuple[str, ...]:
        """The protocols, such as ``('h3', 'h2')``; empty without the parameter."""
        return _alpn(self.params)

    @property
    def port(self) -> int | None:
        """The port, ``None`` without the parameter."""
        return _port(self.params)


def _alpn(params: tuple[tuple[str, bytes], ...]) -> tuple[str, ...]:
    raw, protocols = dict(params).get("alpn", b""), []
    while raw:
        protocols.append(raw[1 : 1 + raw[0]].decode("ascii", "replace"))
        raw = raw[1 + raw[0] :]
    return tuple(protocols)


def _port(params: tuple[tuple[str, bytes], ...]) -> int | None:
    raw = dict(params).get("port")
    return None if raw is None else int.from_bytes(raw, "big")


class DS(NamedTuple):
    """The digest of a child's key. RFC 4034 §5."""

    key_tag: int
    algorithm: int
    digest_type: int
    digest: bytes


class DNSKEY(NamedTuple):
    """A key of the zone. RFC 4034 §2."""

    flags: int
    protocol: int
    algorithm: int
    key: bytes


class RRSIG(NamedTuple):
    """A signature; times in seconds since 1970. RFC 4034 §3."""

    type_covered: str
    algorithm: int
    labels: int
    original_ttl: int
    expiration: int
    inception: int
    key_tag: int
    signer: str
    signature: bytes


class NSEC(NamedTuple):
    """What comes next, so that nothing is between. RFC 4034 §4."""

    next_name: str
    types: tuple[str, ...]


class NSEC3(NamedTuple):
    """NSEC over hashed names. RFC 5155 §3."""

    algorithm: int
    flags: int
    iterations: int
    salt: bytes
    next_hash: bytes
    types: tuple[str, ...]


class NSEC3PARAM(NamedTuple):
    """How names are hashed for NSEC3. RFC 5155 §4."""

    algorithm: int
    flags: int
    iterations: int
    salt: bytes


class TLSA(NamedTuple):
    """The certificate a TLS server shows. RFC 6698."""

    usage: int
    selector: int
    matching_type: int
    certificate: bytes


class SSHFP(NamedTuple):
    """The fingerprint of an SSH host key. RFC 4255."""

    algorithm: int
    fingerprint_type: int
    fingerprint: bytes


class OPT(NamedTuple):
    """EDNS: what the header has no room for. RFC 6891 §6.1.

    `flags` has 0x8000 for DO; `options` are pairs of code and octets.
    """

    udp_size: int = 1232
    extended_rcode: int = 0
    version: int = 0
    flags: int = 0
    options: tuple[tuple[int, bytes], ...] = ()

    @property
    def dnssec_ok(self) -> bool:
        """Whether DNSSEC records are wanted (DO)."""
        return bool(self.flags & 0x8000)


class Generic(NamedTuple):
    """Data of a type that is opaque here. RFC 3597."""

    rdtype: str
    data: bytes


#: The class of each type. Types that are rarely met stay without one and are `Generic`.
CLASSES: dict[str, type[tuple[object, ...]]] = {
    cls.__name__: cls
    for cls in (
        *(A, AAAA, NS, CNAME, PTR, DNAME, SOA, MX, TXT, HINFO, SRV, NAPTR, URI, CAA),
        *(SVCB, HTTPS, DS, DNSKEY, RRSIG, NSEC, NSEC3, NSEC3PARAM, TLSA, SSHFP, OPT),
    )
}
