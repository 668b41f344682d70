"""``udpcore echo``: an echo server, or with ``--to`` its client."""

from __future__ import annotations

import argparse
import sys
import time

from udpcore.apps.echo import UDPEchoClient, UDPEchoServer
from udpcore.apps.tcp_echo import TCPEchoClient, TCPEchoServer
from udpcore.cli._apps import address, port_number, print_line, serve, show_address, tell
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore echo                            answer on port 9999 until Ctrl-C
  udpcore echo --port 7 --raw             RFC 862: every byte back as it came
  udpcore echo --to 127.0.0.1:9999 salut  send a text, print the answer
  date | udpcore echo --to HOST:9999      send lines
  udpcore echo --tcp                      the same over TCP"""


def main(prog: str, argv: list[str]) -> int:
    """Serve, or ask; 1 when an answer did not come."""
    parser = Parser(prog, "An echo server over UDP or TCP, and its client.", EXAMPLES)
    parser.add_argument(
        "message", nargs="*", default=[], help="with --to: what to send; else lines of input"
    )
    parser.add_argument("--to", type=address, metavar="HOST:PORT", help="be the client")
    parser.add_argument("--host", default="0.0.0.0", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=port_number, default=9999, help="(%(default)s)")
    parser.add_argument("--raw", action="store_true", help="echo bytes untouched")
    parser.add_argument("--tcp", action="store_true", help="TCP instead of UDP")
    parser.add_argument("--json", action="store_true", help="answers, or the summary, as JSON")
    arguments = parser.parse_args(argv)
    if arguments.message and not arguments.to:
        parser.error(f"{arguments.message[0]!r}: a message needs --to HOST:PORT")
    if arguments.to:
        return _ask(arguments)
    server: UDPEchoServer | TCPEchoServer
    if arguments.tcp:
        server = TCPEchoServer(arguments.host, arguments.port)
    else:
        server = UDPEchoServer(arguments.host, arguments.port, raw=arguments.raw)
    with server:
        server.start()
        ready = f"echo on port {server.port}; Ctrl-C ends it"
        serve(server.run, lambda: server.stats, arguments.json, ready=ready)
    return EXIT_OK


def _ask(arguments: argparse.Namespace) -> int:
    """Send the message, or each line of input, and print what comes back."""
    lines = [" ".join(arguments.message)] if arguments.message else sys.stdin
    stats = {"sent": 0, "answered": 0}
    client = (TCPEchoClient if arguments.tcp else UDPEchoClient)(*arguments.to)

    def ask() -> None:
        for line in lines:
            message = line.rstrip("\n")
            stats["sent"] += 1
            began = time.monotonic()
            answer = client.send_message(message)
            stats["answered"] += answer is not None
            if arguments.json:
                milliseconds = round((time.monotonic() - began) * 1000, 3)
                print_line({"message": message, "answer": answer, "ms": milliseconds})
            else:
                _show(answer, show_address(arguments.to))

    with client:
        ready = "" if arguments.message else "each line is sent; Ctrl-C ends it"
        serve(ask, lambda: stats, out=sys.stderr, ready=ready)
    return EXIT_OK if stats["sent"] == stats["answered"] else EXIT_FAILED


def _show(answer: str | None, server: str) -> None:
    if answer is None:
        tell(f"no answer from {server}")
    else:
        print(answer, flush=True)
