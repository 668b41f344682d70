"""A session as over ssh, through ``netem bridge``: every keystroke comes back, in its order.

Needs root and the Debian package iproute2.
"""

from __future__ import annotations

import json
import sys
import textwrap

DELAY_MS = 20
KEYS = 150

ECHO = """
    import socket
    with socket.create_server(("10.77.0.2", 7022)) as listener:
        print("ready", flush=True)
        conn, _ = listener.accept()
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while key := conn.recv(1):
            conn.sendall(key)
"""

#: Types ahead a little, as people do: three keys before it reads the first echo.
TYPIST = f"""
    import collections, json, socket, time
    with socket.create_connection(("10.77.0.2", 7022), timeout=30) as conn:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        typed, came, trips_ms = collections.deque(), bytearray(), []
        for number in range({KEYS}):
            typed.append(time.monotonic())
            conn.sendall(bytes([number]))
            while len(typed) == 3 or (typed and number == {KEYS} - 1):
                came += conn.recv(1)
                trips_ms.append(1000 * (time.monotonic() - typed.popleft()))
    print(json.dumps([list(came), trips_ms]))
"""


def test_every_keystroke_comes_back_in_order_and_not_before_its_time(wire):
    """Loss and reordering both ways: TCP repairs them, and nothing is faster than the delay."""
    bad = ["--delay", f"{DELAY_MS}ms", "--loss", "3%", "--reorder", "5%"]
    bridge = wire.bridge(*bad, "--seed", "7")
    server = wire.start("b", [sys.executable, "-c", textwrap.dedent(ECHO)])
    assert server.stdout.readline() == "ready\n"
    wire.meet()
    done = wire.run("a", [sys.executable, "-c", textwrap.dedent(TYPIST)])
    assert done.returncode == 0, done.stderr
    came, trips_ms = json.loads(done.stdout)
    assert came == list(range(KEYS))
    # There and back; a packet that overtakes is still delayed as all are.
    assert min(trips_ms) >= 2 * DELAY_MS
    summary = wire.finish(bridge)
    for way in ("up", "down"):
        assert summary[way]["received"] >= KEYS
        assert summary[way]["reordered"] > 0
    assert sum(summary[way]["dropped"]["loss"] for way in ("up", "down")) > 0
