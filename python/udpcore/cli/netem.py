"""The verb ``netem``: the same command as the cargo binary, defined once, in Rust."""

from __future__ import annotations

import signal
import types
from typing import NoReturn

from udpcore._core import netem_main


def main(prog: str, argv: list[str]) -> int:
    """Run ``netem`` with `argv` and return its exit code; Ctrl-C and SIGTERM end it in order."""
    signal.signal(signal.SIGTERM, _terminate)
    return netem_main(prog, argv)


def _terminate(number: int, _frame: types.FrameType | None) -> NoReturn:
    """Leave as shells say it: 128 and the number of the signal."""
    raise SystemExit(128 + number)
