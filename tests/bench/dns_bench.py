"""DNS beside its peers, in one run on one machine: build, parse, many names.

Run with ``python tests/bench/dns_bench.py`` after ``maturin develop --release``. Peers that are
not installed (dnspython, dnslib, pycares, dnsperf) are left out and named. Needs NSD.
Rounds of all candidates are interleaved, and the best round of each counts.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from nsd import start_nsd

from udpcore import dns

#: www.example.test CNAME web.example.test, three addresses, OPT: 122 octets and less are usual.
ANSWER = bytes.fromhex(
    "1234850000010004000000010377777707657861"
    "6d706c6504746573740000010001c00c000500010000003c000603776562c010"
    "c02e000100010000012c0004c000020ac02e000100010000012c0004c000020b"
    "c02e000100010000012c0004c000020c00002904d0000000000000"
)
HOSTS = 10_000
ROUNDS = 5


def peer(name: str) -> Any | None:
    """The module, or nothing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"({name} is not installed)", file=sys.stderr)
        return None


def builders() -> dict[str, Callable[[], object]]:
    """One query with EDNS, from name to bytes."""
    found: dict[str, Callable[[], object]] = {
        "udpcore": lambda: dns.build_query("www.example.test", "A")
    }
    if message := peer("dns.message"):
        found["dnspython"] = lambda: message.make_query(
            "www.example.test", "A", use_edns=0
        ).to_wire()
    if lib := peer("dnslib"):

        def build() -> object:
            query = lib.DNSRecord.question("www.example.test", "A")
            query.add_ar(lib.EDNS0(udp_len=1232))
            return query.pack()

        found["dnslib"] = build
    return found


def parsers() -> dict[str, Callable[[], object]]:
    """Parse the answer and read name, type, TTL and data of every record."""

    def ours() -> None:
        message = dns.parse(ANSWER)
        for record in message.answers:
            _ = (record.name, record.rdtype, record.ttl, record.data[0])
        _ = message.additionals[0].data.udp_size

    found: dict[str, Callable[[], object]] = {"udpcore": ours}
    if module := peer("dns.message"):

        def dnspython() -> None:
            message = module.from_wire(ANSWER)
            for rrset in message.answer:
                for data in rrset:
                    _ = (str(rrset.name), rrset.rdtype, rrset.ttl, data.to_text())
            _ = message.payload

        found["dnspython"] = dnspython
    if lib := peer("dnslib"):

        def dnslib() -> None:
            message = lib.DNSRecord.parse(ANSWER)
            for record in message.rr:
                _ = (str(record.rname), record.rtype, record.ttl, str(record.rdata))
            _ = message.ar[0].edns_len

        found["dnslib"] = dnslib
    return found


def compare_calls(title: str, candidates: dict[str, Callable[[], object]], number: int) -> None:
    """Interleave rounds of `number` calls, print the best in µs."""
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(ROUNDS):
        for name, call in candidates.items():
            start = time.perf_counter()
            for _ in range(number):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / number * 1e6)
    for name, microseconds in best.items():
        print(
            f"{title:<8} {name:<12} {microseconds:9.2f} µs {microseconds / best['udpcore']:7.1f}x"
        )


def ask_udpcore(names: list[str], host: str, port: int) -> int:
    results = dns.resolve_many(names, "A", host, port)
    return sum(isinstance(result, list) for _, result in results)


def ask_pycares(names: list[str], host: str, port: int) -> int:
    pycares = importlib.import_module("pycares")
    channel = pycares.Channel(
        servers=[host], udp_port=port, tcp_port=port, timeout=5.0, tries=4, rotate=False
    )
    done = answered = 0

    def callback(result: object, error: object) -> None:
        nonlocal done, answered
        done += 1
        answered += error is None

    waiting = iter(names)
    open_max = 1000
    sent = 0
    while done < len(names):
        while sent - done < open_max and sent < len(names):
            channel.query(next(waiting), pycares.QUERY_TYPE_A, callback=callback)
            sent += 1
        time.sleep(0.0005)
    channel.close()
    return answered


def ask_dnspython(names: list[str], host: str, port: int) -> int:
    query = importlib.import_module("dns.asyncquery")
    message = importlib.import_module("dns.message")

    async def run() -> int:
        limit = asyncio.Semaphore(1000)

        async def one(name: str) -> bool:
            async with limit:
                reply = await query.udp(message.make_query(name, "A"), host, port=port, timeout=10)
                return bool(reply.answer)

        return sum(await asyncio.gather(*map(one, names)))

    return asyncio.run(run())


def ask_dnsperf(names: list[str], host: str, port: int) -> tuple[int, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{name} A\n" for name in names)
        file.flush()
        command = ["dnsperf", "-s", host, "-p", str(port), "-d", file.name, "-n", "1", "-q", "1000"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    completed = re.search(r"Queries completed:\s+(\d+)", said)
    seconds = re.search(r"Run time \(s\):\s+([\d.]+)", said)
    assert completed
    assert seconds
    return int(completed[1]), float(seconds[1])


def compare_many(count: int) -> None:
    """Ask a local NSD for `count` names with each candidate."""
    head = "$ORIGIN example.test.\n$TTL 300\n@ IN SOA ns1 h 1 2 3 4 5\n@ IN NS ns1\n"
    zone = head + "".join(
        f"h{i} IN A 10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}\n" for i in range(HOSTS)
    )
    candidates: dict[str, tuple[Callable[..., Any], int]] = {"udpcore": (ask_udpcore, count)}
    if peer("pycares"):
        candidates["pycares"] = (ask_pycares, count // 5)
    if peer("dns.asyncquery"):
        candidates["dnspython"] = (ask_dnspython, count // 20)
    if shutil.which("dnsperf"):
        candidates["dnsperf"] = (ask_dnsperf, count)
    best: dict[str, tuple[float, int]] = {}
    with start_nsd(zone) as nsd:
        for _ in range(3):
            for name, (ask, size) in candidates.items():
                names = [f"h{i % HOSTS}.example.test" for i in range(size)]
                start = time.perf_counter()
                result = ask(names, *nsd.address)
                seconds = time.perf_counter() - start
                answered, seconds = result if isinstance(result, tuple) else (result, seconds)
                rate, lost = size / seconds, size - answered
                best[name] = max(best.get(name, (0.0, 0)), (rate, lost))
    for name, (rate, lost) in best.items():
        print(f"many     {name:<12} {rate:9.0f} q/s {best['udpcore'][0] / rate:7.1f}x  lost {lost}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="names to resolve (100000)")
    count = parser.parse_args().count
    compare_calls("build", builders(), 2_000)
    compare_calls("parse", parsers(), 1_000)
    compare_many(count)


if __name__ == "__main__":
    main()
