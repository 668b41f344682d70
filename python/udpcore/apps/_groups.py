"""Sockets for multicast groups: open, join, send. IPv4, IPv6, any source or one (RFC 4607)."""

from __future__ import annotations

import errno
import ipaddress
import struct

import udpcore as socket
from udpcore.apps._app import Address, open_udp

IP_ADD_SOURCE_MEMBERSHIP = 39
LOOPBACK = "127.0.0.1"


def open_sender(
    group: str, ttl: int = 2, loop: bool = True, interface: str | None = None
) -> socket.socket:
    """Open a socket that sends to `group`: `ttl` routers far, to this machine too with `loop`.

    `interface` is an address of ours for IPv4, an interface's name for IPv6.
    """
    sock = open_udp("::" if ":" in group else "")
    try:
        _choose(sock, group, ttl, loop, interface)
    except OSError:
        sock.close()
        raise
    return sock


def _choose(sock: socket.socket, group: str, ttl: int, loop: bool, interface: str | None) -> None:
    if ":" in group:
        level = socket.IPPROTO_IPV6
        sock.setsockopt(level, socket.IPV6_MULTICAST_HOPS, ttl)
        sock.setsockopt(level, socket.IPV6_MULTICAST_LOOP, int(loop))
        if interface:
            sock.setsockopt(level, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(interface))
        return
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, int(loop))
    if interface:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))


def open_receiver(
    group: str, port: int, interface: str | None = None, source: str | None = None
) -> socket.socket:
    """Open a socket on `port` that has joined `group`, for datagrams of `source` only if given."""
    # Bound to the group itself, it hears nothing that was sent to another group on this port.
    scope = socket.if_nametoindex(interface) if interface and ":" in group else 0
    sock = open_udp(group, port, share=True, scope=scope)
    try:
        # An address of one machine is as good: then the stream is for one.
        if ipaddress.ip_address(group).is_multicast:
            join(sock, group, interface, source)
    except OSError:
        sock.close()
        raise
    return sock


def join(
    sock: socket.socket, group: str, interface: str | None = None, source: str | None = None
) -> None:
    """Join `group`; closing the socket leaves it.

    A machine without a route for multicast joins on its loopback interface.
    """
    if ":" in group:
        index = socket.if_nametoindex(interface) if interface else 0
        request = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
        return
    option = IP_ADD_SOURCE_MEMBERSHIP if source else socket.IP_ADD_MEMBERSHIP
    for ours in [interface] if interface else ["0.0.0.0", LOOPBACK]:
        parts = [group, ours, *([source] if source else [])]
        request = b"".join(map(socket.inet_aton, parts))
        try:
            sock.setsockopt(socket.IPPROTO_IP, option, request)
            return
        except OSError as error:
            if error.errno != errno.ENODEV or ours == LOOPBACK:
                raise


def send_to_group(sock: socket.socket, data: bytes, address: Address) -> None:
    """Send to a group; over loopback when this machine has no route for multicast."""
    try:
        sock.sendto(data, address)
    except OSError as error:
        if error.errno not in (errno.ENETUNREACH, errno.EHOSTUNREACH) or ":" in address[0]:
            raise
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        sock.sendto(data, address)
