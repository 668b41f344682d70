"""What the kernel alone takes for a call, beside udpcore and the standard module.

``python tests/bench/socket_floor.py``: a small C program (``floor/floor.c``, built with gcc) makes
the same calls; it and the measurements of the other socket subjects take turns. The column "most
possible" is how many times better than the standard module anything can be that makes the call.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import _report
import batch_vs_stdlib
import socket_gil

import udpcore

SOURCE = Path(__file__).resolve().parent / "floor" / "floor.c"
ROUNDS = 7
CALLS = 64
BLOCKS = 60
#: The subject's name of a row, and the C program's for what the kernel does in it.
BATCHES = {
    "recvmmsg(64) to a list, 1200 B": "recvmmsg 1200",
    "sendmmsg of a list with GSO, 4 runs of 54 x 1200 B": "sendmmsg GSO",
    "recvmmsg to a list with GRO, 4 runs of 54 x 1200 B": "recvmmsg GRO",
}
#: What the computing thread is to keep; the loop can have the rest.
THREAD_KEEPS = 0.4

Figures = dict[str, list[float]]


def calls(module: ModuleType) -> dict[str, float]:
    """Nanoseconds of single calls: medians of blocks."""
    with (
        module.socket(module.AF_INET, module.SOCK_DGRAM) as out,
        module.socket(module.AF_INET, module.SOCK_DGRAM) as into,
    ):
        into.bind(("127.0.0.1", 0))
        into.setsockopt(module.SOL_SOCKET, module.SO_RCVBUF, 8 << 20)
        out.setblocking(False)
        into.setblocking(False)
        address, data = into.getsockname(), bytes(64)

        def drain() -> None:
            try:
                while True:
                    into.recv(2048)
            except BlockingIOError:
                pass

        def fill() -> None:
            for _ in range(CALLS):
                out.sendto(data, address)

        def spent(before: Callable[[], None], call: Callable[..., Any], *arguments: Any) -> float:
            blocks = []
            for _ in range(BLOCKS):
                drain()
                before()
                begin = time.perf_counter_ns()
                for _ in range(CALLS):
                    call(*arguments)
                blocks.append((time.perf_counter_ns() - begin) / CALLS)
            return statistics.median(blocks)

        return {
            "sendto": spent(drain, out.sendto, data, address),
            "recvfrom": spent(fill, into.recvfrom, 2048),
            "setblocking": spent(drain, into.setblocking, False),
        }


def measure(program: Path) -> tuple[Figures, Figures, Figures]:
    """What the kernel, udpcore and the standard module took, round by round."""
    floor: Figures = {}
    ours: Figures = {}
    peer: Figures = {}
    for _ in range(ROUNDS):
        for line in subprocess.check_output([program], text=True).splitlines():
            name, value = line.rsplit(" ", 1)
            floor.setdefault(name, []).append(float(value))
        for figures, module in ((ours, udpcore), (peer, socket)):
            for name, nanos in calls(module).items():
                figures.setdefault(name, []).append(nanos)
            rate = socket_gil.trips(module, None, None)[0]
            figures.setdefault("beside a thread", []).append(1e9 / rate)
        for row in batch_vs_stdlib.rows():
            if name := BATCHES.get(row.work, ""):
                ours.setdefault(name, []).append(row.ours)
                peer.setdefault(name, []).append(row.peer)
    # Beside the thread the loop has the interpreter for the rest of the time only.
    floor["beside a thread"] = [nanos / (1 - THREAD_KEEPS) for nanos in floor["round trip"]]
    return floor, ours, peer


def main() -> None:
    """Build, measure, print."""
    batch_vs_stdlib.ROUNDS = 3
    with tempfile.TemporaryDirectory() as scratch:
        program = Path(scratch) / "floor"
        subprocess.run(["gcc", "-O2", "-o", program, SOURCE], check=True)
        floor, ours, peer = measure(program)
    rows = []
    for name, bar in (
        ("sendto", "≥ 1.05x"),
        ("recvfrom", "≥ 1.5x"),
        ("setblocking", "≥ 0.95x"),
        ("recvmmsg 1200", "≥ 2x"),
        ("sendmmsg GSO", "≥ 25x"),
        ("recvmmsg GRO", "≥ 10x"),
        ("beside a thread", "≥ 120x"),
    ):
        kernel, own, standard = (statistics.median(of[name]) for of in (floor, ours, peer))
        rows.append(
            {
                "work": f"{name}, non-blocking" if name in ("sendto", "recvfrom") else name,
                "ours": round(own, 1),
                "peer": f"socket {standard:.1f}",
                "unit": "ns",
                "ratio": round(standard / own, 2),
                "bar": bar,
                "floor in C": round(kernel, 1),
                "most possible": f"{standard / kernel:.2f}x",
            }
        )
    notes = [
        "64-byte datagrams for single calls; for batches nanoseconds a datagram of 1,200 bytes, to "
        "a list of (bytes, address)",
        "beside a thread: a round trip to itself while a thread computes; its floor is the C "
        f"program's round trip, with the interpreter {1 - THREAD_KEEPS:.0%} of the time, as the "
        f"bar leaves the thread {THREAD_KEEPS:.0%}",
    ]
    _report.say("How near the kernel's own cost", rows, notes)


if __name__ == "__main__":
    main()
