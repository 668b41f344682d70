"""Batches, GSO and GRO beside ``recvfrom`` and ``sendto`` of the standard library.

Run with ``python tests/bench/batch_vs_stdlib.py`` after ``maturin develop --release``; ``--json``
prints one JSON object on the last line. Everything goes over loopback in one process: what is
timed is one side's calls, the other side's are not. Blocks of ours and the peer's take turns, a
round is the median of its blocks, the medians of the rounds are compared.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import udpcore
from udpcore import batch

ROUNDS = 15
BLOCKS = 20
#: Datagrams a block without coalescing; within the receive buffer.
BLOCK = 64
#: Datagrams of 1,200 bytes the kernel takes as one, and how many such runs a block has.
RUN = 54
RUNS = 4
RECEIVE_BUFFER = 8 << 20

Work = Callable[[], int]


@dataclass(frozen=True)
class Row:
    """One line of the table: nanoseconds a datagram, ours and the peer's."""

    work: str
    ours: float
    peer: float
    bar: float

    @property
    def ratio(self) -> float:
        return self.peer / self.ours

    def to_json(self) -> dict[str, Any]:
        return {
            "work": self.work,
            "ours": round(self.ours, 1),
            "peer": round(self.peer, 1),
            "unit": "ns/datagram",
            "ratio": round(self.ratio, 2),
            "bar": self.bar,
        }


class Bench:
    """A receiver with a large buffer, without GRO and with it, and senders to it."""

    def __init__(self) -> None:
        self.std = self._receiver(socket)
        self.ours = self._receiver(udpcore)
        self.gro = self._receiver(udpcore)
        if not batch.set_gro(self.gro):
            raise SystemExit("this kernel cannot coalesce (UDP_GRO): no comparison")
        self.std_out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.out = udpcore.socket(socket.AF_INET, socket.SOCK_DGRAM)

    @staticmethod
    def _receiver(module: Any) -> Any:
        one = module.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("127.0.0.1", 0))
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        one.setblocking(False)
        return one

    def fill(self, receiver: Any, size: int, count: int) -> int:
        """Datagrams for a receiver: in runs if it coalesces, otherwise sent one by one."""
        address, data = receiver.getsockname(), bytes(size)
        if receiver is self.gro:
            sent = self.out.sendmmsg([(data, address)] * count)
            if sent != count:
                raise SystemExit(f"only {sent} of {count} datagrams were taken")
            return sent
        for _ in range(count):
            self.std_out.sendto(data, address)
        return count

    def drain(self, receiver: Any) -> int:
        count = 0
        while True:
            try:
                count += len(batch.recvmmsg(receiver, 1024))
            except BlockingIOError:
                return count

    def compare(
        self, work: str, bar: float, count: int, ours: tuple[Work, Work], peer: tuple[Work, Work]
    ) -> Row:
        """Each side is (what goes before, what is timed); it deals with ``count`` datagrams."""
        rounds: dict[str, list[float]] = {"ours": [], "peer": []}
        for _ in range(ROUNDS):
            spent: dict[str, list[float]] = {"ours": [], "peer": []}
            for _ in range(BLOCKS):
                for name, (before, timed) in {"ours": ours, "peer": peer}.items():
                    before()
                    begin = time.perf_counter_ns()
                    dealt = timed()
                    spent[name].append((time.perf_counter_ns() - begin) / count)
                    if dealt != count:
                        raise SystemExit(f"{work}: {name} dealt with {dealt} of {count}")
            for name, nanos in spent.items():
                rounds[name].append(statistics.median(nanos))
        medians = {name: statistics.median(nanos) for name, nanos in rounds.items()}
        for receiver in (self.std, self.ours, self.gro):
            self.drain(receiver)
        return Row(work, medians["ours"], medians["peer"], bar)

    def receive(self, work: str, bar: float, size: int, receiver: Any, timed: Work) -> Row:
        coalesced = receiver is self.gro
        count = RUN * RUNS if coalesced else BLOCK

        def one_by_one() -> int:
            recvfrom = self.std.recvfrom
            for _ in range(count):
                recvfrom(2048)
            return count

        return self.compare(
            work,
            bar,
            count,
            (lambda: self.fill(receiver, size, count), timed),
            (lambda: self.fill(self.std, size, count), one_by_one),
        )

    def send(self, work: str, bar: float, size: int) -> Row:
        count = RUN * RUNS
        data, address = bytes(size), self.gro.getsockname()
        messages = [(data, address)] * count

        def one_by_one() -> int:
            sendto = self.std_out.sendto
            for _ in range(count):
                sendto(data, address)
            return count

        def drained() -> int:
            return self.drain(self.gro)

        timed = lambda: self.out.sendmmsg(messages)  # noqa: E731
        return self.compare(work, bar, count, (drained, timed), (drained, one_by_one))


def rows() -> list[Row]:
    bench = Bench()
    found = []
    for size, bar_list, bar_batch in ((64, 2.0, 2.3), (1200, 2.0, 2.2)):
        ours = bench.ours
        room = udpcore.DatagramBatch(BLOCK, 2048)
        found.append(
            bench.receive(
                f"recvmmsg(64) to a list, {size} B",
                bar_list,
                size,
                ours,
                lambda: len(bench.ours.recvmmsg(BLOCK)),
            )
        )
        found.append(
            bench.receive(
                f"recvmmsg_into(DatagramBatch(64)), {size} B",
                bar_batch,
                size,
                ours,
                lambda room=room: bench.ours.recvmmsg_into(room),
            )
        )
    room = udpcore.DatagramBatch(1024, 2048)
    many = f"{RUNS} runs of {RUN} x 1200 B"
    found.append(bench.send(f"sendmmsg of a list with GSO, {many}", 25, 1200))
    timed_list = lambda: len(bench.gro.recvmmsg(1024))  # noqa: E731
    found.append(
        bench.receive(f"recvmmsg to a list with GRO, {many}", 10, 1200, bench.gro, timed_list)
    )
    timed_batch = lambda: bench.gro.recvmmsg_into(room)  # noqa: E731
    found.append(
        bench.receive(
            f"recvmmsg_into a DatagramBatch with GRO, {many}", 20, 1200, bench.gro, timed_batch
        )
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON on the last line")
    asked = parser.parse_args()
    table = rows()
    print(f"{'work':<64} {'ours':>8} {'socket':>8} {'ratio':>7} {'bar':>6}   ns/datagram")
    for row in table:
        print(f"{row.work:<64} {row.ours:8.1f} {row.peer:8.1f} {row.ratio:6.2f}x {row.bar:5.1f}x")
    if asked.json:
        subject = "batches, GSO and GRO beside recvfrom and sendto of socket"
        print(json.dumps({"subject": subject, "rows": [row.to_json() for row in table]}))


if __name__ == "__main__":
    main()
