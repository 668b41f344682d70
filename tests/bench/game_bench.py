"""A game of 1,000 players: what the server costs, and how evenly its states come.

``python tests/bench/game_bench.py``, after a release build. The server is a program of its own;
here 1,000 players move 20 times a second, each from a socket of its own. Processor time of the
server for a second of game, user and system; the bar is what we state: half a core.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import time

import _report

PLAYERS = 1000
STEPS_PER_SECOND = 20
SECONDS = 8
HZ = os.sysconf("SC_CLK_TCK")


def processor_seconds(process: int) -> float:
    """User and system time of a process."""
    with open(f"/proc/{process}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def play(port: int, process: int) -> dict[str, float]:
    """Move all players for a while; returns what was measured."""
    players = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PLAYERS)]
    selector = selectors.EpollSelector()
    for number, player in enumerate(players):
        player.connect(("127.0.0.1", port))
        player.setblocking(False)
        selector.register(player, selectors.EVENT_READ, number)
    received, largest, moments = 0, 0, list[float]()
    # Newcomers are let in 200 a second, after a first 2,000.
    slots = [players[at::STEPS_PER_SECOND] for at in range(STEPS_PER_SECOND)]
    began = time.monotonic()
    measured_from, processor = began + 2, 0.0
    for tick in range(SECONDS * STEPS_PER_SECOND * STEPS_PER_SECOND):
        due = began + tick / STEPS_PER_SECOND / STEPS_PER_SECOND
        if not processor and due >= measured_from:
            processor, received, moments = processor_seconds(process), 0, []
        for number, player in enumerate(slots[tick % STEPS_PER_SECOND]):
            name = number * STEPS_PER_SECOND + tick % STEPS_PER_SECOND
            text = f'{{"type": "position", "player_id": {name}, "x": {name * 1.5}, "y": 0, '
            player.send(f'{text}"timestamp": {time.time()}}}'.encode())
        while (left := due - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                datagram = key.fileobj.recv(2048)  # type: ignore[union-attr]
                received += 1
                largest = max(largest, len(datagram))
                if key.data == 0 and (not moments or time.monotonic() - moments[-1] > 0.02):
                    moments.append(time.monotonic())
    seconds = time.monotonic() - measured_from
    processor = processor_seconds(process) - processor
    gaps = [b - a for a, b in itertools.pairwise(moments)]
    for player in players:
        player.close()
    return {
        "cores": processor / seconds,
        "states_per_s": received / seconds,
        "largest_bytes": largest,
        "gap_ms": statistics.median(gaps) * 1000,
    }


def main() -> None:
    """Start the server, play, print."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    words = [sys.executable, "-m", "udpcore", "game", "--port", "0", "--json"]
    with subprocess.Popen(words, stdout=-1, stderr=-1, text=True) as server:
        assert server.stderr
        port = int(server.stderr.readline().split("port ")[1].partition(";")[0])
        found = play(port, server.pid)
        server.send_signal(signal.SIGINT)
        applied = json.loads(server.communicate(timeout=20)[0])
    assert found["largest_bytes"] <= 1200, found
    assert applied["refused"] == 0, applied
    notes = [f"{found['states_per_s']:.0f} datagrams a second came to the players"]
    row = {
        "work": f"{PLAYERS} players, 20 moves and 20 states a second",
        "ours": found["cores"],
        "unit": "cores",
        "bar": "≤ 0.5",
        "median gap, ms": found["gap_ms"],
        "largest datagram": found["largest_bytes"],
    }
    _report.say("Game server", [row], notes)


if __name__ == "__main__":
    main()
