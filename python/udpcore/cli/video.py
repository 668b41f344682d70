"""``udpcore video``: live pictures to one receiver, or from a sender into a folder."""

from __future__ import annotations

import argparse

from udpcore.apps._frames import window
from udpcore.apps.video import VideoReceiver, VideoStreamer
from udpcore.cli._apps import address, between, count, port_number, positive, serve
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore video recv 6000 --output pictures/        write every frame
  udpcore video recv 6000 --window                  show them (needs OpenCV)
  udpcore video send 127.0.0.1:6000 --source test   the built-in test pattern
  udpcore video send HOST:6000 --source film.mp4 --quality 70"""


def main(prog: str, argv: list[str]) -> int:
    """Send or receive; 1 when no frame came."""
    parser = Parser(prog, "Live video over UDP: JPEG frames in fragments.", EXAMPLES)
    parser.add_argument("what", choices=["send", "recv"], metavar="send|recv")
    parser.add_argument("where", help="send: HOST:PORT; recv: PORT")
    parser.add_argument("--source", help="send: test, camera, a folder, a video file")
    parser.add_argument(
        "--quality", type=between(1, 95), default=50, help="send: JPEG's (%(default)s)"
    )
    parser.add_argument("--fps", type=positive, default=25, help="send: (%(default)s)")
    parser.add_argument("-c", "--count", type=count, help="frames (until Ctrl-C)")
    parser.add_argument("--output", help="recv: a folder for the frames")
    parser.add_argument("--window", action="store_true", help="recv: show the frames")
    parser.add_argument("--timeout", type=positive, help="recv: end after so many silent seconds")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    arguments = parser.parse_args(argv)
    sends = arguments.what == "send"
    try:
        dest = address(arguments.where) if sends else ("", port_number(arguments.where))
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    if sends:
        with VideoStreamer(
            *dest, arguments.quality, source=arguments.source, fps=arguments.fps
        ) as streamer:
            ready = f"sending to {arguments.where}; Ctrl-C ends it"
            serve(
                lambda: streamer.stream(arguments.count),
                lambda: streamer.stats,
                arguments.json,
                ready=ready,
            )
        return EXIT_OK
    show = window() if arguments.window else None
    with VideoReceiver(dest[1], on_frame=show, output=arguments.output) as receiver:
        ready = f"receiving on port {receiver.port}; Ctrl-C ends it"
        serve(
            lambda: receiver.receive(arguments.count, arguments.timeout),
            lambda: receiver.stats,
            arguments.json,
            ready=ready,
        )
        return EXIT_OK if receiver.stats["frames"] else EXIT_FAILED
