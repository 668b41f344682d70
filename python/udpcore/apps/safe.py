"""Sending what fits: a size check, the path's MTU, and fragments for what does not fit."""

from __future__ import annotations

import itertools
import time
from typing import Any

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import POLL_SECONDS, Address, receive, run_as_program
from udpcore.apps._path_mtu import path_mtu, probe_path_mtu

__all__ = ["path_mtu", "probe_path_mtu", "receive_large_udp", "send_large_udp", "send_safe_udp"]

#: Messages are cut into at most this many fragments (the wire format's limit).
FRAGMENTS_MAX = 8192

Data = bytes | bytearray | memoryview

_numbers = itertools.count()


def send_safe_udp(
    sock: socket.socket, data: Data, address: Any, max_size: int | None = 1400
) -> int:
    """Send `data` when it fits a datagram of `max_size` bytes; returns how many were sent.

    None asks the kernel what the path to `address` carries (:func:`path_mtu`). Raises
    :class:`ValueError` when it does not fit: IP would cut it into fragments, and the loss of one
    is the loss of all. :func:`send_large_udp` cuts it itself.
    """
    size, at_most = memoryview(data).nbytes, path_mtu(address) if max_size is None else max_size
    if size > at_most:
        raise ValueError(
            f"{size} bytes do not fit a datagram of {at_most}: send less, or use send_large_udp"
        )
    return sock.sendto(data, address)


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
