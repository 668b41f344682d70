"""Many datagrams a call, and what the kernel knows about each, on any socket.

Everything here takes an ``udpcore.socket``, a standard one, any object with ``fileno()``, or a
descriptor. The timeout is the object's ``gettimeout()``; a bare descriptor blocks unless it is
set to non-blocking. Sockets of ``udpcore`` have the first three functions as methods.

============================== =================================================================
:func:`sendmmsg`               many datagrams out, runs of equal size as one (GSO)
:func:`recvmmsg`               what is there, as ``(data, address)``
:func:`recvmmsg_into`          the same into a :class:`DatagramBatch`, without copies
:func:`receive`                the same as :class:`Datagram` values, with what the kernel tells
:func:`observe`                what it shall tell: time, interface, TOS/ECN, TTL, overflow, errors
:func:`read_errors`            the ICMP errors that came back, as :class:`DatagramError`
:func:`set_gro`                let the kernel coalesce runs on the way in (GRO)
:func:`path_mtu`               the path MTU to the connected peer
:func:`set_dont_fragment`      whether routers may cut datagrams
============================== =================================================================

>>> import socket
>>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
...     s.bind(("127.0.0.1", 0))
...     observe(s, timestamps=True, packet_info=True, tos=True)
...     sendmmsg(s, [(b"hello", s.getsockname())], tos=0x02)
...     [datagram] = receive(s)
1
>>> datagram.data, datagram.destination, datagram.ecn, datagram.timestamp_ns > 0
(b'hello', '127.0.0.1', 2, True)
"""

from __future__ import annotations

from typing import Any, Literal

from udpcore import _constants, _core
from udpcore._batch import recvmmsg, recvmmsg_into, sendmmsg
from udpcore._core import Datagram, DatagramBatch, DatagramError

__all__ = [
    "Datagram",
    "DatagramBatch",
    "DatagramError",
    "dont_fragment",
    "has_gro",
    "observe",
    "path_mtu",
    "read_errors",
    "receive",
    "recvmmsg",
    "recvmmsg_into",
    "sendmmsg",
    "set_dont_fragment",
    "set_gro",
]

_C = _constants.CONSTANTS
_IP, _IPV6 = _C["IPPROTO_IP"], _C["IPPROTO_IPV6"]
_INET6 = int(_C["AF_INET6"])
_SOL_SOCKET, _SO_DOMAIN = _C["SOL_SOCKET"], 39

#: What :func:`observe` switches: the option of an IPv4 socket and of an IPv6 one (which may
#: receive from IPv4 peers too and then tells in the words of IPv4).
_TOLD: dict[str, tuple[tuple[int, int], ...]] = {
    "timestamps": ((_SOL_SOCKET, _C["SO_TIMESTAMPNS"]),),
    "overflow": ((_SOL_SOCKET, _C["SO_RXQ_OVFL"]),),
    "packet_info": ((_IP, _C["IP_PKTINFO"]), (_IPV6, _C["IPV6_RECVPKTINFO"])),
    "tos": ((_IP, _C["IP_RECVTOS"]), (_IPV6, _C["IPV6_RECVTCLASS"])),
    "ttl": ((_IP, _C["IP_RECVTTL"]), (_IPV6, _C["IPV6_RECVHOPLIMIT"])),
    "errors": ((_IP, _C["IP_RECVERR"]), (_IPV6, _C["IPV6_RECVERR"])),
}

Fragmentation = Literal["dont", "want", "do", "probe"]
_MODES: tuple[Fragmentation, ...] = ("dont", "want", "do", "probe")


def _has_ipv6(sock: Any) -> bool:
    return _core.mmsg_getsockopt(sock, _SOL_SOCKET, _SO_DOMAIN) == _INET6


def receive(
    sock: Any, max_messages: int = 64, bufsize: int = 2048, flags: int = 0
) -> list[Datagram]:
    """Receive what is there as :class:`Datagram` values; waits and raises as :func:`recvmmsg`.

    What was not asked for with :func:`observe` is None.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
    ...     s.bind(("::1", 0))
    ...     observe(s, ttl=True, packet_info=True)
    ...     s.sendto(b"hi", s.getsockname())
    ...     [datagram] = receive(s)
    ...     datagram.ttl, datagram.destination, datagram.tos
    2
    (64, '::1', None)
    """
    return _core.mmsg_receive(sock, max_messages, bufsize, flags)


def observe(
    sock: Any,
    *,
    timestamps: bool | None = None,
    packet_info: bool | None = None,
    tos: bool | None = None,
    ttl: bool | None = None,
    overflow: bool | None = None,
    errors: bool | None = None,
) -> None:
    """Say what the kernel shall tell about each datagram: True on, False off, None as it is.

    ``timestamps``: when it arrived (``SO_TIMESTAMPNS``). ``packet_info``: at which interface,
    for which address. ``tos``: the type-of-service octet, with ECN. ``ttl``: the hop limit.
    ``overflow``: how many datagrams the full receive queue has cost so far; nothing is told
    before the first. ``errors``: keep
    ICMP errors for :func:`read_errors`; pending ones are also raised by the next call on the
    socket, for unconnected sockets too.

    Raises ``OSError`` when the kernel refuses.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     observe(s, timestamps=True, overflow=True)
    ...     s.getsockopt(socket.SOL_SOCKET, socket.SO_RXQ_OVFL)
    1
    """
    asked = {
        "timestamps": timestamps,
        "packet_info": packet_info,
        "tos": tos,
        "ttl": ttl,
        "overflow": overflow,
        "errors": errors,
    }
    six = _has_ipv6(sock)
    for name, on in asked.items():
        if on is not None:
            for level, option in _TOLD[name]:
                if level != _IPV6 or six:
                    _core.mmsg_setsockopt(sock, level, option, int(on))


def set_gro(sock: Any, on: bool = True) -> bool:
    """Let the kernel hand over runs of datagrams as one; False if it cannot (before Linux 5.0).

    The functions of this module and the methods of the same names take the runs apart again.
    ``recvfrom`` and all others do **not**: they would see many datagrams as one.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     set_gro(s) == has_gro(s)
    True
    """
    return _core.mmsg_set_coalescing(sock, on)


def has_gro(sock: Any) -> bool:
    """Whether :func:`set_gro` is on.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     has_gro(s)
    False
    """
    return _core.mmsg_coalesces(sock)


def read_errors(sock: Any) -> list[DatagramError]:
    """The errors that came back for datagrams sent earlier, at most 64; never waits.

    Needs ``observe(sock, errors=True)`` before the datagrams are sent.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
    ...     closed.bind(("127.0.0.1", 0))
    ...     nobody = closed.getsockname()
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     observe(s, errors=True)
    ...     s.sendto(b"anybody?", nobody)
    ...     [error] = read_errors(s)
    8
    >>> error.origin, error.icmp_type, error.icmp_code, error.offender[0], error.data
    ('icmp', 3, 3, '127.0.0.1', b'anybody?')
    >>> error.address == nobody
    True
    """
    return _core.mmsg_errors(sock)


def path_mtu(sock: Any) -> int:
    """The path MTU to the connected peer in bytes, IP header included, as known so far.

    Raises ``OSError`` (``ENOTCONN``) when the socket is not connected.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     s.connect(("127.0.0.1", 9))
    ...     path_mtu(s) >= 1280
    True
    """
    level, option = (_IPV6, _C["IPV6_MTU"]) if _has_ipv6(sock) else (_IP, _C["IP_MTU"])
    return _core.mmsg_getsockopt(sock, level, option)


def set_dont_fragment(sock: Any, mode: Fragmentation | bool = "do") -> None:
    """Say whether datagrams may be cut into fragments on their way.

    ``"do"`` or True: never (DF is set), what exceeds the known path MTU is ``EMSGSIZE``.
    ``"probe"``: DF too, but any size is tried (RFC 8899). ``"want"``: as the system does by
    default. ``"dont"`` or False: routers may. Raises ``ValueError`` for another mode.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     set_dont_fragment(s)
    ...     dont_fragment(s)
    'do'
    """
    if isinstance(mode, bool):
        mode = "do" if mode else "dont"
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(map(repr, _MODES))}, not {mode!r}")
    value = _MODES.index(mode)
    _core.mmsg_setsockopt(sock, _IP, _C["IP_MTU_DISCOVER"], value)
    if _has_ipv6(sock):
        _core.mmsg_setsockopt(sock, _IPV6, _C["IPV6_MTU_DISCOVER"], value)


def dont_fragment(sock: Any) -> Fragmentation:
    """What :func:`set_dont_fragment` set, or the system's default.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     dont_fragment(s) in ("want", "dont")
    True
    """
    if _has_ipv6(sock):
        level, option = _IPV6, _C["IPV6_MTU_DISCOVER"]
    else:
        level, option = _IP, _C["IP_MTU_DISCOVER"]
    value = _core.mmsg_getsockopt(sock, level, option)
    # Two more modes of Linux ("interface", "omit") are kinds of not setting DF.
    return _MODES[value] if value < len(_MODES) else "dont"
