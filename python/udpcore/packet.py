"""The anatomy of packets: taken apart, put together, drawn as the RFCs draw them.

>>> from udpcore import packet
>>> header = packet.IPv4(source="192.0.2.1", destination="192.0.2.2")
>>> parsed = packet.parse((header / packet.UDP(source_port=5353, destination_port=53)).build(b"hi"),
...                       "ipv4")
>>> parsed.summary()
'ipv4 192.0.2.1 > 192.0.2.2 / udp 5353 > 53 / 2 bytes'
>>> print(parsed["udp"].show())
udp (RFC 768), 8 bytes
 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|      source port = 5353       |     destination port = 53     |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|          length = 10          |       checksum = 0xfe4e       |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
checksum: good
<BLANKLINE>

Values are numbers; addresses may be given as text. What follows from the rest (lengths, types,
checksums) is computed unless it is given: a wrong one can be made on purpose.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import udpcore as socket
from udpcore import _core

__all__ = [
    "ARP",
    "ICMP",
    "TCP",
    "UDP",
    "VLAN",
    "Ethernet",
    "Header",
    "ICMPv6",
    "IPv4",
    "IPv6",
    "Layer",
    "Packet",
    "Record",
    "Stack",
    "hexdump",
    "open_capture",
    "parse",
    "send",
]

#: The first header behind a link type of a capture (tcpdump.org's list).
LINKS = {1: "ethernet", 228: "ipv4", 229: "ipv6"}
RAW_LINKS = (12, 101)
ETH_P_ALL = 3


class Layer(NamedTuple):
    """One header of a parsed packet."""

    protocol: str
    offset: int
    fields: dict[str, int]
    texts: dict[str, str]
    """The same values as people write them: addresses, hex."""
    options: bytes
    checksum: str | None
    """``"good"``, ``"bad"``, ``"absent"``, ``"unknown"`` (data missing), None when it has none."""
    expected_checksum: int | None
    drawing: str

    def show(self) -> str:
        """The header as its RFC draws it, with the values in it."""
        return self.drawing


@dataclass(frozen=True)
class Packet:
    """A packet taken apart: its headers, outermost first, and what no header describes."""

    data: bytes
    layers: tuple[Layer, ...]
    payload: bytes
    note: str | None
    """Why the rest was not taken apart, when there is a reason."""

    def __getitem__(self, protocol: str) -> Layer:
        """The first header of `protocol`; raises :class:`KeyError` when there is none."""
        for layer in self.layers:
            if layer.protocol == protocol:
                return layer
        raise KeyError(f"{protocol!r}; the packet has {[one.protocol for one in self.layers]}")

    def __contains__(self, protocol: object) -> bool:
        return any(layer.protocol == protocol for layer in self.layers)

    def summary(self) -> str:
        """One line: every header with its ends, and the size of the payload."""
        parts = [_ends(layer) for layer in self.layers]
        return " / ".join([*parts, f"{len(self.payload)} bytes"])

    def show(self) -> str:
        """Every header as its RFC draws it, and the payload in hex."""
        parts = [layer.show() for layer in self.layers]
        if self.payload:
            parts.append(f"payload, {len(self.payload)} bytes\n{hexdump(self.payload)}")
        if self.note:
            parts.append(f"({self.note})\n")
        return "\n".join(parts)

    def hexdump(self) -> str:
        """The whole packet: offset, bytes in hex and as text."""
        return hexdump(self.data)


def _ends(layer: Layer) -> str:
    for source, destination in (("source", "destination"), ("source_port", "destination_port")):
        if source in layer.texts:
            return f"{layer.protocol} {layer.texts[source]} > {layer.texts[destination]}"
    return layer.protocol


def parse(data: bytes, first: str = "ethernet") -> Packet:
    """Take `data` apart; `first` is the outermost header: ``"ethernet"``, ``"ipv4"``…

    Nothing in the data makes it fail: what cannot be read stays payload and `note` says why.
    """
    layers, payload, note = _core.packet_dissect(data, first)
    taken_apart = [
        Layer(
            protocol,
            offset,
            {name: value for name, value, _ in fields},
            {name: text for name, _, text in fields},
            options,
            checksum,
            expected,
            drawing,
        )
        for protocol, offset, fields, options, checksum, expected, drawing in layers
    ]
    return Packet(data, tuple(taken_apart), payload, note)


def hexdump(data: bytes) -> str:
    """Offset, bytes in hex and as text, 16 a line."""
    return _core.packet_hexdump(data)


class Stack:
    """Headers to be composed, outermost first; ``/`` puts the next one inside."""

    def __init__(self, headers: tuple[Header, ...]) -> None:
        self.headers = headers

    def __truediv__(self, inner: Stack) -> Stack:
        return Stack((*self.headers, *inner.headers))

    def build(self, payload: bytes = b"") -> bytes:
        """Compose the packet around `payload`; :class:`ValueError` says what is wrong."""
        layers = [
            (one.protocol, [(n, _number(v)) for n, v in one.values.items()], one.options)
            for one in self.headers
        ]
        return _core.packet_compose(layers, payload)


class Header(Stack):
    """One header to be composed: ``Header("udp", destination_port=53)``, or short ``UDP(…)``."""

    def __init__(self, protocol: str, options: bytes = b"", **values: int | str) -> None:
        super().__init__((self,))
        self.protocol, self.options, self.values = protocol, options, values

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.values.items())
        return f"Header({self.protocol!r}, {values})"


Ethernet = partial(Header, "ethernet")
VLAN = partial(Header, "vlan")
ARP = partial(Header, "arp")
IPv4 = partial(Header, "ipv4")
IPv6 = partial(Header, "ipv6")
UDP = partial(Header, "udp")
TCP = partial(Header, "tcp")
ICMP = partial(Header, "icmp")
ICMPv6 = partial(Header, "icmpv6")


def _number(value: int | str) -> int:
    """An address given as text as the number its field holds."""
    if isinstance(value, int):
        return value
    parts = value.split(":")
    if len(parts) == 6 and all(len(part) == 2 for part in parts):
        return int.from_bytes(bytes.fromhex("".join(parts)))
    return int(ipaddress.ip_address(value))


class Record(NamedTuple):
    """One packet of a capture."""

    number: int
    time_ns: int | None
    length: int
    """Bytes on the wire; the capture may hold fewer."""
    packet: Packet
    comment: str | None


def open_capture(path: str | Path) -> Iterator[Record]:
    """Yield the packets of a pcap or pcapng file.

    Raises :class:`ValueError` when it is no capture, and after the last whole packet when its end
    is damaged.
    """
    records, damage = _core.capture_read(Path(path).read_bytes())
    for number, (time_ns, link, length, data, comment) in enumerate(records, 1):
        yield Record(number, time_ns, length, parse(data, _first(link, data)), comment)
    if damage:
        raise ValueError(f"{path}: {damage}")


def _first(link: int, data: bytes) -> str:
    if link in RAW_LINKS:
        return "ipv6" if data[:1] and data[0] >> 4 == 6 else "ipv4"
    return LINKS.get(link, "ethernet")


def send(frame: bytes, interface: str) -> int:
    """Send an Ethernet frame as it is; returns how many bytes.

    Raises :class:`PermissionError` without CAP_NET_RAW.
    """
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    except PermissionError as error:
        needed = "sending raw frames needs root, or CAP_NET_RAW: setcap cap_net_raw+ep PYTHON"
        raise PermissionError(error.errno, needed) from error
    with sock:
        sock.bind((interface, 0))
        return sock.send(frame)
