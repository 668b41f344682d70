"""``udpcore bench``: how fast this machine is with udpcore, beside the standard module.

A quick look of a few seconds, interleaved, medians; what the project claims is measured by
``make bench`` in a checkout, beside more peers.
"""

from __future__ import annotations

import contextlib
import os
import socket as stdlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import udpcore as socket
from udpcore import dns, fec, netem, reliable
from udpcore.cli._apps import count, print_json, tell
from udpcore.cli._parser import EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore bench              a table, in some seconds
  udpcore bench --rounds 21  steadier medians
  udpcore bench --json       for programs"""
BLOCK, SIZE_BYTES = 64, 64
PACKETS = 20_000
MESSAGE, MESSAGES = bytes(64 * 1024), 800
WHOLE = {"times": MESSAGES}

Row = dict[str, Any]


def main(prog: str, argv: list[str]) -> int:
    """Measure and print."""
    parser = Parser(prog, "How fast this machine is with udpcore.", EXAMPLES)
    parser.add_argument("--rounds", type=count, default=9, help="of each work (%(default)s)")
    parser.add_argument("--json", action="store_true", help="the rows as JSON")
    arguments = parser.parse_args(argv)
    rows: list[Row] = []
    try:
        for work in (_sockets, _codes, _names, _network, _transport):
            tell(f"measuring {(work.__doc__ or '').lower().rstrip('.')} ...")
            rows += work(arguments.rounds)
    finally:
        # Ctrl-C leaves what was measured so far.
        _show(rows, arguments.json)
    return EXIT_OK


def _show(rows: list[Row], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    width = max((len(row["work"]) for row in rows), default=0)
    for row in rows:
        beside = "" if row.get("socket") is None else f"   socket {row['socket']:,.0f}"
        print(f"{row['work']:<{width}}  {row['udpcore']:>11,.1f} {row['unit']}{beside}")
    print(f"{len(rows)} measured", flush=True)


def _seconds(work: Callable[..., object], *arguments: object, times: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work(*arguments)
    return time.perf_counter() - start


def _sockets(rounds: int) -> Iterator[Row]:
    """Sockets."""
    payload = bytes(SIZE_BYTES)
    times: dict[tuple[str, str], list[float]] = {}
    with (
        stdlib.socket(stdlib.AF_INET, stdlib.SOCK_DGRAM) as plain,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours,
    ):
        plain.bind(("127.0.0.1", 0))
        ours.bind(("127.0.0.1", 0))
        address = ours.getsockname()
        batch = socket.DatagramBatch(BLOCK, SIZE_BYTES)
        many = [(payload, address)] * BLOCK
        for _ in range(rounds):
            for name, sock in (("udpcore", ours), ("socket", plain)):
                target = sock.getsockname()
                send = _seconds(sock.sendto, payload, target, times=BLOCK)
                receive = _seconds(sock.recvfrom, SIZE_BYTES, times=BLOCK)
                times.setdefault(("sendto", name), []).append(send)
                times.setdefault(("recvfrom", name), []).append(receive)
            sent = _seconds(ours.sendmmsg, many)
            received = _seconds(ours.recvmmsg_into, batch)
            times.setdefault(("sendmmsg", "udpcore"), []).append(sent)
            times.setdefault(("recvmmsg_into", "udpcore"), []).append(received)
    nanoseconds = {key: statistics.median(value) / BLOCK * 1e9 for key, value in times.items()}
    for call, peer in (
        ("sendto", "sendto"),
        ("recvfrom", "recvfrom"),
        ("sendmmsg", "sendto"),
        ("recvmmsg_into", "recvfrom"),
    ):
        yield {
            "work": f"{call}, {SIZE_BYTES} B",
            "udpcore": nanoseconds[call, "udpcore"],
            "socket": nanoseconds[peer, "socket"],
            "unit": "ns a datagram",
        }


def _codes(rounds: int) -> Iterator[Row]:
    """Forward error correction."""
    chunks = [os.urandom(1000) for _ in range(50)]
    encoder = fec.Encoder(50, 15)
    took = [_seconds(encoder.encode, chunks, times=100) for _ in range(rounds)]
    yield {
        "work": f"encode 50+15 chunks of 1000 B ({encoder.kernel})",
        "udpcore": 50 * 1000 * 100 / statistics.median(took) / 1e9,
        "unit": "GB/s of source data",
    }


def _names(rounds: int) -> Iterator[Row]:
    """DNS messages."""
    query = dns.build_query("www.example.com", "AAAA")
    for name, work in (
        ("build a DNS query", lambda: dns.build_query("www.example.com", "AAAA")),
        ("parse a DNS message", lambda: dns.parse(query)),
    ):
        took = [_seconds(work, times=1000) for _ in range(rounds)]
        yield {"work": name, "udpcore": statistics.median(took) * 1e6, "unit": "ns a call"}


def _network(rounds: int) -> Iterator[Row]:
    """The emulated network."""

    def simulate() -> None:
        network = netem.Simulator(seed=7, loss="1%", delay="20ms", jitter="5ms")
        for _ in range(PACKETS):
            network.send("up", b"x")

    took = [_seconds(simulate) for _ in range(rounds)]
    rate = PACKETS / statistics.median(took)
    yield {"work": "netem.Simulator.send", "udpcore": rate, "unit": "packets/s"}

    def proxy() -> None:
        netem.Proxy(("127.0.0.1", 9), loss="1%").close()

    took = [_seconds(proxy) for _ in range(rounds)]
    started = statistics.median(took) * 1e6
    yield {"work": "start and stop a netem.Proxy", "udpcore": started, "unit": "µs"}


def _transport(rounds: int) -> Iterator[Row]:
    """The encrypted transport."""
    rates = []
    with reliable.listen() as server, reliable.connect(server.address) as client:
        there = server.accept(timeout=10.0)
        for _ in range(min(rounds, 5)):
            sender = threading.Thread(target=_send_all, args=(client,))
            start = time.perf_counter()
            sender.start()
            received = 0
            while received < MESSAGES:
                received += len(there.recv_many(64, timeout=30.0))
            rates.append(MESSAGES * len(MESSAGE) * 8 / (time.perf_counter() - start) / 1e9)
            sender.join()
    rate = statistics.median(rates)
    yield {"work": "messages of 64 KiB, encrypted", "udpcore": rate, "unit": "Gbit/s"}


def _send_all(client: reliable.Connection) -> None:
    # An interruption closes the connection: that is no error of ours.
    with contextlib.suppress(OSError):
        for _ in range(MESSAGES):
            client.send(MESSAGE)
