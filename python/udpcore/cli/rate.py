"""``udpcore rate``: send datagrams at a steady rate."""

from __future__ import annotations

import itertools

from udpcore.apps.rate import RateLimitedUDPSender
from udpcore.cli._apps import address, between, count, positive, serve, show_address
from udpcore.cli._parser import EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore rate 127.0.0.1:9999 --rate 1000 --count 5000   five seconds of a thousand a second
  udpcore rate HOST:9999 --rate 100000 --size 64"""

#: What an IPv4 datagram can carry over UDP.
PAYLOAD_BYTES_MAX = 65507


def main(prog: str, argv: list[str]) -> int:
    """Send until Ctrl-C or `--count`."""
    parser = Parser(prog, "Send numbered datagrams at a steady rate.", EXAMPLES)
    parser.add_argument("dest", type=address, metavar="HOST:PORT")
    parser.add_argument("--rate", type=positive, default=1000, help="a second (%(default)s)")
    parser.add_argument("--burst", type=positive, help="at once after a pause (5 ms of the rate)")
    parser.add_argument(
        "--size", type=between(1, PAYLOAD_BYTES_MAX), default=32, help="bytes (%(default)s)"
    )
    parser.add_argument("-c", "--count", type=count, help="datagrams (until Ctrl-C)")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    arguments = parser.parse_args(argv)

    def send() -> None:
        for number in itertools.islice(itertools.count(), arguments.count):
            sender.send(b"%d" % number + b"." * (arguments.size - len(str(number))), arguments.dest)

    with RateLimitedUDPSender(arguments.rate, burst=arguments.burst) as sender:
        ready = f"{arguments.rate:g} a second to {show_address(arguments.dest)}; Ctrl-C ends it"
        serve(send, lambda: sender.stats, arguments.json, ready=ready)
    return EXIT_OK
