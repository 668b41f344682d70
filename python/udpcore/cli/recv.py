"""``udpcore recv``: files into a directory, or the datagrams that come to a port, printed."""

from __future__ import annotations

import sys
import time

from udpcore.apps._app import open_udp, receive
from udpcore.cli import _files
from udpcore.cli._apps import count, port_number, positive, print_line, serve
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore recv DIR                   files of 'udpcore send FILE HOST:PORT'
  udpcore recv 9999                  print datagrams until Ctrl-C
  udpcore recv 9999 -c 1 --hex       one datagram, in hex
  udpcore recv 9999 --json           one JSON object a line"""


def main(prog: str, argv: list[str]) -> int:
    """Receive; 1 when nothing came in time."""
    first = next((word for word in argv if not word.startswith("-")), None)
    if first is not None and not first.isdecimal():
        return _files.recv_main(prog, argv)
    parser = Parser(
        prog,
        "Print the datagrams that come to a port, or take files (udpcore recv DIR --help).",
        EXAMPLES,
    )
    parser.add_argument("port", type=port_number, metavar="PORT|DIR")
    parser.add_argument("--host", default="0.0.0.0", help="where to listen (%(default)s)")
    parser.add_argument("-c", "--count", type=count, help="datagrams (until Ctrl-C)")
    parser.add_argument("--timeout", type=positive, help="seconds to listen")
    parser.add_argument("--hex", action="store_true", help="bytes in hex")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args(argv)
    deadline = time.monotonic() + (arguments.timeout or float("inf"))
    stats = {"received": 0, "bytes": 0}
    with open_udp(arguments.host, arguments.port) as sock:

        def print_what_comes() -> None:
            while stats["received"] != arguments.count and time.monotonic() < deadline:
                if (message := receive(sock)) is None:
                    continue
                data, sender = message
                stats["received"] += 1
                stats["bytes"] += len(data)
                text = data.hex(" ") if arguments.hex else data.decode(errors="replace")
                if arguments.json:
                    print_line({"from": sender, "hex": data.hex(), "text": text})
                else:
                    print(f"{sender[0]}:{sender[1]} {text}", flush=True)

        ready = f"listening on port {sock.getsockname()[1]}; Ctrl-C ends it"
        serve(print_what_comes, lambda: stats, out=sys.stderr, ready=ready)
    return EXIT_OK if stats["received"] or arguments.timeout is None else EXIT_FAILED
