"""One DHCPDISCOVER on one interface (RFC 2131), and the offers that answer it, as values."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import udpcore as socket
from udpcore import _core
from udpcore._interfaces import Interface
from udpcore.apps._app import POLL_SECONDS, App, receive

CLIENT_PORT, SERVER_PORT, SO_BINDTODEVICE = 68, 67, 25


@dataclass(frozen=True)
class DhcpOffer:
    """What one server would lease. Fields it did not send are None or empty."""

    interface: str
    address: str
    server: str | None
    subnet_mask: str | None
    routers: tuple[str, ...]
    name_servers: tuple[str, ...]
    lease_s: int | None
    domain: str | None = None
    broadcast: str | None = None
    time_servers: tuple[str, ...] = ()
    mtu: int | None = None
    renewal_s: int | None = None
    rebinding_s: int | None = None


class Question(App):
    """A DISCOVER on one interface, and the socket its offers come to."""

    def __init__(self, interface: Interface) -> None:
        super().__init__()
        self.interface = interface
        self.transaction = secrets.randbits(32)
        self.began = time.monotonic()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._open(interface.name)
        except OSError:
            self.sock.close()
            raise
        self.sock.settimeout(POLL_SECONDS)

    def _open(self, interface: str) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        with _needing("CAP_NET_RAW", f"to ask by {interface} only"):
            self.sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, interface.encode())
        with _needing("CAP_NET_BIND_SERVICE", f"to hear offers on port {CLIENT_PORT}"):
            self.sock.bind(("", CLIENT_PORT))

    def ask(self) -> None:
        """Send the question."""
        elapsed, address = int(time.monotonic() - self.began), self.interface.hardware_address
        discover = _core.dhcp_discover_compose(self.transaction, address, elapsed, None)
        # An interface without a carrier cannot send; the others still can.
        with contextlib.suppress(OSError):
            self.sock.sendto(discover, ("255.255.255.255", SERVER_PORT))

    def offer(self) -> DhcpOffer | None:
        """The next offer to this question; None when nothing (or something else) came."""
        try:
            message = receive(self.sock)
            reply = _core.dhcp_parse(message[0] if message else b"")
        except ValueError:
            return None
        if reply.pop("kind") != "OFFER" or reply.pop("transaction") != self.transaction:
            return None
        reply.pop("hardware_address")
        for name in ("routers", "name_servers", "time_servers"):
            reply[name] = tuple(reply[name])
        return DhcpOffer(interface=self.interface.name, **reply)

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()


@contextlib.contextmanager
def _needing(right: str, purpose: str) -> Iterator[None]:
    """Say which right is missing when the kernel refuses."""
    try:
        yield
    except PermissionError as error:
        needed = f"needs root, or {right} {purpose}: setcap {right.lower()}+ep PYTHON"
        raise PermissionError(error.errno, needed) from error
