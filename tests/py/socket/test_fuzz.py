"""Any arguments to any method that moves data: the same outcome from both modules, and no crash.

Seeded and plain rather than shrunk, because it is about numbers of calls: 100,000 in a test run,
``UDPCORE_FUZZ_CASES`` asks for others. Both modules get the same calls on their own pair of
datagram sockets, so that what one call leaves behind meets the next. Addresses by themselves,
options and control messages have properties of their own (`test_properties`).
"""

from __future__ import annotations

import array
import os
import random
import socket
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import udpcore

CASES = int(os.environ.get("UDPCORE_FUZZ_CASES", "100000"))
SEED = int(os.environ.get("UDPCORE_FUZZ_SEED", "7"))
#: Calls on one pair; then it is replaced, whatever state it is in.
CALLS_PER_PAIR = 50
#: Flags that do not block. Not MSG_TRUNC: for a datagram longer than the room CPython hands out
#: memory that was never written; ours is cut to the room.
FLAGS = [0, 0, 0, socket.MSG_PEEK, socket.MSG_DONTWAIT, socket.MSG_OOB]

#: Stands for the address of the other end.
PEER = object()

Make = Callable[[], Any]


def number(rng: random.Random) -> Any:
    small = [0, 1, 2, 63, 64, 65, 100, 1000, 70_000]
    odd = [-1, -(2**31), -(2**63), 2**31 - 1, 2**31, 2**63, 2**64, 1.5, None, "1", b"1", True]
    return rng.choice(small) if rng.random() < 0.7 else rng.choice(odd)


def flags(rng: random.Random) -> Any:
    return rng.choice(FLAGS) if rng.random() < 0.9 else rng.choice([-1, 2**40, None, "x", 1.0])


def readable(rng: random.Random) -> Make:
    """Something to send, made anew for each module."""
    data = rng.randbytes(rng.choice([0, 1, 64, 65, 1200]))
    makes: list[Make] = [
        lambda: data,
        lambda: bytearray(data),
        lambda: memoryview(data),
        lambda: memoryview(data)[::2],
        lambda: memoryview(bytearray(data))[1:],
        lambda: array.array("H", data[: len(data) // 2 * 2]),
        lambda: memoryview(data[: len(data) // 4 * 4]).cast("I"),
        released,
        lambda: "text",
        lambda: 5,
        lambda: None,
        lambda: [1],
    ]
    return rng.choice(makes[:3]) if rng.random() < 0.5 else rng.choice(makes)


def writable(rng: random.Random) -> Make:
    """Somewhere to receive into, made anew for each module."""
    size = rng.choice([0, 1, 63, 64, 65, 1200])
    makes: list[Make] = [
        lambda: bytearray(size),
        lambda: memoryview(bytearray(size)),
        lambda: memoryview(bytearray(size))[1:],
        lambda: memoryview(bytearray(size))[::-2],
        lambda: array.array("I", [0] * size),
        lambda: bytes(size),
        released,
        lambda: "text",
        lambda: None,
    ]
    return rng.choice(makes[:2]) if rng.random() < 0.6 else rng.choice(makes)


def released() -> memoryview:
    view = memoryview(bytearray(10))
    view.release()
    return view


def several(rng: random.Random, make: Callable[[random.Random], Make]) -> Make:
    made = [make(rng) for _ in range(rng.randrange(4))]
    return lambda: [one() for one in made]


def call(rng: random.Random) -> tuple[str, list[Make]]:
    """A method and its arguments."""

    def plain(value: Any) -> Make:
        return lambda: value

    name = rng.choice(["send", "sendall", "sendto", "sendmsg", *RECEIVERS])
    match name:
        case "send" | "sendall":
            arguments = [readable(rng), plain(flags(rng))]
        case "sendto":
            to = rng.choice([PEER, PEER, b"\0nobody", "", None, ("127.0.0.1", 9), 5])
            arguments = [readable(rng), plain(flags(rng)), plain(to)]
        case "sendmsg":
            arguments = [several(rng, readable), plain([]), plain(flags(rng))]
        case "recv" | "recvfrom":
            arguments = [plain(number(rng)), plain(flags(rng))]
        case "recv_into" | "recvfrom_into":
            arguments = [writable(rng), plain(number(rng)), plain(flags(rng))]
        case "recvmsg":
            room = rng.choice([0, 24, 100, -1, None])
            arguments = [plain(number(rng)), plain(room), plain(flags(rng))]
        case _:
            arguments = [several(rng, writable), plain(rng.choice([0, 24, -1])), plain(flags(rng))]
    # Too few and too many arguments are cases too.
    if rng.random() < 0.1:
        arguments = arguments[: rng.randrange(len(arguments) + 1)]
    elif rng.random() < 0.02:
        arguments.append(plain(0))
    return name, arguments


RECEIVERS = ["recv", "recvfrom", "recv_into", "recvfrom_into", "recvmsg", "recvmsg_into"]


def content(value: Any) -> Any:
    """What is in a buffer after the call."""
    if isinstance(value, list):
        return [content(one) for one in value]
    try:
        return bytes(value) if isinstance(value, bytearray | memoryview | array.array) else None
    except ValueError as error:
        return str(error)


def outcome(ends: tuple[Any, Any], name: str, arguments: list[Make]) -> tuple[Any, ...]:
    left, right = ends
    made = [make() for make in arguments]
    made = [right.getsockname() if one is PEER else one for one in made]
    try:
        returned = getattr(right if name in RECEIVERS else left, name)(*made)
    except Exception as error:
        return type(error), str(error), getattr(error, "errno", None), content(made)
    return "returned", returned, content(made)


def pair(module: ModuleType) -> tuple[Any, Any]:
    ends = module.socketpair(module.AF_UNIX, module.SOCK_DGRAM)
    for end in ends:
        end.settimeout(0)
    # An address of the kernel's choice.
    ends[1].bind("")
    return ends


@pytest.mark.timeout(60 + CASES / 1000)
def test_any_arguments_have_the_same_outcome() -> None:
    rng = random.Random(SEED)
    seen: dict[str, int] = {}
    for begin in range(0, CASES, CALLS_PER_PAIR):
        standard, ours = pair(socket), pair(udpcore)
        for case in range(begin, min(begin + CALLS_PER_PAIR, CASES)):
            name, arguments = call(rng)
            expected = outcome(standard, name, arguments)
            got = outcome(ours, name, arguments)
            repeat = f"UDPCORE_FUZZ_SEED={SEED} UDPCORE_FUZZ_CASES={case + 1} pytest {__file__}"
            assert got == expected, f"case {case}, {name}: repeat with {repeat}"
            seen[name] = seen.get(name, 0) + (got[0] == "returned")
        for sock in (*standard, *ours):
            sock.close()
    # Not all of it was refused: each method did its work many times.
    assert len(seen) == 10
    assert min(seen.values()) > CASES // 1000, seen
