"""Sending a file over a stream socket: by the kernel if it can, by reading and sending if not.

Follows the rules of the standard ``socket.sendfile``: the file's position afterwards says how far
it got, also after an error; a non-blocking socket is refused.
"""

from __future__ import annotations

import io
import os
import selectors

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take longer than everything else here
    from typing import Any

    from udpcore._face import socket

#: sendfile(2) takes at most this many bytes a call on every kernel.
_KERNEL_BLOCK_MAX = 2**30
_READ_BLOCK = 8192


class GiveUpOnSendfile(Exception):  # noqa: N818 - not an error: the other way is taken
    """The kernel cannot send this file; read it and send it instead."""


GiveUpOnSendfile.__name__ = GiveUpOnSendfile.__qualname__ = "_GiveupOnSendfile"


def check_parameters(sock: socket, file: Any, offset: int, count: int | None) -> None:
    """Refuses text files, datagram sockets and counts that are no positive integers."""
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("file should be opened in binary mode")
    # The kind is compared as a bit, as the standard module does.
    if not sock.type & 1:
        raise ValueError("only SOCK_STREAM type sockets are supported")
    if count is None:
        return
    if not isinstance(count, int):
        raise TypeError(f"count must be a positive integer (got {count!r})")
    if count <= 0:
        raise ValueError(f"count must be a positive integer (got {count!r})")


def _file_to_send(file: Any) -> tuple[int, int]:
    """The descriptor and the size of a file the kernel may be able to send."""
    try:
        number = file.fileno()
    except (AttributeError, io.UnsupportedOperation) as reason:
        raise GiveUpOnSendfile(reason) from reason
    try:
        return number, os.fstat(number).st_size
    except OSError as reason:
        raise GiveUpOnSendfile(reason) from reason


def by_kernel(sock: socket, file: Any, offset: int, count: int | None) -> int:
    """Sends with sendfile(2), waiting at most the socket's timeout for each block."""
    check_parameters(sock, file, offset, count)
    out = sock.fileno()
    source, size = _file_to_send(file)
    if not size:
        return 0
    timeout = sock.gettimeout()
    if timeout == 0:
        raise ValueError("non-blocking sockets are not supported")
    block = min(count or size, _KERNEL_BLOCK_MAX)
    total = 0
    with selectors.PollSelector() as selector:
        selector.register(out, selectors.EVENT_WRITE)
        try:
            while count is None or total < count:
                if timeout and not selector.select(timeout):
                    raise TimeoutError("timed out")
                wanted = block if count is None else min(block, count - total)
                try:
                    sent = os.sendfile(out, source, offset, wanted)
                except BlockingIOError:
                    if not timeout:
                        selector.select()
                    continue
                except OSError as reason:
                    if total:
                        raise
                    raise GiveUpOnSendfile(reason) from reason
                if sent == 0:
                    break
                offset += sent
                total += sent
        finally:
            if total and hasattr(file, "seek"):
                file.seek(offset)
    return total


def by_reading(sock: socket, file: Any, offset: int, count: int | None) -> int:
    """Reads blocks and sends them."""
    check_parameters(sock, file, offset, count)
    if sock.gettimeout() == 0:
        raise ValueError("non-blocking sockets are not supported")
    if offset:
        file.seek(offset)
    total = 0
    try:
        while count is None or total < count:
            wanted = _READ_BLOCK if count is None else min(_READ_BLOCK, count - total)
            rest = memoryview(file.read(wanted))
            if not rest:
                break
            while rest:
                try:
                    sent = sock.send(rest)
                except BlockingIOError:
                    continue
                total += sent
                rest = rest[sent:]
    finally:
        if total and hasattr(file, "seek"):
            file.seek(offset + total)
    return total
