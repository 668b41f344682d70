"""Sockets for multicast groups of IPv4 and IPv6: to send to one, to listen to one.

An interface is given by its name or by our IPv4 address on it; None leaves it to the routes.
"""

from __future__ import annotations

import errno
import ipaddress
import struct

import udpcore as socket
from udpcore._interfaces import LOOPBACK, interface_index
from udpcore.apps._app import Address, open_udp
from udpcore.apps._membership import group_level, join_group

IPV4_OPTIONS = socket.IP_MULTICAST_TTL, socket.IP_MULTICAST_LOOP
IPV6_OPTIONS = socket.IPV6_MULTICAST_HOPS, socket.IPV6_MULTICAST_LOOP


def open_sender(
    group: str, ttl: int = 2, loop: bool = True, interface: str | None = None
) -> socket.socket:
    """Open a socket that sends to `group`: `ttl` routers far, to this machine too with `loop`."""
    sock = open_udp("::" if ":" in group else "")
    level = group_level(group)
    hops, own = IPV6_OPTIONS if level == socket.IPPROTO_IPV6 else IPV4_OPTIONS
    try:
        sock.setsockopt(level, hops, ttl)
        sock.setsockopt(level, own, int(loop))
        if interface:
            send_by(sock, interface)
    except OSError:
        sock.close()
        raise
    return sock


def open_receiver(
    group: str, port: int, interface: str | None = None, source: str | None = None
) -> socket.socket:
    """Open a socket on `port` that has joined `group`, for datagrams of `source` only if given."""
    # Bound to the group itself, it hears nothing that was sent to another group on this port.
    scope = interface_index(interface) if ":" in group else 0
    sock = open_udp(group, port, share=True, scope=scope)
    try:
        # An address of one machine is as good: then the stream is for one.
        if ipaddress.ip_address(group).is_multicast:
            join_group(sock, group, interface, source)
    except OSError:
        sock.close()
        raise
    return sock


def send_by(sock: socket.socket, interface: str) -> None:
    """Send what goes to groups by this interface."""
    index = struct.pack("@i", interface_index(interface))
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        # struct ip_mreqn: no group, no address, the interface.
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + index)


def send_to_group(sock: socket.socket, data: bytes, address: Address) -> None:
    """Send to a group; over loopback when this machine has no route for multicast."""
    try:
        sock.sendto(data, address)
    except OSError as error:
        if error.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH) or ":" in address[0]:
            raise
        send_by(sock, LOOPBACK)
        sock.sendto(data, address)
