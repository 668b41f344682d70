"""What the verbs of the applications share: addresses, JSON, a summary at the end."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

Address = tuple[str, int]


def address(text: str) -> Address:
    """Parse ``HOST:PORT`` or ``[HOST]:PORT``."""
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), port_number(port)


def port_number(text: str) -> int:
    """Parse a port, 0 to 65535; 0 lets the system choose where one listens."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port of 0 to 65535")
    return int(text)


def positive(text: str) -> float:
    """Parse a number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def count(text: str) -> int:
    """Parse a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def tell(text: str) -> None:
    """Words for people: to standard error."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, default=str))


def serve(run: Callable[[], object], summary: Callable[[], Any], as_json: bool) -> None:
    """Run until it ends or Ctrl-C, and print a summary either way."""
    began = time.monotonic()
    try:
        run()
    finally:
        numbers = {**dict(summary()), "seconds": round(time.monotonic() - began, 3)}
        if as_json:
            print_json(numbers)
        else:
            print(", ".join(f"{name} {value}" for name, value in numbers.items()), flush=True)
