"""The sockets of multicast DNS: one for each interface and IP version, all asked at once.

RFC 6762 §3 (the groups), §5.1 (one-shot queries: from a port of our own, so that the answers come
to us alone), §11 (nothing leaves the link). What is in the messages is not looked at here.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from collections.abc import Iterable, Iterator

from udpcore._interfaces import Interface, interfaces

#: Where everybody listens. RFC 6762 §3.
GROUP, GROUP6, PORT = "224.0.0.251", "ff02::fb", 5353
#: RFC 6762 §17: the largest message there is.
MESSAGE_LEN_MAX = 9000
#: RFC 6762 §11.
HOPS = 255


class Link:
    """Sockets on every interface, or on one; ``interface`` is its name or our IPv4 address on it.

    A name means both IP versions, an address only IPv4. Raises :exc:`OSError` when there is no
    such interface.
    """

    def __init__(self, interface: str = "") -> None:
        self._sockets: dict[int, tuple[socket.socket, tuple[str, int]]] = {}
        self._poll = select.poll()
        try:
            for one in _chosen(interface):
                if one.address is not None:
                    self._add(_open4(one.address), GROUP)
                if interface in ("", one.name):
                    # IPv6 may be switched off, as a whole or on an interface.
                    with contextlib.suppress(OSError):
                        self._add(_open6(one.index), GROUP6)
        except BaseException:
            self.close()
            raise

    def send(self, queries: Iterable[bytes]) -> None:
        """Send every query everywhere; raises :exc:`OSError` when not one could be sent."""
        sent, failure = 0, OSError(errno.ENETUNREACH, "no interface is up that multicasts")
        for query in queries:
            for sock, group in self._sockets.values():
                try:
                    sock.sendto(query, group)
                    sent += 1
                except OSError as error:
                    failure = error
        if not sent:
            raise failure

    def receive(self, timeout: float) -> list[tuple[bytes, int]]:
        """What came within `timeout` seconds, with the port it came from."""
        came = []
        for descriptor, _ in self._poll.poll(max(1, timeout * 1000)):
            # An answer of ICMP to what was sent is none.
            with contextlib.suppress(OSError):
                wire, source = self._sockets[descriptor][0].recvfrom(MESSAGE_LEN_MAX)
                came.append((wire, source[1]))
        return came

    def close(self) -> None:
        """Close the sockets."""
        for sock, _ in self._sockets.values():
            sock.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, sock: socket.socket, group: str) -> None:
        sock.setblocking(False)
        self._sockets[sock.fileno()] = (sock, (group, PORT))
        self._poll.register(sock, select.POLLIN)


def _chosen(interface: str) -> list[Interface]:
    usable = [one for one in interfaces() if one.is_for_groups]
    chosen = [one for one in usable if interface in ("", one.name, one.address)]
    if not chosen:
        names = ", ".join(f"{one.name} ({one.address or 'no IPv4'})" for one in usable) or "none"
        what = f"no interface has the name or IPv4 address {interface!r}; there are: {names}"
        raise OSError(errno.ENODEV, what)
    return chosen


def _open4(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with _closed_on_failure(sock):
        sock.bind((address, 0))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
    return sock


def _open6(index: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with _closed_on_failure(sock):
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::", 0))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
    return sock


@contextlib.contextmanager
def _closed_on_failure(sock: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        sock.close()
        raise
