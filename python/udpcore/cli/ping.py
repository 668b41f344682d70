"""``udpcore ping``: round-trip times to an echo server."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict

from udpcore.apps.rtt import Pinger
from udpcore.cli._apps import address, count, positive, print_json
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
    try:
        _probe(pinger, arguments.count, arguments.interval, arguments.timeout, not arguments.json)
    finally:
        _print_report(pinger, arguments.json, arguments.histogram)
        received = pinger.report().received
        pinger.close()
    return EXIT_OK if received else EXIT_FAILED


def _probe(pinger: Pinger, number: int | None, interval: float, wait: float, live: bool) -> None:
    sent = 0
    while sent != number:
        began = time.monotonic()
        answered = list(pinger.probe(wait))
        sent += 1
        if sent != number:
            answered += pinger.echoes(began + interval)
        for echo, answer in answered if live else []:
            text = f"{answer * 1000:.3f} ms" if isinstance(answer, float) else answer
            print(f"#{echo} from {pinger.server[0]}:{pinger.server[1]}: {text}", flush=True)
        if live and not answered:
            print(f"#{sent - 1}: no answer within {wait} s", flush=True)


def _print_report(pinger: Pinger, as_json: bool, histogram: bool) -> None:
    report = pinger.report()
    buckets = pinger.rtt.histogram(BUCKETS)
    percentiles = {f"p{n}_ms": pinger.rtt.percentile(n) * 1000 for n in (50, 90, 99)}
    if as_json:
        print_json({**asdict(report), **percentiles, "histogram": buckets})
        return
    print(
        f"{report.sent} sent, {report.received} received, {report.loss:.1%} loss, "
        f"{report.duplicates} duplicates, {report.out_of_order} out of order\n"
        f"rtt min/avg/max/mdev = {report.min_ms:.3f}/{report.avg_ms:.3f}/{report.max_ms:.3f}/"
        f"{report.deviation_ms:.3f} ms, jitter {report.jitter_ms:.3f} ms"
    )
    if histogram and report.received:
        width = (report.max_ms - report.min_ms) / BUCKETS
        for number, size in enumerate(buckets):
            bar = "#" * round(size / max(buckets) * BAR_COLUMNS)
            print(f"{report.min_ms + number * width:10.3f} ms {size:6} {bar}")
    sys.stdout.flush()
