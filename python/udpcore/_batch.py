"""Many datagrams a call: the functions that are methods of ``udpcore.socket`` as well.

Kept apart from :mod:`udpcore.batch` because every ``import udpcore`` loads this file.
"""

from __future__ import annotations

from udpcore import _core

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take longer than everything else here
    from collections.abc import Iterable
    from typing import Any


def sendmmsg(
    sock: Any,
    messages: Iterable[Any],
    flags: int = 0,
    *,
    tos: int | None = None,
    source: str | None = None,
    interface: int = 0,
) -> int:
    """Send many datagrams with few system calls; return how many the kernel took.

    ``messages`` gives ``(data, address)`` pairs or, on a connected socket, just ``data``; a
    :class:`DatagramBatch` goes back to where it came from. Equal-sized datagrams in a row to one
    address go down the network stack as one (UDP segmentation offload); where the kernel or the
    route cannot, they go one by one, and the peer sees no difference.

    ``tos`` (0-255) is the type-of-service octet of each datagram, its lower two bits ECN
    (RFC 3168); ``source`` the IP address and ``interface`` the number of the interface to send
    from. A blocking socket waits until all are taken, a timeout or a full non-blocking socket
    may end it earlier. Raises only when the first datagram cannot be sent: ``OSError`` from the
    kernel, ``TimeoutError``, ``BlockingIOError``; an error of a later one is met again by the
    next call. ``ValueError`` for a number out of range, and for a stream socket.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     s.bind(("127.0.0.1", 0))
    ...     s.sendmmsg([(b"one", s.getsockname()), (b"two", s.getsockname())])
    ...     [data for data, address in s.recvmmsg(10)]
    2
    [b'one', b'two']
    """
    return _core.mmsg_send(sock, messages, flags, tos, source, interface)


def recvmmsg(
    sock: Any, max_messages: int, bufsize: int = 2048, flags: int = 0
) -> list[tuple[bytes, Any]]:
    """Receive what is there, with one system call, as a list of ``(data, address)``.

    Waits for the first datagram as the socket's timeout says, never for more. At most
    ``max_messages`` (the kernel allows 1,024 a call), each cut off after ``bufsize`` bytes; a
    call uses at most 4 MiB of room, which is fewer datagrams when ``bufsize`` is large. On a
    socket with GRO (:func:`udpcore.batch.set_gro`) coalesced datagrams come apart again; a run
    is never divided between calls, so up to 63 more than asked for may come.

    Raises ``OSError`` from the kernel, ``TimeoutError``, ``BlockingIOError``.

    >>> import udpcore as socket
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     s.bind(("127.0.0.1", 0))
    ...     s.connect(s.getsockname())
    ...     s.sendmmsg([b"a", b"b", b"c"])
    ...     [data for data, address in s.recvmmsg(64)]
    3
    [b'a', b'b', b'c']
    """
    return _core.mmsg_recv(sock, max_messages, bufsize, flags)


def recvmmsg_into(sock: Any, batch: _core.DatagramBatch, flags: int = 0) -> int:
    """Receive what is there into ``batch``, with one system call; return how many datagrams.

    Waits as :func:`recvmmsg` does. The batch is emptied first and used again and again; nothing
    is copied. On a socket with GRO it needs room for 64 datagrams and 65,536 bytes, or
    ``ValueError`` is raised.

    >>> import udpcore as socket
    >>> batch = socket.DatagramBatch(64, 1500)
    >>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    ...     s.bind(("127.0.0.1", 0))
    ...     s.sendto(b"hello", s.getsockname())
    ...     s.recvmmsg_into(batch)
    ...     bytes(batch[0]), batch.address(0) == s.getsockname()
    5
    1
    (b'hello', True)
    """
    return _core.mmsg_recv_into(sock, batch, flags)
