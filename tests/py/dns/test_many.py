"""Many names at once: each comes back once, with its answer or its error."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from udpcore import aio, dns, netem

Address = tuple[str, int]
Sender = Callable[[bytes, Address, socket.socket], None]


def test_every_name_once(nsd: Address) -> None:
    names = [f"x{i}.wild.example.test" for i in range(3000)]
    results = list(dns.resolve_many(names, "TXT", *nsd, concurrency=300))
    assert Counter(name for name, _ in results) == Counter(names)
    assert all(result == ['"any"'] for _, result in results)


def test_results_are_those_of_resolve(nsd: Address) -> None:
    names = ["www", "chain1", "nope", "ns1", "big", "loop1", "dangling", "web", "web"]
    names = [f"{name}.example.test" for name in names] + ["a..b", "x" * 64, "outside.invalid"]
    for name, result in dns.resolve_many(names, "A", *nsd):
        expected: object
        try:
            expected = dns.resolve(name, "A", *nsd)
        except (OSError, ValueError) as error:
            expected = error
        if isinstance(expected, Exception):
            assert (type(result), str(result)) == (type(expected), str(expected))
        else:
            assert result == expected


def test_truncated_answers_come_over_tcp(nsd: Address) -> None:
    results = list(dns.resolve_many(["big.example.test"] * 100, "TXT", *nsd))
    assert [len(records) for _, records in results] == [41] * 100


def test_order_progress_and_messages(nsd: Address) -> None:
    names = [f"x{i}.wild.example.test" for i in range(500)]
    seen: list[int] = []
    results = list(
        dns.resolve_many(
            names, "TXT", *nsd, concurrency=7, ordered=True, progress=seen.append, messages=True
        )
    )
    assert [name for name, _ in results] == names
    assert {type(name) for name, _ in results} == {str}
    assert all(message.questions[0].name == f"{name}." for name, message in results)
    assert seen[-1] == 500
    assert seen == sorted(seen)


def test_names_are_read_only_as_far_as_there_is_room(nsd: Address) -> None:
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield f"x{taken}.wild.example.test"

    stream = dns.resolve_many(endless(), "TXT", *nsd, concurrency=10)
    for _ in range(50):
        next(stream)
    assert taken <= 50 + 2 * 10
    stream.close()  # type: ignore[attr-defined]


def test_through_a_bad_link_nothing_is_lost(nsd: Address) -> None:
    names = [f"x{i}.wild.example.test" for i in range(2000)]
    with netem.Proxy(nsd, loss="10%", delay="20ms", duplicate="2%", seed=7) as proxy:
        start = time.monotonic()
        results = dict(dns.resolve_many(names, "TXT", *proxy.address, concurrency=500))
        took = time.monotonic() - start
    assert set(results) == set(names)
    failed = {name: result for name, result in results.items() if result != ['"any"']}
    assert not failed
    assert took < 30


def test_a_dead_server_is_told_soon() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    results = list(dns.resolve_many(["a.test", "b.test"], "A", "127.0.0.1", port))
    assert [type(result) for _, result in results] == [ConnectionRefusedError] * 2


def test_a_silent_server_is_a_timeout(udp_server: Callable[[Sender], object]) -> None:
    server = udp_server(lambda *_: None)
    start = time.monotonic()
    results = list(dns.resolve_many(["a.test"] * 5, "A", *server.address, timeout=0.5))
    assert time.monotonic() - start < 3
    assert [type(result) for _, result in results] == [dns.DnsTimeoutError] * 5


def test_ports_change(udp_server: Callable[[Sender], object]) -> None:
    def handler(query: bytes, client: Address, sock: socket.socket) -> None:
        sock.sendto(query[:2] + bytes([query[2] | 0x80]) + query[3:], client)

    server = udp_server(handler)
    names = [f"n{i}.test" for i in range(70_000)]
    results = list(dns.resolve_many(names, "A", *server.address, concurrency=100))
    assert len(results) == 70_000
    ports = Counter(client[1] for _, client in server.queries)
    assert max(ports.values()) <= 1000
    # 64 sockets could have asked 64,000: some have been replaced.
    assert len(ports) > 70
    # Ports are drawn from 64,512: both halves have some.
    assert min(ports) < 33_000 < max(ports)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"concurrency": 0}, "concurrency=0"),
        ({"rate": 0}, "rate"),
        ({"timeout": -1}, "timeout"),
        ({"rdtype": "AAAAA"}, "did you mean"),
        ({"port": 0}, "port 0"),
    ],
)
def test_wrong_options_are_told_before_the_first_name(
    options: dict[str, object], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        dns.resolve_many([], server="127.0.0.1", **options)  # type: ignore[arg-type]


def test_few_names_are_slow_through_a_bad_link(nsd: Address) -> None:
    """10 % loss and 20 ms each way: every name answered, at most 3 % after more than 2 s."""
    began: dict[str, float] = {}

    def names() -> Iterator[str]:
        for number in range(3000):
            name = f"x{number}.wild.example.test"
            began[name] = time.monotonic()
            yield name

    took = {}
    with netem.Proxy(nsd, loss="10%", delay="20ms", seed=11) as proxy:
        stream = dns.resolve_many(names(), "TXT", *proxy.address, concurrency=200)
        for name, result in stream:
            assert result == ['"any"'], (name, result)
            took[name] = time.monotonic() - began[name]
    assert len(took) == 3000
    slow = sum(seconds > 2 for seconds in took.values())
    assert slow <= 0.03 * len(took), f"{slow} names took longer than 2 s (seed 11)"


def test_the_rate_is_kept(nsd: Address) -> None:
    names = [f"x{i}.wild.example.test" for i in range(300)]
    start = time.monotonic()
    results = list(dns.resolve_many(names, "TXT", *nsd, rate=200))
    took = time.monotonic() - start
    assert len(results) == 300
    # A bucket of one burst (32) goes at once; the rest waits for its turn.
    assert took >= (300 - 33) / 200


def test_resolvers_leave_nothing_behind(nsd: Address) -> None:
    """10^5 made and left, some in the middle of their work: no descriptor, thread or memory."""

    def kept() -> tuple[int, int]:
        gc.collect()
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    def resident() -> int:
        with open("/proc/self/statm", encoding="ascii") as source:
            return int(source.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def make(count: int) -> None:
        for number in range(count):
            stream = dns.resolve_many(["www.example.test"] * 3, "A", *nsd, concurrency=2)
            if number % 100 == 0:
                next(stream)
                connection = dns.Connection(*nsd)
                connection.query("www.example.test")
                dns.query("www.example.test", "A", *nsd)
            del stream

    make(5_000)
    before, memory = kept(), resident()
    make(100_000)
    assert kept() == before
    grown = resident() - memory
    print(f"100,000 resolvers made and left: {grown / 1024:.0f} KiB more, {before} kept")
    # Half a kilobyte for each would be fifty megabytes.
    assert grown < 16 * 2**20


def test_over_a_connection_the_results_are_the_same(nsd: Address) -> None:
    """In the order given, whatever became of each; aliases are followed there, too."""
    names = [f"x{n}.wild.example.test" for n in range(1500)]
    names[7:7] = ["a..b", "nope.example.test", "www.example.test", "chain1.example.test"]
    seen: list[int] = []
    for rdtype in ("TXT", "A"):
        plain = {n: repr(r) for n, r in dns.resolve_many(names, rdtype, *nsd, timeout=30)}
        over_tcp = list(
            dns.resolve_many(names, rdtype, *nsd, transport="tcp", timeout=30, progress=seen.append)
        )
        assert [name for name, _ in over_tcp] == names
        assert {name: repr(result) for name, result in over_tcp} == plain
    assert seen == [1000, 1504] * 2


def test_over_a_connection_to_nobody_every_name_has_its_error(nsd: Address) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    found = list(dns.resolve_many(["a.test", "b.test"], "A", "127.0.0.1", port, transport="tcp"))
    assert [type(error) for _, error in found] == [ConnectionRefusedError] * 2


def test_what_it_does_not_do_is_told_with_what_does_it() -> None:
    with pytest.raises(ValueError, match="transport='tcp'"):
        dns.resolve_many(["a.test"], server="127.0.0.1", dnssec=True)
    with pytest.raises(ValueError, match="quic"):
        dns.resolve_many(["a.test"], server="127.0.0.1", transport="quic")  # type: ignore[arg-type]

    async def over_tls() -> None:
        async for _ in aio.resolve_many(["a.test"], server="127.0.0.1", transport="tls"):
            raise AssertionError("it asked")

    with pytest.raises(ValueError, match=r"dns.resolve_many in a thread"):
        asyncio.run(over_tls())
