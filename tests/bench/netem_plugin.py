"""What netem costs a test suite: proxies started and stopped, the simulator, the plugin's import.

Peer of the proxy: an asyncio relay in the same process, as people write it for a test. Peer of the
simulator: the same impairments with ``random`` and a heap in Python. Both in interleaved rounds.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from _report import say

from udpcore import netem

ROUNDS = 7
STARTS = 100
PACKETS = 50_000
HOUR_PACKETS = 3_600_000


def medians(*works: Callable[[], float]) -> list[float]:
    """The median of each, in interleaved rounds."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, taken in zip(works, times, strict=True):
            taken.append(work())
    return [statistics.median(taken) for taken in times]


def start_and_stop() -> float:
    """Milliseconds for a proxy to start and stop."""
    began = time.perf_counter()
    for _ in range(STARTS):
        netem.Proxy(("127.0.0.1", 9), seed=1).close()
    return (time.perf_counter() - began) / STARTS * 1e3


class Forward(asyncio.DatagramProtocol):
    """The relay that tests write for themselves; it does not even relay here."""


def start_and_stop_asyncio() -> float:
    """The same for an asyncio endpoint with a loop of its own."""

    async def once() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Forward, local_addr=("127.0.0.1", 0))
        transport.close()

    began = time.perf_counter()
    for _ in range(STARTS):
        asyncio.run(once())
    return (time.perf_counter() - began) / STARTS * 1e3


def simulator() -> float:
    """Packets a second through a simulator, each sent and received from Python."""
    sim = netem.Simulator(
        loss="1%", delay="20ms", jitter="5ms", duplicate="1%", reorder="1%", seed=7
    )
    began = time.perf_counter()
    for number in range(PACKETS):
        sim.send("up", b"x" * 100)
        while sim.advance(until=number * 1e-4) is not None:
            pass
    return PACKETS / (time.perf_counter() - began)


def simulator_in_python() -> float:
    """The same with `random` and a heap."""
    rng, queue, entry = random.Random(7), [], 0
    began = time.perf_counter()
    for number in range(PACKETS):
        now = number * 1e-4
        if rng.random() >= 0.01:
            for _ in range(2 if rng.random() < 0.01 else 1):
                held = 0.05 if rng.random() < 0.01 else 0.0
                entry += 1
                due = now + 0.015 + 0.01 * rng.random() + held
                heapq.heappush(queue, (due, entry, b"x" * 100))
        while queue and queue[0][0] <= now:
            heapq.heappop(queue)
    return PACKETS / (time.perf_counter() - began)


def an_hour() -> float:
    """Seconds for an hour of 1,000 packets a second, from Python."""
    sim = netem.Simulator(loss="1%", delay="20ms", jitter="5ms", seed=7)
    began = time.perf_counter()
    send, advance = sim.send, sim.advance
    for milli in range(HOUR_PACKETS):
        send("up", b"x")
        while advance(milli * 1e-3) is not None:
            pass
    return time.perf_counter() - began


def plugin_import() -> float:
    """Milliseconds of processor time that the plugin costs a suite which never uses it."""
    code = "import time, pytest; began = time.process_time(); import udpcore.pytest_plugin; "
    code += "print(time.process_time() - began)"
    times = [
        float(subprocess.check_output([sys.executable, "-c", code], text=True))
        for _ in range(ROUNDS)
    ]
    return statistics.median(times) * 1e3


def main() -> None:
    """Measure everything once."""
    ours_ms, asyncio_ms = medians(start_and_stop, start_and_stop_asyncio)
    ours_rate, python_rate = medians(simulator, simulator_in_python)
    hour_s, import_ms = an_hour(), plugin_import()

    def row(work: str, ours: str, peer: str, unit: str, ratio: str, bar: str) -> dict[str, object]:
        return {"work": work, "ours": ours, "peer": peer, "unit": unit, "ratio": ratio, "bar": bar}

    say(
        "netem in a test suite",
        [
            row(
                "start and stop a proxy",
                f"{ours_ms:.3f}",
                f"asyncio endpoint {asyncio_ms:.3f}",
                "ms",
                f"{asyncio_ms / ours_ms:.1f}",
                "<= 5 ms",
            ),
            row(
                "simulator from Python, loss + delay + duplicate + reorder",
                f"{ours_rate:,.0f}",
                f"random and a heap {python_rate:,.0f}",
                "packets/s",
                f"{ours_rate / python_rate:.2f}",
                "",
            ),
            row("an hour of 1,000 packets/s from Python", f"{hour_s:.1f}", "", "s", "", ""),
            row("import of the unused plugin", f"{import_ms:.1f}", "", "ms", "", "< 20 ms"),
        ],
        notes=[
            "In Rust an hour of 1,000 packets/s takes less than a second: "
            "make bench ONLY=netem_sim.",
        ],
    )


if __name__ == "__main__":
    main()
