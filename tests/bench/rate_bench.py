"""Rates a sender keeps: counts against the clock, for 10 seconds each.

``python tests/bench/rate_bench.py``, after a release build. The peer is the tutorials' way, a
`sleep` of 1/rate after every datagram.
"""

from __future__ import annotations

import socket
import time

import _report

from udpcore.apps import RateLimitedUDPSender

SECONDS = 10
RATES = (1000, 10_000, 100_000)
PAYLOAD = b"x" * 64


def ours(rate: int, dest: tuple[str, int]) -> tuple[float, float]:
    """Datagrams a second that were sent, and the processor time of a second."""
    with RateLimitedUDPSender(rate) as sender:
        began, busy = time.monotonic(), time.process_time()
        while time.monotonic() - began < SECONDS:
            for _ in range(rate // 100):
                sender.send(PAYLOAD, dest)
        seconds = time.monotonic() - began
        return sender.stats["sent"] / seconds, (time.process_time() - busy) / seconds


def tutorials(rate: int, dest: tuple[str, int]) -> float:
    """The same for a sleep after every datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        count, began = 0, time.monotonic()
        while time.monotonic() - began < SECONDS / 2:
            sock.sendto(PAYLOAD, dest)
            time.sleep(1 / rate)
            count += 1
        return count / (time.monotonic() - began)


def main() -> None:
    """Measure every rate, print a line for each."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        rows = []
        for rate in RATES:
            sent, cores = ours(rate, sink.getsockname())
            plain = tutorials(rate, sink.getsockname())
            rows.append(
                {
                    "work": f"{rate} datagrams a second",
                    "ours": sent,
                    "peer": f"sleep after each {plain:.0f}",
                    "unit": "datagrams/s",
                    "ratio": sent / rate,
                    "bar": "within 1 %" if rate == 1000 else "reached",
                    "cores": cores,
                }
            )
    _report.say("Rate limiting", rows)


if __name__ == "__main__":
    main()
