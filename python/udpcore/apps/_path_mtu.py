"""How large a datagram may be that no router has to cut: what the kernel knows, what probes show.

Sizes are of the UDP payload: the MTU less the headers of IP and UDP.
"""

from __future__ import annotations

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import Address, receive

#: Linux's numbers, which the socket module does not name everywhere.
IP_MTU, IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_PMTUDISC_PROBE = 14, 10, 2, 3
IPV6_MTU, IPV6_MTU_DISCOVER = 24, 23
#: Bytes of the IP and UDP headers (RFC 791, 8200, 768).
HEADER_BYTES: dict[int, int] = {socket.AF_INET: 28, socket.AF_INET6: 48}
#: What every path carries: IPv6's minimum MTU (RFC 8200 §5), the smallest UDP payload of RFC 8085.
BASE_BYTES = 1232
#: Lost probes are repeated so often before a size counts as too large (RFC 8899 §5.1.2).
PROBES_MAX = 3


def path_mtu(address: Address) -> int:
    """Return the largest datagram that reaches `address` unfragmented, as far as is known.

    The kernel knows the first link, and of the path what errors have told it so far.
    """
    with _unfragmented(address, IP_PMTUDISC_DO) as sock:
        if sock.family == socket.AF_INET6:
            mtu = sock.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)
        else:
            mtu = sock.getsockopt(socket.IPPROTO_IP, IP_MTU)
        return mtu - HEADER_BYTES[sock.family]


def probe_path_mtu(echo_server: Address, timeout: float = 0.5) -> int:
    """Return the largest datagram that `echo_server` echoes unfragmented, found by probing.

    Works where routers drop what is too large and say nothing (RFC 8899 does it this way). The
    server echoes bytes untouched: ``UDPEchoServer(raw=True, buffer_size=65535)``, RFC 862.
    Raises :class:`TimeoutError` when not even the smallest probe comes back.
    """
    highest = path_mtu(echo_server)
    with _unfragmented(echo_server, IP_PMTUDISC_PROBE) as sock:
        sock.settimeout(timeout)
        if _passes(sock, highest):
            return highest
        fits, too_large = min(BASE_BYTES, highest - 1), highest
        if not _passes(sock, fits):
            raise TimeoutError(f"{echo_server} echoed no datagram of {fits} bytes")
        while too_large - fits > 1:
            size = (fits + too_large) // 2
            fits, too_large = (size, too_large) if _passes(sock, size) else (fits, size)
        return fits


def _passes(sock: socket.socket, size: int) -> bool:
    for number in range(PROBES_MAX):
        probe = _core.echo_probe(size * PROBES_MAX + number, b"").ljust(size, b".")
        try:
            sock.send(probe)
        except OSError:
            # Larger than the first link.
            return False
        while message := receive(sock):
            if message[0] == probe:
                return True
    return False


def _unfragmented(address: Address, mode: int) -> socket.socket:
    """A socket connected to `address` that sends nothing in fragments."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, mode)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, mode)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock
