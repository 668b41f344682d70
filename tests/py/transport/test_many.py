"""A thousand idle connections in one process, and connections whose NAT changes its mind."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from udpcore import netem
from udpcore._core import TransportEndpoint
from udpcore.reliable import Connection, connect, listen

CONNECTIONS = 1000
#: What one end of an idle encrypted connection may take, in bytes.
IDLE_BYTES_MAX = 16 * 1024
PAGE_BYTES = 4096


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def connected(endpoint: TransportEndpoint, address: tuple[str, int]) -> Connection:
    raw = endpoint.connect(address)
    raw.wait_connected(40)
    return Connection(raw, endpoint)


def test_a_thousand_idle_connections_stay_alive_and_small():
    options = {"keep_alive": 1.0, "idle_timeout": 20.0, "handshake_timeout": 40.0}
    with (
        listen(secret="s", **options) as server,
        netem.Proxy(server.address, loss="10%", seed=5, limit=20_000) as proxy,
    ):
        endpoint = TransportEndpoint(("127.0.0.1", 0), False, b"s", False, options)
        before = resident_bytes()
        # Fifty at a time: the handshakes of all at once would be a flood.
        with ThreadPoolExecutor(50) as pool:
            ours = list(pool.map(lambda _: connected(endpoint, proxy.address), range(CONNECTIONS)))
        theirs = [server.accept(timeout=40) for _ in range(CONNECTIONS)]
        # Three rounds of keep-alives, of which every tenth packet is lost.
        time.sleep(3)
        each = (resident_bytes() - before) / (2 * CONNECTIONS)
        assert all(connection.closed is None for connection in ours + theirs)
        assert min(connection.stats().datagrams_received for connection in theirs) > 2
        receipts = [connection.send(b"alive") for connection in ours]
        assert all(there.recv(timeout=40) == b"alive" for there in theirs)
        assert {receipt.wait(timeout=40) for receipt in receipts} == {"acked"}
        assert each <= IDLE_BYTES_MAX, f"{each:.0f} bytes each"
        for connection in ours:
            connection.abort()
        endpoint.close()


def test_a_nat_that_forgets_loses_nothing():
    sent = [str(number).encode() * 200 for number in range(300)]
    with (
        listen(secret="s") as server,
        netem.Proxy(server.address, loss="2%", delay="2ms", seed=9) as first,
        connect(first.address, secret="s") as client,
    ):
        there = server.accept(timeout=10)
        received = []
        for number, message in enumerate(sent):
            client.send(message)
            if number % 100 == 50:
                first.rebind()
                time.sleep(0.05)
        while len(received) < len(sent):
            received += there.recv_many(1000, timeout=30)
        assert received == sent
        assert there.stats().migrations >= 3
