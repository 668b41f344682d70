"""Service discovery on the local network: ask everybody, everybody answers.

Questions go out by broadcast and by multicast on every interface; the same answer heard twice is
one answer. A service also announces itself now and then, so that listeners see signs of life.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from udpcore import _core
from udpcore._interfaces import LOOPBACK, interfaces
from udpcore.apps._app import App, open_udp, receive, run_as_program
from udpcore.apps._everywhere import join_everywhere, send, send_everywhere

#: The group of the local network's own (RFC 2365 §6.1, administratively scoped).
GROUP = "239.255.70.20"
ANNOUNCE_SECONDS, ASK_AGAIN_SECONDS = 5.0, 0.5
#: A service not heard of for three announcements and a bit is gone.
LIFETIME_SECONDS = 16.0

#: ``"new"`` or ``"gone"``, the address, and what the service said of itself.
Event = tuple[str, str, Any]


class ServiceDiscovery(App):
    """Announces a service, or finds the services of others."""

    def __init__(
        self, port: int = 37020, *, lifetime: float = LIFETIME_SECONDS, verbose: bool = False
    ) -> None:
        super().__init__(verbose)
        self.port, self.lifetime = port, lifetime
        self.directory = _core.AppDirectory(lifetime)
        self.stats = {"received": 0, "sent": 0, "errors": 0}

    def announce_service(self, info: Any) -> None:
        """Answer questions and announce `info` (any JSON value) until Ctrl-C or `close`."""
        announcement = _core.discovery_compose(json.dumps(info))
        with open_udp("", self.port, share=True) as sock:
            self.running, next_sign = True, 0.0
            self.say(f"announcing {info} on port {self.port}")
            while self.running:
                if time.monotonic() >= next_sign:
                    next_sign = time.monotonic() + ANNOUNCE_SECONDS
                    # Each time anew: an interface may have come up meanwhile.
                    join_everywhere(sock, GROUP)
                    self.stats["errors"] += send_everywhere(sock, announcement, GROUP, self.port)
                if (message := receive(sock)) is None:
                    continue
                self.stats["received"] += 1
                data, address = message
                if self.directory.handle(time.monotonic(), address[0], data)[0] == "request":
                    answered = send(sock, announcement, address)
                    self.stats["sent" if answered else "errors"] += 1

    def discover_services(self, timeout: float = 5.0) -> list[dict[str, Any]]:
        """Ask who is there and return ``[{"address", "info"}]`` after `timeout` seconds."""
        self.directory = _core.AppDirectory(timeout + 1)
        found = [event for event in self.events(timeout, ASK_AGAIN_SECONDS) if event]
        return [{"address": host, "info": info} for _, host, info in found]

    async def discover_services_async(self, timeout: float = 5.0) -> list[dict[str, Any]]:
        """:meth:`discover_services` for asyncio; cancelling it ends it."""
        found: list[dict[str, Any]] = await self._in_thread(self.discover_services, timeout)
        return found

    async def announce_service_async(self, info: Any) -> None:
        """:meth:`announce_service` for asyncio; cancelling it ends it."""
        await self._in_thread(self.announce_service, info)

    def watch(
        self,
        on_new: Callable[[str, Any], None],
        timeout: float = float("inf"),
        on_gone: Callable[[str, Any], None] = lambda host, info: None,
    ) -> None:
        """Call `on_new(address, info)` for each service that comes, `on_gone` when it is gone."""
        for event in self.events(timeout):
            if event:
                (on_new if event[0] == "new" else on_gone)(*event[1:])

    def events(
        self, timeout: float = float("inf"), again: float = ANNOUNCE_SECONDS
    ) -> Iterator[Event | None]:
        """Ask each `again` seconds; yield who is new and who is gone, None when nothing happens."""
        request, next_question = _core.discovery_compose(), 0.0
        # A service of this machine answers by every interface: it is one service all the same.
        deadline, ours = time.monotonic() + timeout, {one.address for one in interfaces()}
        self.running = True
        with open_udp() as sock:
            while self.running and (now := time.monotonic()) < deadline:
                if now >= next_question:
                    next_question = now + again
                    self.stats["errors"] += send_everywhere(sock, request, GROUP, self.port)
                for host, text, _, _ in self.directory.expire(now):
                    yield "gone", host, json.loads(text)
                if message := receive(sock):
                    self.stats["received"] += 1
                    host = LOOPBACK if message[1][0] in ours else message[1][0]
                    kind, info = self.directory.handle(time.monotonic(), host, message[0])
                    if kind == "new" and info is not None:
                        yield "new", host, json.loads(info)
                yield None

    async def _in_thread(self, work: Callable[[Any], Any], argument: Any) -> Any:
        try:
            return await asyncio.to_thread(work, argument)
        except asyncio.CancelledError:
            self.close()
            raise


if __name__ == "__main__":
    run_as_program("discover")
