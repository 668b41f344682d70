"""``udpcore plot``: a connection's trace as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpcore._qlog_plot import read_trace, to_svg
from udpcore.cli._apps import existing
from udpcore.cli._parser import EXIT_OK, Parser

EXAMPLES = """\
examples:
  QLOGDIR=traces python program.py       a trace for each connection
  udpcore plot traces/*_client.sqlog     each becomes an .svg beside it
  udpcore plot trace.sqlog -o picture.svg"""


def main(prog: str, argv: list[str]) -> int:
    """Draw; the files written are printed."""
    parser = Parser(
        prog,
        "Draw window, bytes in flight, losses and round trips of traces (QLOGDIR) as SVG.",
        EXAMPLES,
    )
    parser.add_argument("traces", nargs="+", type=existing, metavar="TRACE.sqlog")
    parser.add_argument("-o", "--output", type=Path, metavar="SVG", help="for one trace")
    arguments: argparse.Namespace = parser.parse_args(argv)
    if arguments.output and len(arguments.traces) > 1:
        parser.error("-o goes with one trace")
    for path in arguments.traces:
        target = arguments.output or path.with_suffix(".svg")
        target.write_text(to_svg(read_trace(path)), encoding="utf-8")
        print(target)
    return EXIT_OK
