"""Multicast membership: join and leave groups, of any source or one (RFC 3678, RFC 4607).

An interface is given by its name or by our IPv4 address on it; None leaves it to the routes.
"""

from __future__ import annotations

import errno
import struct

import udpcore as socket
from udpcore._interfaces import LOOPBACK, interface_index

#: Linux's numbers of RFC 3678 §5.1, which the socket module does not name.
MCAST_JOIN_GROUP, MCAST_LEAVE_GROUP = 42, 45
MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP = 46, 47
SOCKADDR_BYTES = 128


def join_group(
    sock: socket.socket, group: str, interface: str | None = None, source: str | None = None
) -> None:
    """Join `group` on `interface`, for what `source` sends only if given (RFC 4607).

    Without a route for multicast it is joined on loopback. Closing the socket leaves it too.
    """
    option = MCAST_JOIN_SOURCE_GROUP if source else MCAST_JOIN_GROUP
    try:
        sock.setsockopt(*_request(option, group, interface, source))
    except OSError as error:
        if error.errno != errno.ENODEV or interface or ":" in group:
            raise
        sock.setsockopt(*_request(option, group, LOOPBACK, source))


def leave_group(
    sock: socket.socket, group: str, interface: str | None = None, source: str | None = None
) -> None:
    """Leave `group`: the same words as for joining it. :class:`OSError` when it is not joined."""
    option = MCAST_LEAVE_SOURCE_GROUP if source else MCAST_LEAVE_GROUP
    sock.setsockopt(*_request(option, group, interface, source))


def _request(
    option: int, group: str, interface: str | None, source: str | None
) -> tuple[int, int, bytes]:
    """The arguments of setsockopt: `struct group_req` or `group_source_req` (RFC 3678 §5.1)."""
    addresses = b"".join(_sockaddr(one) for one in (group, source) if one)
    return group_level(group), option, struct.pack("@I4x", interface_index(interface)) + addresses


def group_level(group: str) -> int:
    """Where the options of this group's family are set."""
    return socket.IPPROTO_IPV6 if ":" in group else socket.IPPROTO_IP


def _sockaddr(text: str) -> bytes:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    head = struct.pack("@HH", family, 0) + bytes(4 if ":" in text else 0)
    return (head + socket.inet_pton(family, text)).ljust(SOCKADDR_BYTES, b"\0")
