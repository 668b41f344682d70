"""``udpcore send``: one datagram for each text, or for each line of input."""

from __future__ import annotations

import sys

import udpcore as socket
from udpcore.apps.safe import send_safe_udp
from udpcore.cli._apps import address, count, serve
from udpcore.cli._parser import EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore send 127.0.0.1:9999 hello
  udpcore send 127.0.0.1:9999 --hex 'de ad be ef'
  ls | udpcore send HOST:9999                    a datagram a line"""


def main(prog: str, argv: list[str]) -> int:
    """Send; how many datagrams and bytes it was is printed."""
    parser = Parser(prog, "Send datagrams.", EXAMPLES)
    parser.add_argument("dest", type=address, metavar="HOST:PORT")
    parser.add_argument("text", nargs="*", help="what to send; else lines of standard input")
    parser.add_argument("--hex", action="store_true", help="the texts are bytes in hex")
    parser.add_argument("--max-size", type=count, default=1400, help="bytes (%(default)s)")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    arguments = parser.parse_args(argv)
    stats = {"sent": 0, "bytes": 0}
    family = socket.AF_INET6 if ":" in arguments.dest[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

        def send() -> None:
            for text in arguments.text or (line.rstrip("\n") for line in sys.stdin):
                data = bytes.fromhex(text) if arguments.hex else text.encode()
                stats["bytes"] += send_safe_udp(sock, data, arguments.dest, arguments.max_size)
                stats["sent"] += 1

        ready = "" if arguments.text else "each line is sent; Ctrl-C ends it"
        serve(send, lambda: stats, arguments.json, ready=ready)
    return EXIT_OK
