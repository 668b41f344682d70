"""The machine's network interfaces: names, addresses, broadcast addresses, as Linux tells."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import struct
import sys
from dataclasses import dataclass

import udpcore as socket

SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFHWADDR = 0x8913, 0x8915, 0x8919, 0x8927
LOOPBACK = "127.0.0.1"
IFF_UP, IFF_BROADCAST, IFF_LOOPBACK, IFF_MULTICAST = 0x1, 0x2, 0x8, 0x1000


@dataclass(frozen=True)
class Interface:
    """One interface. Addresses are None when it has none."""

    index: int
    name: str
    address: str | None
    broadcast: str | None
    hardware_address: bytes
    flags: int

    @property
    def is_up(self) -> bool:
        """It is switched on."""
        return bool(self.flags & IFF_UP)

    @property
    def is_loopback(self) -> bool:
        """It leads nowhere but here."""
        return bool(self.flags & IFF_LOOPBACK)

    @property
    def is_for_groups(self) -> bool:
        """It is on and multicasts; a loopback does, whatever its flag says."""
        return self.is_up and bool(self.flags & (IFF_MULTICAST | IFF_LOOPBACK))

    @property
    def is_ethernet(self) -> bool:
        """It can broadcast and has a 6-byte address that is not zero."""
        return bool(self.flags & IFF_BROADCAST) and any(self.hardware_address)


def interfaces() -> list[Interface]:
    """List the interfaces of this machine (of this network namespace)."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for index, name in socket.if_nameindex():
            flags = _ask(sock, SIOCGIFFLAGS, name) or bytes(2)
            hardware = _ask(sock, SIOCGIFHWADDR, name) or bytes(8)
            found.append(
                Interface(
                    index=index,
                    name=name,
                    address=_address(sock, SIOCGIFADDR, name),
                    broadcast=_address(sock, SIOCGIFBRDADDR, name),
                    hardware_address=hardware[2:8],
                    flags=int.from_bytes(flags[:2], sys.byteorder),
                )
            )
    return found


def interface_index(wanted: str | None) -> int:
    """The number of the interface with this name or IPv4 address; 0 for None."""
    for one in interfaces() if wanted else []:
        if wanted in (one.name, one.address):
            return one.index
    if wanted:
        names = ", ".join(one.name for one in interfaces()) or "none"
        what = f"no interface has the name or IPv4 address {wanted!r}; there are: {names}"
        raise OSError(errno.ENODEV, what)
    return 0


def _ask(sock: socket.socket, request: int, name: str) -> bytes | None:
    """The 24 bytes of the answer after the name, None when there is none."""
    with contextlib.suppress(OSError):
        return fcntl.ioctl(sock.fileno(), request, struct.pack("16s24x", name.encode()))[16:]
    return None


def _address(sock: socket.socket, request: int, name: str) -> str | None:
    answer = _ask(sock, request, name)
    address = socket.inet_ntoa(answer[4:8]) if answer else None
    return None if address == "0.0.0.0" else address
