"""Names and services of the local network: one-shot multicast DNS and service discovery.

RFC 6762 §5.1 (one-shot queries) and §6.7, RFC 6763 (services); over IPv4 and IPv6, on every
interface. Everybody on the link may answer, and nobody is proven: what comes back is a hint, as
the RFC has it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from udpcore import _core
from udpcore._core import Message, Record
from udpcore.dns import _link
from udpcore.dns._errors import ParseError

#: A question is repeated after so many seconds, doubled each time. RFC 6762 §5.2.
REPEAT_S = 1.0
#: More records than any link has in good faith.
RECORDS_MAX = 10_000
#: RFC 6762 §10.2: the highest bit of the class is a hint for caches.
CLASSES = ("IN", "CLASS32769")


class Service(NamedTuple):
    """One instance of a service: what people call it, where it is, and what it says of itself."""

    name: str
    host: str
    port: int
    addresses: tuple[str, ...]
    properties: dict[str, str]


def mdns_query(
    name: str,
    rdtype: str = "A",
    *,
    timeout: float = 1.0,
    interface: str = "",
    every: bool | None = None,
) -> list[Record]:
    """Ask the local network for `name` and return the records of `rdtype` that came.

    Waits `timeout` seconds for answers of `every` host, or for the first only (by default: all
    for PTR, the first for other types, which belong to one host). Nobody answering is an empty
    list. Every interface is asked over IPv4 and IPv6, or the one `interface` names; our IPv4
    address on it names it too, and means IPv4 only.

    Raises :exc:`ValueError` for a bad name, type or timeout, :exc:`OSError` if there is no such
    interface or none can send. RFC 6762.

    >>> from udpcore import dns
    >>> dns.mdns_query("nobody.local", timeout=0.01, interface="127.0.0.1")
    []
    """
    waits = rdtype.upper() == "PTR" if every is None else every
    found: list[Record] = []
    for records in _answers([(name, rdtype)], timeout, interface):
        found += [r for r in _matching(records, name, rdtype.upper()) if r not in found]
        if found and not waits:
            break
    return found


def browse(
    service: str = "_services._dns-sd._udp",
    *,
    timeout: float = 2.0,
    interface: str = "",
) -> list[Service]:
    """Find the instances of `service` (such as ``_http._tcp``) on the local network.

    Waits `timeout` seconds in all: for the instances, then for what they did not tell at once.
    An instance that does not say where it is is left out. The default asks which services there
    are; their names are then all that is known. Raises what :func:`mdns_query` raises. RFC 6763.

    >>> from udpcore import dns
    >>> dns.browse("_http._tcp", timeout=0.01, interface="127.0.0.1")
    []
    """
    kind = service.rstrip(".")
    kind = kind if kind.lower().endswith(".local") else f"{kind}.local"
    known: list[Record] = []
    for records in _answers([(kind, "PTR")], timeout / 2, interface):
        known += [r for r in records if r not in known]
    instances = list(dict.fromkeys(r.data.target for r in _matching(known, kind, "PTR")))
    if kind.lower().startswith("_services._dns-sd."):
        return [Service(instance, "", 0, (), {}) for instance in instances]
    for records in _answers(_missing(instances, known), timeout / 2, interface):
        known += [r for r in records if r not in known]
        if not _missing(instances, known):
            break
    return [found for instance in instances if (found := _service(instance, known))]


def _missing(instances: list[str], known: list[Record]) -> list[tuple[str, str]]:
    """What is still to be asked for, until every instance has a host and an address."""
    missing = []
    for instance in instances:
        places = _matching(known, instance, "SRV")
        if not places:
            missing += [(instance, "SRV"), (instance, "TXT")]
        for place in places:
            host = place.data.target
            if not _matching(known, host, "A") and not _matching(known, host, "AAAA"):
                missing += [(host, "A"), (host, "AAAA")]
    return missing


def _service(instance: str, known: list[Record]) -> Service | None:
    places = _matching(known, instance, "SRV")
    if not places:
        return None
    host, port = places[0].data.target, places[0].data.port
    addresses = [r.data.address for t in ("A", "AAAA") for r in _matching(known, host, t)]
    properties: dict[str, str] = {}
    for record in _matching(known, instance, "TXT")[:1]:
        for octets in record.data.strings:
            key, _, value = octets.decode("utf-8", "backslashreplace").partition("=")
            # RFC 6763 §6.4: of several the first counts; §6.4: no key, no property.
            if key:
                properties.setdefault(key, value)
    return Service(_label(instance), host, port, tuple(dict.fromkeys(addresses)), properties)


def _label(name: str) -> str:
    """The first label as people read it. RFC 6763 §4.1.1: UTF-8, with dots and blanks."""
    first = re.match(r"(?:\\.|[^.\\])*", name, re.DOTALL)
    text = first[0] if first else name
    octets = re.sub(
        rb"\\(\d{3}|.)",
        lambda m: bytes([int(m[1])]) if len(m[1]) == 3 else m[1],
        text.encode("utf-8"),
        flags=re.DOTALL,
    )
    return octets.decode("utf-8", "backslashreplace")


def _matching(records: Iterable[Record], name: str, rdtype: str) -> list[Record]:
    wanted = _core.dns_normalise(name).lower()
    return [
        record
        for record in records
        if record.rdtype == rdtype and record.rdclass in CLASSES and record.name.lower() == wanted
    ]


def _answers(
    questions: list[tuple[str, str]], timeout: float, interface: str
) -> Iterator[list[Record]]:
    """Ask, and ask again, and yield the records of every answer until time is up."""
    if not timeout > 0:
        raise ValueError(f"timeout={timeout}: give more than 0 seconds")
    queries = [
        _core.dns_build_query(name, rdtype, 0, None, recursion_desired=False)
        for name, rdtype in questions
    ]
    if not queries:
        return
    with _link.Link(interface) as link:
        end = time.monotonic() + timeout
        repeat_s, again, taken = REPEAT_S, 0.0, 0
        while (now := time.monotonic()) < end and taken < RECORDS_MAX:
            if now >= again:
                link.send(queries)
                again, repeat_s = now + repeat_s, repeat_s * 2
            for wire, port in link.receive(min(end, again) - now):
                try:
                    # RFC 6762 §6: answers come from the port that everybody listens on.
                    message = _core.dns_parse(wire) if port == _link.PORT else None
                except ParseError:
                    continue
                records = _records(message) if message is not None else []
                taken += len(records)
                if records:
                    yield records


def _records(message: Message) -> list[Record]:
    """Everything that a response tells; RFC 6762 §18.3 and §18.11: others are ignored."""
    if not message.flags & 0x8000 or message.opcode or message.rcode:
        return []
    return [r for r in (*message.answers, *message.additionals) if r.rdtype != "OPT"]
