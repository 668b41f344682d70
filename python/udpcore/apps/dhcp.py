"""Ask the local network's DHCP servers what they would offer (RFC 2131), and take nothing.

A DISCOVER goes out on every Ethernet interface; the offers are parsed; no REQUEST follows, so no
lease is taken. Needs root (or CAP_NET_BIND_SERVICE and CAP_NET_RAW): answers come to port 68.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import time
from dataclasses import dataclass

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import POLL_SECONDS, App, receive, run_as_program
from udpcore.apps._interfaces import Interface, interfaces

CLIENT_PORT, SERVER_PORT, SO_BINDTODEVICE = 68, 67, 25
ASK_AGAIN_SECONDS = 1.0


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


class _Question(App):
    """A DISCOVER on one interface, and the socket its offers come to."""

    def __init__(self, interface: Interface) -> None:
        super().__init__()
        self.interface = interface
        self.transaction = secrets.randbits(32)
        self.began = time.monotonic()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self.sock.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, interface.name.encode())
            self.sock.bind(("", CLIENT_PORT))
        except OSError:
            self.sock.close()
            raise
        self.sock.settimeout(POLL_SECONDS)

    def ask(self) -> None:
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
        self.sock.close()


def dhcp_discover(
    interface: str | None = None, timeout: float = 3.0, *, verbose: bool = False
) -> list[DhcpOffer]:
    """Return the offers of `timeout` seconds. :class:`PermissionError` names a missing right."""
    suitable = [one for one in interfaces() if one.is_up and one.is_ethernet]
    asked = [one for one in suitable if interface in (None, one.name)]
    if not asked:
        names = ", ".join(one.name for one in suitable) or "none"
        raise OSError(
            errno.ENODEV, f"no Ethernet interface {interface or 'at all'} is up ({names} are)"
        )
    offers: dict[DhcpOffer, None] = {}
    with contextlib.ExitStack() as stack:
        try:
            questions = [stack.enter_context(_Question(one)) for one in asked]
        except PermissionError as error:
            needed = "CAP_NET_BIND_SERVICE (port 68) and CAP_NET_RAW (choosing the interface)"
            raise PermissionError(error.errno, f"needs root, or {needed}") from error
        deadline, next_question = time.monotonic() + timeout, 0.0
        while time.monotonic() < deadline:
            if time.monotonic() >= next_question:
                next_question = time.monotonic() + ASK_AGAIN_SECONDS
                for question in questions:
                    question.ask()
            for question in questions:
                if (offer := question.offer()) and offer not in offers:
                    offers[offer] = None
                    if verbose:
                        print(offer)
    return list(offers)


if __name__ == "__main__":
    run_as_program("dhcp")
