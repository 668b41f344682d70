"""StatsD lines a second: MetricsServer beside a server as tutorials write it.

``python tests/bench/metrics_bench.py``, after a release build. Processor time for the same
datagrams, which wait in the socket's buffer; interleaved rounds, medians.
"""

from __future__ import annotations

import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

import _report

from udpcore.apps import MetricsServer

ROUNDS = 31
DATAGRAMS = 100
LINES = 30


class TutorialServer:
    """Receive, decode, split, convert, add."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.counters: dict[str, float] = defaultdict(float)
        self.lines = 0

    def receive(self) -> None:
        data, _ = self.sock.recvfrom(4096)
        for line in data.decode("utf-8").split("\n"):
            name, rest = line.split(":", 1)
            value, kind = rest.split("|", 1)
            self.lines += 1
            if kind == "c":
                self.counters[name] += float(value)


def drain_us_a_line(
    address: tuple[str, int], receive: Callable[[], object], lines_done: Callable[[], int]
) -> float:
    """Processor time for one line, in microseconds."""
    datagram = "\n".join(f"metric.{n % 50}:{n}|c" for n in range(LINES)).encode()
    wanted = lines_done() + DATAGRAMS * LINES
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(DATAGRAMS):
            sender.sendto(datagram, address)
    began = time.thread_time()
    while lines_done() < wanted:
        receive()
    return (time.thread_time() - began) * 1e6 / (DATAGRAMS * LINES)


def main() -> None:
    """Measure both, print a line."""
    plain = TutorialServer()
    ours: list[float] = []
    theirs: list[float] = []
    with plain.sock, MetricsServer(0, host="127.0.0.1") as server:
        for _ in range(ROUNDS):
            theirs.append(
                drain_us_a_line(plain.sock.getsockname(), plain.receive, lambda: plain.lines)
            )
            ours.append(
                drain_us_a_line(
                    ("127.0.0.1", server.port), server._receive, lambda: server.stats["lines"]
                )
            )
        assert server.counters == plain.counters
    us, them = statistics.median(ours), statistics.median(theirs)
    row = {
        "work": "one counter line",
        "ours": us,
        "peer": f"the tutorial's server {them:.3g}",
        "unit": "µs of processor time",
        "ratio": them / us,
        "bar": "≥ 5x",
    }
    _report.say("StatsD", [row])


if __name__ == "__main__":
    main()
