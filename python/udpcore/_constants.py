"""The constants and enums of the running interpreter's ``socket``, and those it lacks.

The enums are the standard library's own classes, so that a value of one module is a value of the
other. Functions that are pure C look-ups (``htons``, ``inet_aton``, ``getservbyname`` …) are the
standard ones too: there is nothing to do better.
"""

from __future__ import annotations

import _socket
import socket as _standard

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take longer than everything else here
    from enum import IntEnum
    from typing import Any

AddressFamily = _standard.AddressFamily
AddressInfo = _standard.AddressInfo
MsgFlag = _standard.MsgFlag
SocketKind = _standard.SocketKind
gaierror = _standard.gaierror
herror = _standard.herror
has_ipv6 = _standard.has_ipv6
error = OSError
timeout = TimeoutError

#: Marks "no timeout given", which differs from None.
GLOBAL_DEFAULT_TIMEOUT: Any = getattr(_standard, "_GLOBAL_DEFAULT_TIMEOUT", None) or object()

# Linux's numbers (linux/socket.h, linux/in.h, linux/in6.h, linux/udp.h, asm-generic/socket.h).
_LINUX = {
    "IPV6_MTU": 24,
    "IPV6_MTU_DISCOVER": 23,
    "IPV6_PMTUDISC_DO": 2,
    "IPV6_PMTUDISC_DONT": 0,
    "IPV6_PMTUDISC_PROBE": 3,
    "IPV6_PMTUDISC_WANT": 1,
    "IPV6_RECVERR": 25,
    "IP_ADD_SOURCE_MEMBERSHIP": 39,
    "IP_BLOCK_SOURCE": 38,
    "IP_DROP_SOURCE_MEMBERSHIP": 40,
    "IP_FREEBIND": 15,
    "IP_MTU": 14,
    "IP_MTU_DISCOVER": 10,
    "IP_MULTICAST_ALL": 49,
    "IP_PKTINFO": 8,
    "IP_PMTUDISC_DO": 2,
    "IP_PMTUDISC_DONT": 0,
    "IP_PMTUDISC_PROBE": 3,
    "IP_PMTUDISC_WANT": 1,
    "IP_RECVERR": 11,
    "IP_RECVORIGDSTADDR": 20,
    "IP_RECVTTL": 12,
    "IP_UNBLOCK_SOURCE": 37,
    "MCAST_JOIN_GROUP": 42,
    "MCAST_LEAVE_GROUP": 45,
    "MSG_WAITFORONE": 0x10000,
    "MSG_ZEROCOPY": 0x4000000,
    "SO_ATTACH_FILTER": 26,
    "SO_BINDTOIFINDEX": 62,
    "SO_BUSY_POLL": 46,
    "SO_MAX_PACING_RATE": 47,
    "SO_RXQ_OVFL": 40,
    "SO_TIMESTAMP": 29,
    "SO_TIMESTAMPING": 37,
    "SO_TIMESTAMPNS": 35,
    "SO_TXTIME": 61,
    "SO_ZEROCOPY": 60,
    "UDP_GRO": 104,
    "UDP_SEGMENT": 103,
}

#: What this interpreter's ``socket`` does not name.
EXTRA = {name: number for name, number in _LINUX.items() if not hasattr(_socket, name)}

#: Every constant (AF_DECnet too) of the interpreter's ``socket``, enum members where it has enums.
CONSTANTS: dict[str, Any] = {
    **{
        name: getattr(_standard, name)
        for name in dir(_standard)
        if name[0].isupper() and (name.isupper() or isinstance(getattr(_standard, name), int))
    },
    **EXTRA,
}

#: Lower-case functions without a state or a socket of their own.
FUNCTIONS: dict[str, Any] = {
    name: getattr(_socket, name)
    for name in (
        "gethostbyaddr",
        "gethostbyname_ex",
        "gethostname",
        "getprotobyname",
        "getservbyname",
        "getservbyport",
        "htonl",
        "htons",
        "if_indextoname",
        "if_nameindex",
        "if_nametoindex",
        "inet_aton",
        "inet_ntoa",
        "inet_ntop",
        "inet_pton",
        "ntohl",
        "ntohs",
        "sethostname",
    )
    if hasattr(_socket, name)
}

#: What ``from udpcore import *`` gives: the standard module's list and what it lacks.
ALL = sorted({*_standard.__all__, *EXTRA})

globals().update(CONSTANTS)
globals().update(FUNCTIONS)

__all__ = [
    "AddressFamily",
    "AddressInfo",
    "MsgFlag",
    "SocketKind",
    "error",
    "gaierror",
    "has_ipv6",
    "herror",
    "timeout",
    *CONSTANTS,
    *FUNCTIONS,
]


def as_member(value: int, enum: type[IntEnum]) -> int:
    """The member of ``enum`` for ``value``, or ``value`` itself if there is none.

    >>> import socket
    >>> as_member(2, socket.AddressFamily)
    <AddressFamily.AF_INET: 2>
    >>> as_member(987, socket.AddressFamily)
    987
    """
    try:
        return enum(value)
    except ValueError:
        return value
