"""A game's positions: players tell where they are, the server tells everybody, 20 times a second.

Formats: ``{"type": "position", …}`` to the server, ``{"type": "game_state", …}`` from it.
"""

from __future__ import annotations

import time
from typing import Any

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import App, open_udp, run_as_program
from udpcore.apps._game_client import GameClient, PlayerId

__all__ = ["GameClient", "GameServer"]

BROADCASTS_PER_SECOND = 20
#: A player not heard of for this long is gone.
LIFETIME_SECONDS = 5.0
#: Datagrams taken between two looks at the clock, and how large one may be.
BATCH, POSITION_BYTES_MAX = 256, 1200


class GameServer(App):
    """Keeps the players' positions and broadcasts them."""

    def __init__(self, port: int, *, host: str = "0.0.0.0", verbose: bool = False) -> None:
        super().__init__(verbose)
        self.sock = open_udp(host, port)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.port: int = self.sock.getsockname()[1]
        self._world = _core.AppGameWorld(LIFETIME_SECONDS, time.monotonic())
        self.sent = 0

    def run(self) -> None:
        """Serve until `close` or Ctrl-C."""
        self.running = True
        self.say(f"game on port {self.port}")
        next_broadcast = time.monotonic()
        while self.running:
            self._receive(next_broadcast)
            if (now := time.monotonic()) >= next_broadcast:
                next_broadcast = max(next_broadcast + 1 / BROADCASTS_PER_SECOND, now)
                self._broadcast(now)

    def _receive(self, until: float) -> None:
        """Wait for positions until this moment, and take all that are there."""
        self.sock.settimeout(max(until - time.monotonic(), 0.0001))
        try:
            messages = self.sock.recvmmsg(BATCH, POSITION_BYTES_MAX)
        except (TimeoutError, ConnectionRefusedError):
            return
        now = time.monotonic()
        for datagram, address in messages:
            self._world.handle(now, address[:2], datagram)

    def _broadcast(self, now: float) -> None:
        states = self._world.broadcast(now)
        while states:
            try:
                sent = self.sock.sendmmsg(states)
                self.sent += sent
            except OSError as error:
                # The first cannot be sent: a player behind a broken route must not stop the rest.
                self.logger.debug("%s: %s", states[0][1], error)
                sent = 1
            states = states[sent:]

    @property
    def players(self) -> dict[PlayerId, dict[str, Any]]:
        """Everybody: ``{id: {"x", "y", "address", "last_seen"}}``."""
        return {
            name: {"x": x, "y": y, "address": address, "last_seen": heard}
            for name, x, y, address, heard in self._world.players()
        }

    @property
    def stats(self) -> dict[str, int]:
        """Positions applied, and those refused by reason."""
        return {**self._world.stats(), "sent": self.sent}

    def close(self) -> None:
        """Stop serving and close the port."""
        super().close()
        self.sock.close()


if __name__ == "__main__":
    run_as_program("game")
