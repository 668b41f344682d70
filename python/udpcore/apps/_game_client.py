"""A player of the game: sends its position, hears of the others in a thread."""

from __future__ import annotations

import threading
import time
from typing import Any

from udpcore import _core
from udpcore.apps._app import POLL_SECONDS, Address, App, open_udp, receive

LIFETIME_SECONDS = 5.0
#: Others are drawn this much in the past, so that there is a position before and after.
INTERPOLATION_SECONDS = 0.1

PlayerId = int | str


class GameClient(App):
    """One player: sends its position, hears of the others in a thread."""

    def __init__(self, server_addr: Address, player_id: PlayerId, *, verbose: bool = False) -> None:
        super().__init__(verbose)
        self.server_addr, self.player_id = server_addr, player_id
        self.position = {"x": 0.0, "y": 0.0}
        self.sock = open_udp("::" if ":" in server_addr[0] else "")
        # The time of day, but it never goes back: a clock that is set must not freeze the player.
        self._epoch = time.time() - time.monotonic()
        self._view = _core.AppGameView(player_id, LIFETIME_SECONDS)
        self.running = True
        self._thread = threading.Thread(target=self._listen, name="GameClient", daemon=True)
        self._thread.start()

    def send_position(self, x: float, y: float) -> None:
        """Tell the server where this player is."""
        self.position = {"x": x, "y": y}
        datagram = _core.game_position(self.player_id, x, y, self._epoch + time.monotonic())
        self.sock.sendto(datagram, self.server_addr)

    @property
    def other_players(self) -> dict[PlayerId, dict[str, float]]:
        """Where the others were when last heard of: ``{id: {"x", "y"}}``."""
        return {n: {"x": x, "y": y} for n, x, y in self._view.latest(time.monotonic())}

    def interpolated(self, delay: float = INTERPOLATION_SECONDS) -> dict[PlayerId, Any]:
        """Where to draw the others: smooth, `delay` seconds in the past; predicted with 0."""
        now = time.monotonic()
        return {n: {"x": x, "y": y} for n, x, y in self._view.positions(now, now - delay)}

    def _listen(self) -> None:
        self.sock.settimeout(POLL_SECONDS)
        while self.running:
            if message := receive(self.sock):
                self._view.handle(time.monotonic(), message[0])

    def close(self) -> None:
        """Leave the game."""
        super().close()
        self._thread.join()
        self.sock.close()
