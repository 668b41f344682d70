"""What the verbs of the applications share: addresses, JSON, a summary at the end."""

from __future__ import annotations

import argparse
import ipaddress
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import udpcore as socket

Address = tuple[str, int]


def address(text: str) -> Address:
    """Parse ``HOST:PORT`` or ``[HOST]:PORT``; a name is looked up once, for its IPv4 address first.

    The address is numeric, so that nothing is looked up again for every datagram.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not HOST:PORT, such as 127.0.0.1:9999 or [::1]:9999"
        )
    number = port_number(port)
    try:
        found = socket.getaddrinfo(host.strip("[]"), number, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        raise argparse.ArgumentTypeError(f"{host!r}: {error.strerror}") from error
    addresses = sorted(found, key=lambda one: one[0] != socket.AF_INET)
    return str(addresses[0][4][0]), number


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


def between(least: int, most: int) -> Callable[[str], int]:
    """Return what parses a whole number from `least` to `most`."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {least} to {most}"
            )
        return int(text)

    return parse


def ip_address(text: str) -> str:
    """Check an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IPv4 or IPv6 address") from None
    return text


def existing(text: str) -> Path:
    """Check that something of this name can be read."""
    if not Path(text).exists():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return Path(text)


def in_hex(text: str) -> bytes:
    """Parse bytes in hex, with blanks or without."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not bytes in hex, such as '4500 001c'"
        ) from None


def show_address(address: Address) -> str:
    """``HOST:PORT`` or ``[HOST]:PORT``."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tell(text: str) -> None:
    """Words for people: to standard error."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_line(value: Any) -> None:
    """One JSON value on a line of its own, at once: for what comes little by little."""
    print(json.dumps(value, default=str), flush=True)


def serve(
    run: Callable[[], object],
    summary: Callable[[], Any],
    as_json: bool = False,
    *,
    ready: str = "",
    out: TextIO | None = None,
) -> None:
    """Say `ready`, run until it ends or Ctrl-C, and print a summary either way.

    `out` is where the words go: standard output, unless that is full of what came.
    """
    began = time.monotonic()
    try:
        if ready:
            tell(ready)
        run()
    finally:
        numbers = {**dict(summary()), "seconds": round(time.monotonic() - began, 3)}
        if as_json:
            print_json(numbers)
        else:
            words = ", ".join(f"{name} {value}" for name, value in numbers.items())
            print(words, file=out or sys.stdout, flush=True)
