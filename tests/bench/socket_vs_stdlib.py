"""Single calls of udpcore sockets beside the standard module's, interleaved in one run.

Run with a release build: ``python tests/bench/socket_vs_stdlib.py``. Each round times a block of
calls on one module, then the same block on the other; medians. Blocks that receive find their
datagrams there: the block before has sent them, untimed.
"""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import _report

import udpcore

BLOCK = 64
ROUNDS = 301
PAYLOAD = bytes(64)
LARGE = bytes(1200)
ACCESSOR_NS_MORE = 40


class Job(NamedTuple):
    """What to time: `call(*arguments)`, after `prepare()` and before `tidy()`, both untimed."""

    call: Callable[..., object]
    arguments: tuple[Any, ...] = ()
    prepare: Callable[[], object] | None = None
    tidy: Callable[[], object] | None = None


class Pair:
    """Two datagram sockets and two stream sockets, each pair connected, of one module."""

    def __init__(self, module: ModuleType, timeout: float | None) -> None:
        kind = (module.AF_INET, module.SOCK_DGRAM)
        self.a, self.b = module.socket(*kind), module.socket(*kind)
        for one in (self.a, self.b):
            one.bind(("127.0.0.1", 0))
        self.target = self.b.getsockname()
        self.a.connect(self.target)
        self.left, self.right = module.socketpair()
        for one in (self.a, self.b, self.left, self.right):
            one.settimeout(timeout)
        self.room = bytearray(2048)

    def fill(self, payload: bytes = PAYLOAD) -> Callable[[], None]:
        """Sends what a block receives."""

        def work() -> None:
            for _ in range(BLOCK):
                self.a.send(payload)

        return work

    def drain(self) -> None:
        """Receives what a block has sent."""
        for _ in range(BLOCK):
            self.b.recv(2048)

    def drain_stream(self) -> None:
        """The same on the stream."""
        left = BLOCK * len(PAYLOAD)
        while left:
            left -= len(self.right.recv(65536))


def calls(pair: Pair) -> dict[str, Job]:
    """The methods that make a system call, with 64 bytes."""
    a, b, room = pair.a, pair.b, pair.room
    level, option = socket.SOL_SOCKET, socket.SO_REUSEADDR
    fill, drain = pair.fill(), pair.drain
    return {
        "sendto": Job(a.sendto, (PAYLOAD, pair.target), None, drain),
        "send": Job(a.send, (PAYLOAD,), None, drain),
        "sendall (stream)": Job(pair.left.sendall, (PAYLOAD,), None, pair.drain_stream),
        "sendmsg": Job(a.sendmsg, ([PAYLOAD],), None, drain),
        "recv": Job(b.recv, (2048,), fill),
        "recvfrom": Job(b.recvfrom, (2048,), fill),
        "recv_into": Job(b.recv_into, (room,), fill),
        "recvfrom_into": Job(b.recvfrom_into, (room,), fill),
        "recvmsg": Job(b.recvmsg, (2048,), fill),
        "recvmsg_into": Job(b.recvmsg_into, ([room],), fill),
        "getsockname": Job(a.getsockname),
        "getpeername": Job(a.getpeername),
        "getsockopt": Job(a.getsockopt, (level, option)),
        "setsockopt": Job(a.setsockopt, (level, option, 1)),
        "settimeout": Job(pair.right.settimeout, (1.0,)),
        "setblocking": Job(pair.right.setblocking, (True,)),
        "connect (datagram)": Job(a.connect, (pair.target,)),
        "dup + close": Job(lambda dup=a.dup: dup().close()),
    }


def accessors(pair: Pair) -> dict[str, Job]:
    """The methods and attributes without a system call."""
    a = pair.a
    return {
        "fileno": Job(a.fileno),
        "gettimeout": Job(a.gettimeout),
        "getblocking": Job(a.getblocking),
        "family": Job(lambda: a.family),
        "proto": Job(lambda: a.proto),
    }


def nanoseconds(job: Job) -> float:
    """Nanoseconds for one call, over a block."""
    if job.prepare:
        job.prepare()
    call, arguments, turns = job.call, job.arguments, range(BLOCK)
    begin = time.perf_counter_ns()
    for _ in turns:
        call(*arguments)
    elapsed = time.perf_counter_ns() - begin
    if job.tidy:
        job.tidy()
    return elapsed / BLOCK


def compare(standard: Job, ours: Job) -> tuple[float, float]:
    """Medians of interleaved blocks; who is first alternates."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS):
        for which in (turn % 2, 1 - turn % 2):
            times[which].append(nanoseconds((standard, ours)[which]))
    return statistics.median(times[0]), statistics.median(times[1])


def row(work: str, standard: Job, ours: Job, bar: str) -> dict[str, object]:
    """Measures one line of the table."""
    theirs, mine = compare(standard, ours)
    return {
        "work": work,
        "ours": f"{mine:.0f}",
        "peer": f"socket {theirs:.0f}",
        "unit": "ns a call",
        "ratio": f"{theirs / mine:.2f}",
        "bar": bar,
    }


def micro() -> Iterator[dict[str, object]]:
    """Every method, data ready, no timeout."""
    standard, ours = Pair(socket, None), Pair(udpcore, None)
    bars = {"sendto": "≥ 1.05x"}
    for (name, theirs), mine in zip(calls(standard).items(), calls(ours).values(), strict=True):
        yield row(f"{name}, blocking, 64 B", theirs, mine, bars.get(name, "≥ 0.95x"))
    pairs = zip(accessors(standard).items(), accessors(ours).values(), strict=True)
    for (name, theirs), mine in pairs:
        yield row(name, theirs, mine, f"at most {ACCESSOR_NS_MORE} ns more")


def waiting() -> Iterator[dict[str, object]]:
    """The calls of a UDP program in its usual modes."""
    for mode, timeout, bar in (("non-blocking", 0.0, 1.5), ("timeout, data ready", 5.0, 2.4)):
        standard, ours = Pair(socket, timeout), Pair(udpcore, timeout)
        for size in (64, 1200):
            jobs = [
                Job(pair.b.recvfrom, (2048,), pair.fill(bytes(size))) for pair in (standard, ours)
            ]
            yield row(f"recvfrom {size} B, {mode}", *jobs, f"≥ {bar}x" if size == 64 else "")
        jobs = [
            Job(pair.a.sendto, (PAYLOAD, pair.target), None, pair.drain)
            for pair in (standard, ours)
        ]
        yield row(f"sendto 64 B, {mode}", *jobs, "≥ 1.2x" if timeout else "≥ 1.05x")


def main() -> None:
    """Measure and print a table."""
    _report.say("Single socket calls", [*micro(), *waiting()])


if __name__ == "__main__":
    main()
