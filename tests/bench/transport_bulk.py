"""The transport from Python over loopback: bulk beside native quinn, small messages beside pyenet.

Run with a release build: ``python tests/bench/transport_bulk.py`` (``pip install pyenet``; the
native peer is built with cargo on first use). Both ends of udpcore are in one process, as are
quinn's; medians of interleaved rounds. Processor seconds are user and system time of both ends.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import _report

from udpcore import reliable

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests" / "bench" / "peers"
ROUNDS = 7
MEGABYTES = 300
MESSAGE = bytes(64 * 1024)
SMALL, SMALL_COUNT, SMALL_BATCH = bytes(100), 300_000, 256


def processor_seconds() -> float:
    """User and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def udpcore_bulk(**options: Any) -> tuple[float, float]:
    """Gbit/s and processor seconds a gigabyte for messages of 64 KiB."""
    count = MEGABYTES * 1_000_000 // len(MESSAGE)
    with (
        reliable.listen(**options) as server,
        reliable.connect(server.address, **options) as client,
    ):
        there = server.accept(timeout=10)

        def send() -> None:
            for _ in range(count):
                client.send(MESSAGE)

        thread = threading.Thread(target=send)
        began, busy = time.perf_counter(), processor_seconds()
        thread.start()
        received = 0
        while received < count:
            received += len(there.recv_many(64, timeout=30))
        seconds, busy = time.perf_counter() - began, processor_seconds() - busy
        thread.join()
    gigabytes = count * len(MESSAGE) / 1e9
    return gigabytes * 8 / seconds, busy / gigabytes


def udpcore_small() -> float:
    """Messages of 100 bytes a second, with the batch calls."""
    with reliable.listen() as server, reliable.connect(server.address) as client:
        there = server.accept(timeout=10)
        batch = [SMALL] * SMALL_BATCH

        def send() -> None:
            for _ in range(SMALL_COUNT // SMALL_BATCH):
                client.send_many(batch)

        thread = threading.Thread(target=send)
        began = time.perf_counter()
        thread.start()
        received = 0
        while received < SMALL_COUNT // SMALL_BATCH * SMALL_BATCH:
            received += len(there.recv_many(4096, timeout=30))
        seconds = time.perf_counter() - began
        thread.join()
    return received / seconds


def enet_small() -> float:
    """The same through pyenet: reliable packets, both hosts served in turn."""
    import enet

    server = enet.Host(enet.Address(b"127.0.0.1", 0), 1, 1, 0, 0)
    client = enet.Host(None, 1, 1, 0, 0)
    peer = client.connect(enet.Address(b"127.0.0.1", server.address.port), 1)
    connected = received = sent = 0
    while not connected:
        server.service(0)
        connected = client.service(1).type == enet.EVENT_TYPE_CONNECT
    began = time.perf_counter()
    while received < SMALL_COUNT:
        for _ in range(min(SMALL_BATCH, SMALL_COUNT - sent)):
            peer.send(0, enet.Packet(SMALL, enet.PACKET_FLAG_RELIABLE))
            sent += 1
        client.service(0)
        event = server.service(0)
        while event.type != enet.EVENT_TYPE_NONE:
            received += event.type == enet.EVENT_TYPE_RECEIVE
            event = server.check_events() or server.service(0)
    return received / (time.perf_counter() - began)


def quinn_bulk() -> tuple[float, float]:
    """What native quinn does with the same bytes."""
    program = PEERS / "target" / "release" / "quinn_bulk"
    found = json.loads(subprocess.check_output([program, str(MEGABYTES)]))
    return found["gbit"], found["cpu_s_per_gb"]


def main() -> None:
    """Measure and print."""
    build = ["cargo", "build", "--release", "--quiet", "--locked"]
    subprocess.run(build, cwd=PEERS, check=True)
    bulk: dict[str, list[tuple[float, float]]] = {"quinn": [], "aead": [], "plain": []}
    small: dict[str, list[float]] = {"udpcore": [], "enet": []}
    with_enet = "--no-enet" not in sys.argv
    for _ in range(ROUNDS):
        bulk["quinn"].append(quinn_bulk())
        bulk["aead"].append(udpcore_bulk())
        bulk["plain"].append(udpcore_bulk(plaintext=True))
        small["udpcore"].append(udpcore_small())
        if with_enet:
            small["enet"].append(enet_small())
    rate = {name: statistics.median(one[0] for one in rounds) for name, rounds in bulk.items()}
    cost = {name: statistics.median(one[1] for one in rounds) for name, rounds in bulk.items()}
    rows = [
        row("64 KiB messages, encrypted", rate["aead"], rate["quinn"], "Gbit/s", "≥ 1x"),
        row("64 KiB messages, plaintext", rate["plain"], rate["quinn"], "Gbit/s", "≥ 2x"),
        row("processor, encrypted", cost["aead"], cost["quinn"], "s/GB", "≤ 1x"),
        row("processor, plaintext", cost["plain"], cost["quinn"], "s/GB", "≤ 1x"),
    ]
    if with_enet:
        ours, theirs = (statistics.median(small[name]) / 1e3 for name in ("udpcore", "enet"))
        rows.append(row("100-byte messages, batches", ours, theirs, "1000/s", "≥ 1x"))
    notes = [
        "the peer is native quinn (Rust, one stream), of 100-byte messages pyenet (no encryption)"
    ]
    _report.say("The transport from Python over loopback", rows, notes)


def row(work: str, ours: float, peer: float, unit: str, bar: str) -> dict[str, object]:
    """One line of the table."""
    return {
        "work": work,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "unit": unit,
        "ratio": f"{ours / peer:.2f}",
        "bar": bar,
    }


if __name__ == "__main__":
    main()
