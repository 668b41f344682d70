"""The file halves of ``udpcore send`` and ``udpcore recv``: arguments, progress, words."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from udpcore._files import FileReceiver, send_file
from udpcore.cli._apps import address, count, port_number, tell
from udpcore.cli._parser import EXIT_OK, Parser
from udpcore.cli._progress import Progress

PORT = 9741
"""Where `udpcore recv DIR` listens unless told otherwise."""


class Bars:
    """One progress bar a file, whoever reports."""

    def __init__(self) -> None:
        self._bars: dict[str, Progress] = {}
        self._lock = threading.Lock()

    def end(self) -> None:
        """Leave every bar behind as it is."""
        with self._lock:
            for bar in self._bars.values():
                bar.__exit__(None, None, None)
            self._bars.clear()

    def report(self, name: str, done: int, total: int) -> None:
        """Draw; the bar of a file that is complete is left behind as a line."""
        with self._lock:
            bar = self._bars.get(name)
            if bar is None:
                bar = self._bars[name] = Progress(name, total)
            bar.update(done)
            if done >= total:
                del self._bars[name]
                bar.__exit__(None, None, None)


def _add_secret(parser: Parser) -> None:
    parser.add_argument(
        "--secret",
        default=os.environ.get("UDPCORE_SECRET"),
        help="what both ends know; better in the environment, as UDPCORE_SECRET",
    )


def send_main(prog: str, argv: list[str]) -> int:
    """Send a file; the SHA-256 is printed when the receiver has confirmed it."""
    parser = Parser(prog, "Send a file; run it again to continue after an interruption.")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("dest", type=address, metavar="HOST:PORT")
    _add_secret(parser)
    arguments = parser.parse_args(argv)
    if not arguments.file.is_file():
        parser.error(f"{arguments.file} is not a file")
    bars = Bars()
    try:
        digest = send_file(arguments.file, arguments.dest, arguments.secret, bars.report)
    except KeyboardInterrupt:
        bars.end()
        tell("interrupted: run it again to continue where it stopped")
        raise
    print(f"{digest}  {arguments.file.name}")
    return EXIT_OK


def recv_main(prog: str, argv: list[str]) -> int:
    """Take files into a directory until Ctrl-C, or until enough of them came."""
    parser = Parser(prog, "Take files of 'udpcore send FILE HOST:PORT' into a directory.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--host", default="0.0.0.0", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=port_number, default=PORT, help="(%(default)s)")
    parser.add_argument("-c", "--count", type=count, help="files to wait for (until Ctrl-C)")
    parser.add_argument("--max-size", type=count, metavar="BYTES", help="refuse longer files")
    _add_secret(parser)
    arguments = parser.parse_args(argv)
    with FileReceiver(
        arguments.directory,
        (arguments.host, arguments.port),
        arguments.secret,
        arguments.max_size,
        Bars().report,
        tell,
    ) as receiver:
        received = 0
        try:
            tell(f"listening on port {receiver.address[1]}")
            if arguments.secret is None:
                tell("without --secret anybody may send files here")
            while arguments.count is None or received < arguments.count:
                received = receiver.wait(received + 1)
        finally:
            tell(f"received {received} files")
    return EXIT_OK
