"""Service discovery on the local network: ask everybody, everybody answers.

Questions go out by broadcast and by multicast on every interface; the same answer heard twice is
one answer. A service also announces itself now and then, so that listeners see signs of life.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import time
from collections.abc import Callable
from typing import Any

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import App, open_udp, receive, run_as_program
from udpcore.apps._interfaces import interfaces

#: The group of the local network's own (RFC 2365 §6.1, administratively scoped).
GROUP = "239.255.70.20"
#: A service not heard of for three announcements and a bit is gone.
ANNOUNCE_SECONDS, ASK_AGAIN_SECONDS, LIFETIME_SECONDS = 5.0, 0.5, 16.0


class ServiceDiscovery(App):
    """Announces a service, or finds the services of others."""

    def __init__(self, port: int = 37020, *, verbose: bool = False) -> None:
        super().__init__(verbose)
        self.port = port
        self.directory = _core.AppDirectory(LIFETIME_SECONDS)
        self.stats = {"received": 0, "sent": 0, "errors": 0}

    def announce_service(self, info: Any) -> None:
        """Answer questions and announce `info` (any JSON value) until Ctrl-C or `close`."""
        announcement = _core.discovery_compose(json.dumps(info))
        with open_udp("", self.port, share=True) as sock:
            self._join(sock)
            self.running, next_sign = True, 0.0
            self.say(f"announcing {info} on port {self.port}")
            while self.running:
                if time.monotonic() >= next_sign:
                    next_sign = time.monotonic() + ANNOUNCE_SECONDS
                    self._send_everywhere(sock, announcement)
                if (message := receive(sock)) is None:
                    continue
                self.stats["received"] += 1
                data, address = message
                if self.directory.handle(time.monotonic(), address[0], data)[0] == "request":
                    self._send(sock, announcement, address)

    def discover_services(self, timeout: float = 5.0) -> list[dict[str, Any]]:
        """Ask who is there and return ``[{"address", "info"}]`` after `timeout` seconds."""
        self.running = True
        directory = _core.AppDirectory(timeout + 1)
        self._listen(directory, timeout, lambda address, info: None)
        return [{"address": e[0], "info": json.loads(e[1])} for e in directory.entries()]

    def watch(self, on_new: Callable[[str, Any], None], timeout: float = float("inf")) -> None:
        """Call `on_new(address, info)` for every new service; `directory` knows who is there."""
        self.running = True
        self._listen(self.directory, timeout, on_new, ANNOUNCE_SECONDS)

    async def discover_services_async(self, timeout: float = 5.0) -> list[dict[str, Any]]:
        """:meth:`discover_services` for asyncio."""
        return await asyncio.to_thread(self.discover_services, timeout)

    def _listen(
        self,
        directory: _core.AppDirectory,
        timeout: float,
        on_new: Callable[[str, Any], None],
        again: float = ASK_AGAIN_SECONDS,
    ) -> None:
        request, next_question = _core.discovery_compose(), 0.0
        # A service of this machine answers by every interface: it is one service all the same.
        deadline, ours = time.monotonic() + timeout, {one.address for one in interfaces()}
        with open_udp() as sock:
            while self.running and time.monotonic() < deadline:
                if time.monotonic() >= next_question:
                    next_question = time.monotonic() + again
                    self._send_everywhere(sock, request)
                if message := receive(sock):
                    self.stats["received"] += 1
                    host = "127.0.0.1" if message[1][0] in ours else message[1][0]
                    kind, service = directory.handle(time.monotonic(), host, message[0])
                    if kind == "new" and service is not None:
                        on_new(host, json.loads(service))

    def _send_everywhere(self, sock: socket.socket, datagram: bytes) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for interface in interfaces():
            if interface.address is None or not interface.is_up:
                continue
            ours = socket.inet_aton(interface.address)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ours)
            self._send(sock, datagram, (GROUP, self.port))
            everybody = "127.255.255.255" if interface.is_loopback else interface.broadcast
            self._send(sock, datagram, (everybody or "255.255.255.255", self.port))

    def _send(self, sock: socket.socket, datagram: bytes, address: tuple[str, int]) -> None:
        try:
            sock.sendto(datagram, address)
            self.stats["sent"] += 1
        except OSError:
            self.stats["errors"] += 1

    def _join(self, sock: socket.socket) -> None:
        for interface in interfaces():
            if interface.address is not None and interface.is_up:
                request = struct.pack("4s4s", *map(socket.inet_aton, (GROUP, interface.address)))
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)


if __name__ == "__main__":
    run_as_program("discover")
