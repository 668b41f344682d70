"""``udpcore echo``: an echo server, or with ``--to`` its client."""

from __future__ import annotations

import sys

from udpcore.apps.echo import UDPEchoClient, UDPEchoServer
from udpcore.apps.tcp_echo import TCPEchoClient, TCPEchoServer
from udpcore.cli._apps import address, port_number, serve, tell
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
    parser.add_argument("message", nargs="*", help="with --to: what to send; else lines of input")
    parser.add_argument("--to", type=address, metavar="HOST:PORT", help="be the client")
    parser.add_argument("--host", default="0.0.0.0", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=port_number, default=9999, help="(%(default)s)")
    parser.add_argument("--raw", action="store_true", help="echo bytes untouched")
    parser.add_argument("--tcp", action="store_true", help="TCP instead of UDP")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    arguments = parser.parse_args(argv)
    if arguments.message and not arguments.to:
        parser.error(f"{arguments.message[0]!r}: a message needs --to HOST:PORT")
    if arguments.to:
        messages = [" ".join(arguments.message)] if arguments.message else None
        if arguments.tcp:
            return _ask_tcp(arguments.to, messages)
        return _ask(arguments.to, messages)
    server: UDPEchoServer | TCPEchoServer
    if arguments.tcp:
        server = TCPEchoServer(arguments.host, arguments.port)
    else:
        server = UDPEchoServer(arguments.host, arguments.port, raw=arguments.raw)
    with server:
        tell(f"echo on port {arguments.port}; Ctrl-C ends it")
        serve(server.run, lambda: server.stats, arguments.json)
    return EXIT_OK


def _ask(server: tuple[str, int], messages: list[str] | None) -> int:
    missing = 0
    with UDPEchoClient(*server) as client:
        for message in sys.stdin if messages is None else messages:
            answer = client.send_message(message.rstrip("\n"))
            missing += answer is None
            print(f"no answer from {server}" if answer is None else answer, flush=True)
    return EXIT_FAILED if missing else EXIT_OK


def _ask_tcp(server: tuple[str, int], messages: list[str] | None) -> int:
    with TCPEchoClient(*server) as client:
        for message in sys.stdin if messages is None else messages:
            print(client.send_message(message.rstrip("\n")))
    return EXIT_OK
