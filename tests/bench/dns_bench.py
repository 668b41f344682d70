"""DNS beside its peers, in one run on one machine: build, parse, many names.

Run with ``python tests/bench/dns_bench.py`` after ``maturin develop --release``. Peers that are
not installed (dnspython, dnslib, pycares, dnsperf) are left out and named. Needs NSD.
Rounds of all candidates are interleaved; medians.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import _report
from nsd import start_nsd

from udpcore import dns, netem

#: www.example.test CNAME web.example.test, three addresses, OPT: 122 octets and less are usual.
ANSWER = bytes.fromhex(
    "1234850000010004000000010377777707657861"
    "6d706c6504746573740000010001c00c000500010000003c000603776562c010"
    "c02e000100010000012c0004c000020ac02e000100010000012c0004c000020b"
    "c02e000100010000012c0004c000020c00002904d0000000000000"
)
HOSTS = 10_000
Row = dict[str, object]
ROUNDS = 7
#: the least ratio we want over each peer
BARS = {"dnspython": 20.0, "dnslib": 5.0, "pycares": 4.0, "dnsperf": 0.6}


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


def rows_of(work: str, figures: dict[str, float], unit: str, more_is_better: bool) -> list[Row]:
    """One row for each peer."""
    ours = figures["udpcore"]
    return [
        {
            "work": work,
            "ours": ours,
            "peer": f"{name} {theirs:,.4g}",
            "unit": unit,
            "ratio": ours / theirs if more_is_better else theirs / ours,
            "bar": f"≥ {BARS[name]:g}x",
        }
        for name, theirs in figures.items()
        if name != "udpcore"
    ]


def compare_calls(work: str, candidates: dict[str, Callable[[], object]], number: int) -> list[Row]:
    """Interleave rounds of `number` calls; µs a call."""
    took: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, call in candidates.items():
            start = time.perf_counter()
            for _ in range(number):
                call()
            took[name].append((time.perf_counter() - start) / number * 1e6)
    figures = {name: statistics.median(values) for name, values in took.items()}
    return rows_of(work, figures, "µs a call", more_is_better=False)


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


def compare_many(count: int) -> tuple[list[Row], list[str]]:
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
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    lost = dict.fromkeys(candidates, 0)
    with start_nsd(zone) as nsd:
        for _ in range(ROUNDS):
            for name, (ask, size) in candidates.items():
                names = [f"h{i % HOSTS}.example.test" for i in range(size)]
                start = time.perf_counter()
                result = ask(names, *nsd.address)
                seconds = time.perf_counter() - start
                answered, seconds = result if isinstance(result, tuple) else (result, seconds)
                rates[name].append(size / seconds)
                lost[name] += size - answered
    figures = {name: statistics.median(values) for name, values in rates.items()}
    said = ", ".join(f"{name} {number}" for name, number in lost.items())
    rows = rows_of(f"{count:,} names of a local NSD", figures, "queries/s", more_is_better=True)
    return rows, [f"Unanswered over all rounds: {said}."]


def slow_behind_a_bad_link(count: int = 3_000) -> Row:
    """Which share of names takes longer than 2 s at 10 % loss and 20 ms each way; %."""
    shares, lost = [], 0
    with start_nsd("@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\n*.w 300 TXT x\n") as nsd:
        for seed in range(ROUNDS):
            began: dict[str, float] = {}

            def names(began: dict[str, float] = began) -> Iterator[str]:
                for number in range(count):
                    name = f"x{number}.w.example.test"
                    began[name] = time.perf_counter()
                    yield name

            slow = 0
            with netem.Proxy(nsd.address, loss="10%", delay="20ms", seed=seed) as proxy:
                for name, result in dns.resolve_many(names(), "TXT", *proxy.address, 200):
                    slow += time.perf_counter() - began[name] > 2
                    lost += not isinstance(result, list)
            shares.append(100 * slow / count)
    return {
        "work": f"{count:,} names at 10 % loss + 20 ms: slower than 2 s ({lost} lost)",
        "ours": statistics.median(shares),
        "peer": "-",
        "unit": "%",
        "ratio": "-",
        "bar": "≤ 3 %, 0 lost",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="names to resolve (100000)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    count = parser.parse_args().count
    rows = compare_calls("build a query", builders(), 2_000)
    rows += compare_calls("parse an answer, read every record", parsers(), 1_000)
    many, notes = compare_many(count)
    many.append(slow_behind_a_bad_link())
    _report.say("DNS", rows + many, notes)


if __name__ == "__main__":
    main()
