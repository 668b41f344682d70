"""Reach everybody on the local network: broadcast and multicast, by every interface."""

from __future__ import annotations

import contextlib

import udpcore as socket
from udpcore._interfaces import Interface, interfaces
from udpcore.apps._app import Address
from udpcore.apps._membership import join_group

LOOPBACK_BROADCAST, ALL_BROADCAST = "127.255.255.255", "255.255.255.255"


def send_everywhere(sock: socket.socket, datagram: bytes, group: str, port: int) -> int:
    """Send to `group` and to the broadcast address of every interface; returns how many failed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    failed = 0
    for interface in _usable():
        ours = socket.inet_aton(interface.address or "")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ours)
        everybody = LOOPBACK_BROADCAST if interface.is_loopback else interface.broadcast
        for host in (group, everybody or ALL_BROADCAST):
            failed += not send(sock, datagram, (host, port))
    return failed


def send(sock: socket.socket, datagram: bytes, address: Address) -> bool:
    """Send, and say whether it could be sent."""
    try:
        sock.sendto(datagram, address)
    except OSError:
        return False
    return True


def join_everywhere(sock: socket.socket, group: str) -> None:
    """Join `group` on every interface; where it is joined already, it stays so."""
    for interface in _usable():
        with contextlib.suppress(OSError):
            join_group(sock, group, interface.name)


def _usable() -> list[Interface]:
    return [one for one in interfaces() if one.address is not None and one.is_up]
