"""Every wire format of the applications, byte by byte, composed by the standard library alone.

What a plain peer would send, written from the formats as they are documented: ours composes the
same bytes, and reads them back.
"""

from __future__ import annotations

import json
import struct

import pytest

from udpcore import _core

#: format -> (ours, theirs)
COMPOSED = {
    "echo": (_core.echo_answer("é".encode(), b"ECHO: "), "ECHO: é".encode()),
    "multicast video": (
        _core.stream_compose(0x01020304, b"ts"),
        struct.pack("!I", 0x01020304) + b"ts",
    ),
    "end of a stream": (_core.stream_compose(7, b""), b"\0\0\0\x07"),
    "video": (
        _core.video_fragment(9, b"abcdef", 8 + 4),
        [struct.pack("!IHH", 9, 0, 2) + b"abcd", struct.pack("!IHH", 9, 1, 2) + b"ef"],
    ),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_bytes(name):
    ours, theirs = COMPOSED[name]
    assert ours == theirs


#: format -> (ours, the JSON it means)
JSON = {
    "discovery request": (_core.discovery_compose(), {"type": "discovery_request"}),
    "service announcement": (
        _core.discovery_compose('{"name": "web", "port": 80}'),
        {"type": "service_announcement", "service": {"name": "web", "port": 80}},
    ),
    "position": (
        _core.game_position("anna", 1.5, -2.0, 1000.25),
        {"type": "position", "player_id": "anna", "x": 1.5, "y": -2.0, "timestamp": 1000.25},
    ),
    "position of a number": (
        _core.game_position(7, 0.0, 0.0, 1.0),
        {"type": "position", "player_id": 7, "x": 0.0, "y": 0.0, "timestamp": 1.0},
    ),
}


@pytest.mark.parametrize("name", JSON)
def test_json(name):
    ours, meaning = JSON[name]
    assert json.loads(ours) == meaning


def test_a_game_state():
    world = _core.AppGameWorld(5.0, 0.0)
    world.handle(0.0, ("127.0.0.1", 1), _core.game_position("a", 1.0, 2.0, 3.0))
    [(state, address)] = world.broadcast(0.0)
    told = json.loads(state)
    assert address == ("127.0.0.1", 1)
    assert (told["type"], told["players"]) == ("game_state", [{"id": "a", "x": 1.0, "y": 2.0}])


def test_rtp():
    """RFC 3550 §5.1: version 2, marker on the first packet, 20 ms of G.711 at 16 kHz."""
    sender = _core.AppVoiceSender("ulaw", 16_000, 320, False, 0x0005_0001_0000_ABCD)
    first, second = (sender.send(bytes(640)) for _ in range(2))
    header = struct.Struct("!BBHII")
    assert header.unpack(first[:12]) == (0x80, 0x80 | 96, 1, 5, 0xABCD)
    assert header.unpack(second[:12]) == (0x80, 96, 2, 325, 0xABCD)
    # µ-law codes silence as 0xFF (G.711 table 2a).
    assert first[12:] == b"\xff" * 320


def test_a_repair_chunk():
    repair = _core.repair_compose(5, 2, 2, b"\0\0xy")
    assert _core.repair_parse(repair) == (5, 2, 2, b"\0\0xy")
    # [first u32][k u16][index u16][repair]: the parity of k chunks has the index k.
    assert repair == struct.pack("!IHH", 5, 2, 2) + b"\0\0xy"


def test_a_discover():
    """RFC 2131 §2 and RFC 2132: fields at fixed places, the cookie, options, the end."""
    hardware = bytes(range(2, 8))
    discover = _core.dhcp_discover_compose(0xDEADBEEF, hardware, 3, None)
    assert discover[:4] == bytes([1, 1, 6, 0])
    assert struct.unpack("!IHH", discover[4:12]) == (0xDEADBEEF, 3, 0x8000)
    assert discover[28:34] == hardware
    assert discover[236:240] == bytes([99, 130, 83, 99])
    options, rest = {}, discover[240:]
    while rest[0] != 255:
        options[rest[0]], rest = rest[2 : 2 + rest[1]], rest[2 + rest[1] :]
    assert options[53] == b"\x01"
    assert options[61] == b"\x01" + hardware
    assert {1, 3, 6, 51, 54} <= set(options[55])
    assert len(discover) >= 300


STATSD = {
    b"hits:1|c": ("counters", {"hits": 1}),
    b"hits:2|c|@0.5": ("counters", {"hits": 4}),
    b"load:0.5|g": ("gauges", {"load": 0.5}),
    b"load:5|g\nload:-2|g\nload:+1|g": ("gauges", {"load": 4}),
    b"query:12|ms": ("timers", {"query": [12]}),
    b"size:3|h\nsize:4|h": ("timers", {"size": [3, 4]}),
    b"users:a|s\nusers:b|s\nusers:a|s": ("sets", {"users": 2}),
    b"hits:1|c|#b:2,a:1": ("counters", {"hits|#a:1,b:2": 1}),
    b"times:1:2:3|ms": ("timers", {"times": [1, 2, 3]}),
}


@pytest.mark.parametrize("line", STATSD)
def test_statsd(line):
    kind, expected = STATSD[line]
    metrics = _core.AppMetrics()
    metrics.handle(line)
    assert getattr(metrics, kind)() == expected
