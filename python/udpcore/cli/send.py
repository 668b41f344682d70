"""``udpcore send``: a file to ``udpcore recv DIR``, or datagrams for texts or lines of input."""

from __future__ import annotations

import argparse
import sys

import udpcore as socket
from udpcore.apps.safe import send_safe_udp
from udpcore.cli import _files
from udpcore.cli._apps import address, count, in_hex, serve
from udpcore.cli._parser import EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore send FILE HOST:PORT                    a file, resumed and checked
  udpcore send 127.0.0.1:9999 hello              datagrams
  udpcore send 127.0.0.1:9999 --hex 'de ad be ef'
  ls | udpcore send HOST:9999                    a datagram a line"""


def main(prog: str, argv: list[str]) -> int:
    """Send; how many datagrams and bytes it was is printed, or the SHA-256 of the file."""
    if _is_file(argv):
        return _files.send_main(prog, argv)
    parser = Parser(
        prog, "Send a file, or datagrams (udpcore send FILE --help tells of files).", EXAMPLES
    )
    parser.add_argument("dest", type=address, metavar="HOST:PORT")
    parser.add_argument(
        "text", nargs="*", default=[], help="what to send; else lines of standard input"
    )
    parser.add_argument("--hex", action="store_true", help="the texts are bytes in hex")
    parser.add_argument("--max-size", type=count, default=1400, help="bytes (%(default)s)")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    arguments = parser.parse_args(argv)
    convert = _from_hex if arguments.hex else str.encode
    try:
        given = [convert(text) for text in arguments.text]
    except ValueError as error:
        parser.error(str(error))
    stats = {"sent": 0, "bytes": 0}
    family = socket.AF_INET6 if ":" in arguments.dest[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

        def send() -> None:
            for data in given or (convert(line.rstrip("\n")) for line in sys.stdin):
                stats["bytes"] += send_safe_udp(sock, data, arguments.dest, arguments.max_size)
                stats["sent"] += 1

        ready = "" if arguments.text else "each line is sent; Ctrl-C ends it"
        serve(send, lambda: stats, arguments.json, ready=ready)
    return EXIT_OK


def _from_hex(text: str) -> bytes:
    try:
        return in_hex(text)
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from None


def _is_file(argv: list[str]) -> bool:
    """Whether the first word is a file rather than an address."""
    first = next((word for word in argv if not word.startswith("-")), None)
    if first is None:
        return False
    try:
        address(first)
    except argparse.ArgumentTypeError:
        return True
    return False
