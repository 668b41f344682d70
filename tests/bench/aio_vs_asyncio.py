"""``udpcore.aio.open_udp`` beside asyncio's own datagram endpoint, on asyncio and on uvloop.

Run with ``python tests/bench/aio_vs_asyncio.py`` after ``maturin develop --release``. Datagrams of
100 bytes wait in the receive buffer; what is timed is how long the loop takes to hand them all to
the program (receive), or to send them from one task (send). Blocks take turns, a round is the
median of its blocks, the medians of the rounds are compared.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import uvloop
from _report import say

from udpcore import aio

ROUNDS = 9
BLOCKS = 20
COUNT = 256
DATA = bytes(100)
LOCAL = ("127.0.0.1", 0)
RECEIVE_BUFFER = 4 << 20

Timed = Callable[[], Awaitable[Any]]


class Counter(asyncio.DatagramProtocol):
    """The standard way: one call back a datagram."""

    def __init__(self) -> None:
        self.left = 0
        self.all_there: asyncio.Future[None] | None = None

    def expect(self, count: int) -> asyncio.Future[None]:
        self.left = count
        self.all_there = asyncio.get_running_loop().create_future()
        return self.all_there

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.left -= 1
        if self.left == 0 and self.all_there is not None:
            self.all_there.set_result(None)


async def compare(loop_name: str) -> list[dict[str, object]]:
    loop = asyncio.get_running_loop()
    filler = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    theirs = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    theirs.bind(LOCAL)
    theirs.setblocking(False)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    transport, counter = await loop.create_datagram_endpoint(Counter, sock=theirs)
    their_address = theirs.getsockname()
    endpoint = await aio.open_udp(LOCAL)
    with socket.socket(fileno=socket.dup(endpoint.fileno())) as options:
        options.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    our_address = endpoint.local_address
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(LOCAL)
    sink_address = sink.getsockname()

    def fill(address: Any) -> None:
        for _ in range(COUNT):
            filler.sendto(DATA, address)

    async def receive_each() -> None:
        fill_left = COUNT
        async for _ in endpoint:
            fill_left -= 1
            if not fill_left:
                return

    async def receive_many() -> None:
        left = COUNT
        while left:
            left -= len(await endpoint.receive_many(left))

    async def receive_theirs() -> None:
        await counter.expect(COUNT)

    async def send_each() -> None:
        for _ in range(COUNT):
            await endpoint.send(DATA, sink_address)

    async def send_many() -> None:
        await endpoint.send_many([(DATA, sink_address)] * COUNT)

    async def send_theirs() -> None:
        for _ in range(COUNT):
            transport.sendto(DATA, sink_address)

    def nothing(_address: Any) -> None:
        """Sending needs nothing before."""

    plan: list[tuple[str, float, Callable[[Any], None], Timed, Timed]] = [
        ("receive, async for", 1.0, fill, receive_each, receive_theirs),
        ("receive_many", 1.5, fill, receive_many, receive_theirs),
        ("send, one by one", 0.9, nothing, send_each, send_theirs),
        ("send_many", 2.0, nothing, send_many, send_theirs),
    ]
    rows: list[dict[str, object]] = []
    for work, bar, before, ours, peer in plan:
        rounds: dict[str, list[float]] = {"ours": [], "peer": []}
        for _ in range(ROUNDS):
            blocks: dict[str, list[float]] = {"ours": [], "peer": []}
            for _ in range(BLOCKS):
                sides = (("ours", our_address, ours), ("peer", their_address, peer))
                for name, address, timed in sides:
                    before(address)
                    begin = time.perf_counter_ns()
                    await timed()
                    blocks[name].append((time.perf_counter_ns() - begin) / COUNT)
            for name, nanos in blocks.items():
                rounds[name].append(statistics.median(nanos))
        mine, other = statistics.median(rounds["ours"]), statistics.median(rounds["peer"])
        rows.append(
            {
                "work": f"{work}, on {loop_name}",
                "ours": round(mine, 1),
                "peer": round(other, 1),
                "unit": "ns/datagram",
                "ratio": round(other / mine, 2),
                "bar": bar,
            }
        )
    endpoint.close()
    transport.close()
    filler.close()
    sink.close()
    return rows


def main() -> None:
    rows: list[dict[str, object]] = []
    loops = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    for name, factory in loops.items():
        with asyncio.Runner(loop_factory=factory) as runner:
            rows += runner.run(compare(name))
    notes = [
        "The peer is `loop.create_datagram_endpoint` of the same loop; datagrams of 100 bytes."
    ]
    say("an awaitable UDP endpoint beside asyncio's and uvloop's", rows, notes)


if __name__ == "__main__":
    main()
