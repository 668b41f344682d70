"""A thousand idle encrypted connections in one process: what each takes, and whether all live.

``python tests/bench/transport_idle.py``: through a relay that loses every tenth packet, with a
keep-alive a second. Memory is what the process grew by, for both ends of each connection.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import _report

from udpcore import netem
from udpcore._core import TransportEndpoint
from udpcore.reliable import Connection, listen

CONNECTIONS = 1000
SECONDS = 20.0
PAGE_BYTES = 4096
OPTIONS = {"keep_alive": 1.0, "idle_timeout": 10.0, "handshake_timeout": 40.0}


def resident_bytes() -> int:
    """What the process holds in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def connected(endpoint: TransportEndpoint, address: tuple[str, int]) -> Connection:
    """One client of the endpoint that all share."""
    raw = endpoint.connect(address)
    raw.wait_connected(40)
    return Connection(raw, endpoint)


def main() -> None:
    """Measure and print."""
    with (
        listen(secret="s", **OPTIONS) as server,
        netem.Proxy(server.address, loss="10%", seed=5, limit=20_000) as proxy,
    ):
        endpoint = TransportEndpoint(("127.0.0.1", 0), False, b"s", False, OPTIONS)
        before = resident_bytes()
        with ThreadPoolExecutor(50) as pool:
            ours = list(pool.map(lambda _: connected(endpoint, proxy.address), range(CONNECTIONS)))
        theirs = [server.accept(timeout=40) for _ in range(CONNECTIONS)]
        time.sleep(SECONDS)
        each = (resident_bytes() - before) / (2 * CONNECTIONS)
        receipts = [connection.send(b"alive") for connection in ours]
        alive = sum(receipt.wait(timeout=40) == "acked" for receipt in receipts)
        open_ends = sum(connection.closed is None for connection in ours + theirs)
        for connection in ours:
            connection.abort()
        endpoint.close()
    common = {"peer": "", "ratio": ""}
    rows = [
        {
            "work": "one end of an idle encrypted connection",
            "ours": round(each / 1024, 2),
            "unit": "KiB",
            "bar": "≤ 16 KiB",
            **common,
        },
        {
            "work": f"of {CONNECTIONS} connections alive after {SECONDS:.0f} s of 10 % loss",
            "ours": alive,
            "unit": "connections",
            "bar": "all",
            **common,
        },
    ]
    notes = [f"{open_ends} of {2 * CONNECTIONS} ends open; all of them in one process"]
    _report.say("A thousand idle connections", rows, notes)


if __name__ == "__main__":
    main()
