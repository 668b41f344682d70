"""``udpcore stream``: a file to a multicast group at a bit rate, or from it into a file."""

from __future__ import annotations

from pathlib import Path

from udpcore.apps.multicast_video import MulticastVideoReceiver, MulticastVideoStreamer
from udpcore.cli._apps import count, port_number, positive, print_json, serve
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore stream recv out.ts                         receive until the end of the stream
  udpcore stream send film.ts --bitrate 8000000      send at 8 Mbit/s
  udpcore stream send film.ts --fec 5                one repair chunk for five"""


def main(prog: str, argv: list[str]) -> int:
    """Send or receive; 1 when chunks are missing."""
    parser = Parser(prog, "Stream a file to a multicast group, or receive a stream.", EXAMPLES)
    parser.add_argument("what", choices=["send", "recv"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--group", default="239.1.1.1", help="(%(default)s)")
    parser.add_argument("--port", type=port_number, default=5004, help="(%(default)s)")
    parser.add_argument("--interface", help="our address on the interface to use")
    parser.add_argument("--bitrate", type=positive, default=8e6, help="send: bit/s (%(default).0f)")
    parser.add_argument("--chunk", type=count, default=1316, help="send: bytes (%(default)s)")
    parser.add_argument("--fec", type=count, default=0, help="send: chunks that share a repair")
    parser.add_argument("--timeout", type=positive, default=5.0, help="recv: (%(default)s s)")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    arguments = parser.parse_args(argv)
    place = {"interface": arguments.interface}
    if arguments.what == "send":
        if not arguments.file.is_file():
            parser.error(f"{arguments.file} is not a file: give one to send")
        with MulticastVideoStreamer(
            arguments.group, arguments.port, bitrate=arguments.bitrate, fec=arguments.fec, **place
        ) as streamer:
            serve(
                lambda: streamer.stream_file(arguments.file, arguments.chunk),
                lambda: streamer.stats,
                arguments.json,
            )
        return EXIT_OK
    with MulticastVideoReceiver(arguments.group, arguments.port, **place) as receiver:
        report = receiver.receive_stream(arguments.file, arguments.timeout)
    if arguments.json:
        print_json(report)
    else:
        numbers = (f"{name} {value}" for name, value in report.items() if name != "gaps")
        print(", ".join(numbers))
        for first, last in report["gaps"]:
            print(f"  missing {first} to {last}")
    return EXIT_OK if report["received"] and not report["lost"] else EXIT_FAILED
