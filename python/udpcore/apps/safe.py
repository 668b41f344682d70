"""Sending what fits: a size check, the path's MTU, and fragments for what does not fit."""

from __future__ import annotations

import itertools
import time
from typing import Any

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import POLL_SECONDS, Address, receive, run_as_program

#: Linux's numbers, which the socket module does not name everywhere.
IP_MTU, IP_MTU_DISCOVER, IP_PMTUDISC_DO = 14, 10, 2
IPV6_MTU, IPV6_MTU_DISCOVER = 24, 23
#: Bytes of the IP and UDP headers (RFC 791, 8200, 768).
HEADER_BYTES = {socket.AF_INET: 28, socket.AF_INET6: 48}
#: Messages are cut into at most this many fragments (the wire format's limit).
FRAGMENTS_MAX = 8192

Data = bytes | bytearray | memoryview

_numbers = itertools.count()


def send_safe_udp(sock: socket.socket, data: Data, address: Any, max_size: int = 1400) -> int:
    """Send `data` when it fits a datagram of `max_size` bytes; returns how many were sent.

    Raises :class:`ValueError` when it does not: IP would cut it into fragments, and the loss of
    one is the loss of all. :func:`send_large_udp` cuts it itself.
    """
    size = memoryview(data).nbytes
    if size > max_size:
        raise ValueError(
            f"{size} bytes do not fit a datagram of {max_size}: send less, or use send_large_udp"
        )
    return sock.sendto(data, address)


def path_mtu(address: Address) -> int:
    """Return the largest datagram that reaches `address` unfragmented, as far as is known.

    The kernel knows the first link, and of the path what errors have told it so far.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO)
            sock.connect(address)
            mtu = sock.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            sock.connect(address)
            mtu = sock.getsockopt(socket.IPPROTO_IP, IP_MTU)
    return mtu - HEADER_BYTES[family]


def send_large_udp(sock: socket.socket, data: bytes, address: Any, max_size: int = 1400) -> int:
    """Cut `data` into datagrams of at most `max_size` bytes and send them; returns how many.

    Nothing is repaired: when one is lost, the message is lost.
    """
    number = next(_numbers) % 2**32
    fragments = _core.video_fragment(number, data, max_size)
    for fragment in fragments:
        sock.sendto(fragment, address)
    return len(fragments)


def receive_large_udp(sock: socket.socket, timeout: float = 5.0) -> tuple[bytes, Address]:
    """Receive one message of :func:`send_large_udp` and its sender.

    Raises :class:`TimeoutError` when none was complete within `timeout` seconds.
    """
    messages = _core.AppVideoAssembler(timeout)
    deadline = time.monotonic() + timeout
    before = sock.gettimeout()
    try:
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(min(left, POLL_SECONDS))
            if (message := receive(sock)) is None:
                continue
            data, address = message
            if whole := messages.handle(time.monotonic(), address[:2], data):
                return whole[1], address
    finally:
        sock.settimeout(before)
    raise TimeoutError(f"no complete message within {timeout} s; {messages.stats()}")


if __name__ == "__main__":
    run_as_program("send")
