"""``udpcore ping``: round-trip times to an echo server."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict

from udpcore.apps._pinger import Pinger, in_words
from udpcore.cli._apps import address, count, positive, print_json, tell
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore ping 127.0.0.1:9999                      until Ctrl-C, one probe a second
  udpcore ping HOST:7 --count 100 --interval 0.01  a quick look
  udpcore ping HOST:9999 -c 50 --histogram         how the times are spread
  udpcore ping HOST:9999 -c 50 --json              for programs"""
BUCKETS, BAR_COLUMNS = 10, 40


def main(prog: str, argv: list[str]) -> int:
    """Ping; 1 when nobody answered."""
    parser = Parser(prog, "Round-trip times to a UDP echo server.", EXAMPLES)
    parser.add_argument("server", type=address, metavar="HOST:PORT")
    parser.add_argument("-c", "--count", type=count, help="probes to send (until Ctrl-C)")
    parser.add_argument(
        "-i", "--interval", type=positive, default=1.0, help="seconds (%(default)s)"
    )
    parser.add_argument("-W", "--timeout", type=positive, default=1.0, help="(%(default)s s)")
    parser.add_argument("-s", "--size", type=count, default=32, help="payload bytes (%(default)s)")
    parser.add_argument("--histogram", action="store_true", help="draw how the times are spread")
    parser.add_argument("--json", action="store_true", help="the numbers as JSON")
    arguments = parser.parse_args(argv)
    pinger = Pinger(arguments.server, b"x" * arguments.size)
    place = f"{arguments.server[0]}:{arguments.server[1]}"

    def show(number: int, what: str) -> None:
        if not arguments.json:
            print(f"#{number} from {place}: {what}", flush=True)

    try:
        tell(f"probing {place}; Ctrl-C ends it")
        _probe(pinger, arguments.count, arguments.interval, arguments.timeout, show)
    finally:
        _print_report(pinger, arguments.json, arguments.histogram)
        received = pinger.report().received
        pinger.close()
    return EXIT_OK if received else EXIT_FAILED


def _probe(
    pinger: Pinger,
    total: int | None,
    interval: float,
    timeout: float,
    show: Callable[[int, str], None],
) -> None:
    """Send a probe each interval, whatever became of those before; show every echo as it comes."""
    waiting: dict[int, float] = {}
    sent, next_probe = 0, time.monotonic()
    while sent != total or waiting:
        now = time.monotonic()
        if sent != total and now >= next_probe:
            waiting[pinger.send()] = now + timeout
            sent, next_probe = sent + 1, max(next_probe + interval, now)
        for number in [number for number, until in waiting.items() if until <= now]:
            del waiting[number]
            show(number, f"no answer within {timeout:g} s")
        moments = list(waiting.values()) if sent == total else [*waiting.values(), next_probe]
        for number, answer in pinger.echoes(min(moments, default=now)):
            waiting.pop(number, None)
            show(number, in_words(answer))
            if sent == total and not waiting:
                return


def _print_report(pinger: Pinger, as_json: bool, histogram: bool) -> None:
    report = pinger.report()
    buckets = pinger.rtt.histogram(BUCKETS)
    percentiles = {f"p{n}_ms": pinger.rtt.percentile(n) * 1000 for n in (50, 90, 99)}
    if as_json:
        numbers = {**asdict(report), **percentiles, "histogram": buckets}
        # Without an answer there are no times, which is not a time of 0.
        known = {
            k: v if report.received or not k.endswith("_ms") else None for k, v in numbers.items()
        }
        print_json(known)
        return
    print(
        f"{report.sent} sent, {report.received} received, {report.loss:.1%} loss, "
        f"{report.duplicates} duplicates, {report.out_of_order} out of order"
    )
    if not report.received:
        return
    print(
        f"rtt min/avg/max/mdev = {report.min_ms:.3f}/{report.avg_ms:.3f}/{report.max_ms:.3f}/"
        f"{report.deviation_ms:.3f} ms, jitter {report.jitter_ms:.3f} ms"
    )
    if histogram:
        width = (report.max_ms - report.min_ms) / BUCKETS
        for number, size in enumerate(buckets):
            bar = "#" * round(size / max(buckets) * BAR_COLUMNS)
            print(f"{report.min_ms + number * width:10.3f} ms {size:6} {bar}")
    sys.stdout.flush()
