"""``udpcore game``: the game's server, or a player that walks in circles."""

from __future__ import annotations

import math
import time

from udpcore.apps.game import GameClient, GameServer
from udpcore.apps.game_events import GameEventRelay
from udpcore.cli._apps import address, count, port_number, serve, tell
from udpcore.cli._parser import EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore game                                       serve on port 5000 until Ctrl-C
  udpcore game --events --port 5001                  pass on events, none of which is lost
  udpcore game --join 127.0.0.1:5000 --player anna   walk in circles, print who else is there"""
STEPS_PER_SECOND = 20


def main(prog: str, argv: list[str]) -> int:
    """Serve or play."""
    parser = Parser(prog, "A game's positions: server and a walking player.", EXAMPLES)
    parser.add_argument("--port", type=port_number, default=5000, help="serve on (%(default)s)")
    parser.add_argument("--join", type=address, metavar="HOST:PORT", help="be a player")
    parser.add_argument("--player", default="player", help="the player's name (%(default)s)")
    parser.add_argument("--events", action="store_true", help="pass events on, not positions")
    parser.add_argument("--steps", type=count, help="play: steps to walk (until Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    arguments = parser.parse_args(argv)
    if arguments.events:
        with GameEventRelay(arguments.port) as relay:
            ready = f"events on port {relay.port}; Ctrl-C ends it"
            serve(relay.run, lambda: relay.stats, arguments.json, ready=ready)
        return EXIT_OK
    if not arguments.join:
        with GameServer(arguments.port) as server:
            ready = f"game on port {server.port}; Ctrl-C ends it"
            serve(server.run, lambda: server.stats, arguments.json, ready=ready)
        return EXIT_OK
    with GameClient(arguments.join, arguments.player) as client:
        ready = f"playing at {arguments.join[0]}:{arguments.join[1]}; Ctrl-C ends it"
        serve(
            lambda: _walk(client, arguments.steps),
            lambda: {"position": client.position, "others": client.other_players},
            arguments.json,
            ready=ready,
        )
    return EXIT_OK


def _walk(client: GameClient, steps: int | None) -> None:
    step = 0
    while step != steps:
        angle = step / STEPS_PER_SECOND
        client.send_position(round(100 * math.cos(angle), 2), round(100 * math.sin(angle), 2))
        if step % STEPS_PER_SECOND == 0:
            tell(f"others: {client.other_players}")
        step += 1
        time.sleep(1 / STEPS_PER_SECOND)
