"""A game's events (a door opens, a shot hits): few, and none may be lost.

Positions may be lost, the next one is better anyway; events go over
:class:`udpcore.reliable.UDPWithACK`: repeated until acknowledged, delivered exactly once. The
relay passes each event on to every other player it has heard of. An event is a JSON object;
``{"type": "hello"}`` makes a player known and is not passed on.
"""

from __future__ import annotations

import json
import time
from typing import Any

from udpcore import reliable
from udpcore.apps._app import POLL_SECONDS, Address, App, run_as_program

#: A player who acknowledged nothing for so many repetitions is gone.
RETRIES, TIMEOUT_SECONDS = 12, 0.15
PLAYERS_MAX = 2000
HELLO = {"type": "hello"}

Event = dict[str, Any]


def _parse(payload: bytes) -> Event | None:
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


class GameEventRelay(App):
    """Passes events on between the players of one game."""

    def __init__(self, port: int, *, host: str = "0.0.0.0", verbose: bool = False) -> None:
        super().__init__(verbose)
        self.endpoint = reliable.UDPWithACK(port, host=host)
        self.port: int = self.endpoint.local_address[1]
        self.players: dict[Address, None] = {}
        self.stats = {"received": 0, "passed_on": 0, "malformed": 0, "gone": 0}

    def run(self) -> None:
        """Pass on until `close` or Ctrl-C."""
        self.running = True
        while self.running:
            payload, sender = self.endpoint.receive(timeout=POLL_SECONDS)
            for message in self.endpoint.take_failed().values():
                self.stats["gone"] += self.players.pop(message.address, 0) is None
            if payload is not None and sender is not None:
                self._pass_on(payload, sender)

    def _pass_on(self, payload: bytes, sender: Address) -> None:
        event = _parse(payload)
        if event is None or (sender not in self.players and len(self.players) >= PLAYERS_MAX):
            self.stats["malformed"] += 1
            return
        self.players[sender] = None
        self.stats["received"] += 1
        for player in list(self.players) if event != HELLO else []:
            if player != sender:
                self.endpoint.send_reliable(payload, player, RETRIES, TIMEOUT_SECONDS)
                self.stats["passed_on"] += 1

    def close(self) -> None:
        """Stop, close the port."""
        super().close()
        self.endpoint.close()


class GameEvents(App):
    """One player's events: `send` tells the others, `receive` returns what they told."""

    def __init__(self, relay_addr: Address) -> None:
        super().__init__()
        self.relay_addr = relay_addr
        self.endpoint = reliable.UDPWithACK(0)
        self.send(HELLO)

    def send(self, event: Event) -> int:
        """Send an event; returns its number, for ``endpoint.wait``."""
        payload = json.dumps(event).encode()
        return self.endpoint.send_reliable(payload, self.relay_addr, RETRIES, TIMEOUT_SECONDS)

    def receive(self, timeout: float = 0.0) -> Event | None:
        """Return the next event of another player; None when none comes in time."""
        deadline = time.monotonic() + timeout
        while True:
            payload, _ = self.endpoint.receive(timeout=max(deadline - time.monotonic(), 0))
            if payload is None:
                return None
            if (event := _parse(payload)) is not None:
                return event

    def close(self) -> None:
        """Leave the game."""
        self.endpoint.close()


if __name__ == "__main__":
    run_as_program("game", "--events")
