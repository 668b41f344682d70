"""``udpcore stream``: a file to a multicast group at a bit rate, or from it into a file."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from udpcore.apps.multicast_video import MulticastVideoReceiver, MulticastVideoStreamer
from udpcore.cli._apps import count, ip_address, port_number, positive, serve
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore stream recv out.ts                         receive until the end of the stream
  udpcore stream send film.ts --bitrate 8000000      send at 8 Mbit/s
  udpcore stream send film.ts --fec 5                one repair chunk for five
  udpcore stream recv - | ffplay -                   watch it
  udpcore stream send film.ts --bare                 for ffplay udp://@239.1.1.1:5004"""
STDOUT = Path("/dev/stdout")


def main(prog: str, argv: list[str]) -> int:
    """Send or receive; 1 when chunks are missing."""
    parser = Parser(prog, "Stream a file to a multicast group, or receive a stream.", EXAMPLES)
    parser.add_argument("what", choices=["send", "recv"], metavar="send|recv")
    parser.add_argument("file", type=Path, help="recv: - is standard output")
    parser.add_argument("--group", type=ip_address, default="239.1.1.1", help="(%(default)s)")
    parser.add_argument("--port", type=port_number, default=5004, help="(%(default)s)")
    parser.add_argument("--interface", help="its name, or our IPv4 address on it")
    parser.add_argument("--bitrate", type=positive, default=8e6, help="send: bit/s (%(default).0f)")
    parser.add_argument("--chunk", type=count, default=1316, help="send: bytes (%(default)s)")
    parser.add_argument("--fec", type=count, default=0, help="send: chunks that share a repair")
    parser.add_argument("--bare", action="store_true", help="chunks without numbers")
    parser.add_argument("--timeout", type=positive, default=5.0, help="recv: (%(default)s s)")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    arguments = parser.parse_args(argv)
    place = {"interface": arguments.interface, "wire": "bare" if arguments.bare else "numbered"}
    if arguments.what == "send":
        return _send(parser, arguments, place)
    # To standard output goes the stream, or the summary: not both.
    output, out = (arguments.file, None) if str(arguments.file) != "-" else (STDOUT, sys.stderr)
    with MulticastVideoReceiver(arguments.group, arguments.port, **place) as receiver:
        ready = f"receiving from {arguments.group}:{arguments.port}; Ctrl-C ends it"
        with contextlib.redirect_stdout(out or sys.stdout):
            serve(
                lambda: receiver.receive_stream(output, arguments.timeout),
                receiver.report,
                arguments.json,
                ready=ready,
            )
        report = receiver.report()
    for first, last in [] if arguments.json else report["gaps"]:
        print(f"  missing {first} to {last}", file=out)
    return EXIT_OK if report["received"] and not report["lost"] else EXIT_FAILED


def _send(parser: Parser, arguments: argparse.Namespace, place: dict[str, Any]) -> int:
    if not arguments.file.is_file():
        parser.error(f"{arguments.file} is not a file: give one to send")
    if arguments.bare and arguments.fec:
        parser.error("--fec repairs by numbers, which --bare leaves out")
    with MulticastVideoStreamer(
        arguments.group, arguments.port, bitrate=arguments.bitrate, fec=arguments.fec, **place
    ) as streamer:
        ready = f"sending to {arguments.group}:{arguments.port}; Ctrl-C ends it"
        serve(
            lambda: streamer.stream_file(arguments.file, arguments.chunk),
            lambda: streamer.stats,
            arguments.json,
            ready=ready,
        )
    return EXIT_OK
