"""``udpcore demo``: a file three ways through the same bad link, TCP as control, then names."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from udpcore import dns, netem
from udpcore.cli import _transfers
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser
from udpcore.cli._progress import Progress

EXAMPLES = """\
examples:
  udpcore demo README.md                    plain, numbered, acknowledged, TCP
  udpcore demo README.md --seed 7           the same losses again
  udpcore demo README.md --name-server 127.0.0.1:53 --names names.txt"""
BAD_LINK: netem.LinkOptions = {
    "loss": "10%",
    "reorder": "2%",
    "duplicate": "1%",
    "delay": "20ms",
    "jitter": "5ms",
}
SEED_MAX = 2**32
QUERY_TIMEOUT_SECONDS = 0.2
QUERY_RETRIES = 10


@dataclass(frozen=True)
class Resolved:
    """The names that were asked through the bad link."""

    names: int
    answered: int
    seconds: float
    slowest_seconds: float


def main(prog: str, argv: list[str]) -> int:
    """Run the demonstration; 1 when ACK + retransmission does not deliver the file intact."""
    arguments = _parse(prog, argv)
    data = arguments.file.read_bytes()
    outcomes: list[_transfers.Outcome] = []
    resolved = None
    try:
        print(
            f"{arguments.file.name}: {len(data)} bytes; the bad link, both ways: "
            + ", ".join(f"{name} {value}" for name, value in BAD_LINK.items()),
            file=sys.stderr,
        )
        _send_four_ways(data, arguments.seed, outcomes)
        if arguments.name_server:
            resolved = _resolve(arguments.name_server, arguments.names, arguments.seed)
    finally:
        # Ctrl-C leaves what was found so far.
        _print_outcomes(outcomes)
        if resolved:
            _print_resolved(resolved)
        print(f"\nseed {arguments.seed} (repeat with --seed {arguments.seed})", flush=True)
    ack_way_intact = next(outcome.intact for outcome in outcomes if "ACK" in outcome.way)
    names_answered = resolved is None or resolved.answered == resolved.names
    return EXIT_OK if ack_way_intact and names_answered else EXIT_FAILED


def _parse(prog: str, argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog,
        "Send FILE three ways through the same seeded bad link, and over TCP as control; then\n"
        "resolve names through the same link.",
        EXAMPLES,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the file to send")
    parser.add_argument("--seed", type=int, help="repeat a run: the seed it printed")
    parser.add_argument(
        "--name-server", type=_address, metavar="HOST:PORT", help="where to resolve the names"
    )
    parser.add_argument(
        "--names", type=Path, metavar="LIST", help="a file with one name to resolve a line"
    )
    arguments = parser.parse_args(argv)
    if not arguments.file.is_file():
        parser.error(f"{arguments.file} is not a file: give one to send")
    if bool(arguments.name_server) != bool(arguments.names):
        parser.error("--name-server and --names go together")
    if arguments.seed is None:
        arguments.seed = secrets.randbelow(SEED_MAX)
    if arguments.names:
        arguments.names = arguments.names.read_text().split()
    return arguments


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT with a port of 1 to 65535")
    return host, int(port)


def _send_four_ways(data: bytes, seed: int, outcomes: list[_transfers.Outcome]) -> None:
    """Add what became of the file, one outcome a way."""
    ways: list[tuple[str, _transfers.Way]] = [
        ("plain UDP", _transfers.plain_udp),
        ("sequence numbers", _transfers.sequence_numbers),
        ("ACK + retransmission", _transfers.ack_retransmission),
    ]
    for name, way in ways:
        with _bad_links(seed) as open_link:
            outcomes.append(_transfers.transfer(name, way, data, open_link))
    outcomes.append(
        _transfers.transfer("TCP, clean link", _transfers.tcp, data, lambda address: address)
    )


@contextmanager
def _bad_links(seed: int) -> Iterator[_transfers.OpenLink]:
    """Yield what puts the bad link before a receiver; every way gets the same seed."""
    proxies: list[netem.Proxy] = []

    def open_link(address: tuple[str, int]) -> tuple[str, int]:
        proxies.append(netem.Proxy(address, seed=seed, **BAD_LINK))
        return proxies[-1].address

    try:
        yield open_link
    finally:
        for proxy in proxies:
            proxy.close()


def _resolve(server: tuple[str, int], names: Sequence[str], seed: int) -> Resolved:
    answered, times = 0, []
    with (
        netem.Proxy(server, seed=seed, **BAD_LINK) as proxy,
        Progress("names", len(names)) as progress,
    ):
        host, port = proxy.address
        for number, name in enumerate(names, 1):
            began = time.monotonic()
            try:
                answer = dns.query(
                    name, "A", host, port, timeout=QUERY_TIMEOUT_SECONDS, retries=QUERY_RETRIES
                )
                answered += bool(answer.answers)
            except TimeoutError as error:
                print(f"{name}: {error}", file=sys.stderr)
            times.append(time.monotonic() - began)
            progress.update(number)
    return Resolved(len(names), answered, sum(times), max(times, default=0.0))


def _print_outcomes(outcomes: Sequence[_transfers.Outcome]) -> None:
    heads = ("way", "delivered", "out of order", "duplicates", "retransmitted", "time", "goodput")
    rows = [
        (
            outcome.way,
            f"{outcome.delivered / max(1, outcome.chunks):.1%}",
            str(outcome.out_of_order),
            str(outcome.duplicates),
            "-" if outcome.retransmissions is None else str(outcome.retransmissions),
            f"{outcome.seconds:.1f} s",
            f"{outcome.goodput_mbit:.1f} Mbit/s",
            "equal" if outcome.intact else "NOT equal",
        )
        for outcome in outcomes
    ]
    table = [(*heads, "sha256"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    print()
    for row in table:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join((first, *others)))


def _print_resolved(resolved: Resolved) -> None:
    mean = resolved.seconds / max(1, resolved.names)
    print(
        f"\nnames through the same link: {resolved.answered} of {resolved.names} answered, "
        f"mean {mean * 1000:.0f} ms, slowest {resolved.slowest_seconds * 1000:.0f} ms"
    )
