"""Where name servers are: names and addresses as a user gives them, and what they come to."""

from __future__ import annotations

import socket
from collections.abc import Iterable


def _numeric(address: tuple[object, ...]) -> str:
    """The IP address; behind a ``%`` the number of the interface when it is one of the link's."""
    ip = str(address[0]).partition("%")[0]
    return f"{ip}%{address[3]}" if len(address) == 4 and address[3] else ip


def addresses_of(server: str | Iterable[str], port: int) -> list[tuple[str, int]]:
    """Return the addresses of `server`, which may be a name, an address or several of them.

    Raises :exc:`socket.gaierror` for a name without address, :exc:`ValueError` for a bad port.
    """
    if not 0 < port < 65536:
        raise ValueError(f"port {port} is out of range; give 1 to 65535")
    found = []
    for host in [server] if isinstance(server, str) else server:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (socket.gaierror, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise socket.gaierror(
                getattr(error, "errno", None) or socket.EAI_NONAME,
                f"name server {host!r} has no address: {reason}",
            ) from None
        # Only the first address of a name: the others are the same server.
        found.append((_numeric(infos[0][4]), port))
    if not found:
        raise ValueError("no name server given")
    return found
