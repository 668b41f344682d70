"""Goodput over a long, lossy link, live: udpcore beside ENet through the same relay.

``python tests/bench/transport_enet.py`` (``pip install pyenet``): a link of 20 Mbit/s with a round
trip of 200 ms and a queue of one bandwidth-delay product, in real time; the same seeds for both,
medians of interleaved rounds. ENet neither encrypts nor controls congestion: it keeps at most
64 KiB on their way and sends again what is late.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from typing import Any

import _report

from udpcore import netem, reliable

ROUNDS = 7
SECONDS = 6.0
LOSSES = (0, 1, 5)
SUFFIXES = {"cubic": "", "bbr": ", BBR"}
LINK = {"delay": "100ms", "rate": "20mbit", "queue": "droptail 333"}
MESSAGE = bytes(16 * 1024)
#: Messages handed over ahead of what is acknowledged, so that the application never limits.
AHEAD = 100


def relay(upstream: tuple[str, int], loss: int, seed: int) -> netem.Proxy:
    """The link, in both directions."""
    link: dict[str, Any] = {**LINK, "loss": f"{loss}%"}
    return netem.Proxy(upstream, up=link, down=link, seed=seed, limit=20_000)


def udpcore_goodput(loss: int, seed: int, congestion: str) -> float:
    """Mbit/s that the receiving application gets."""
    with (
        reliable.listen() as server,
        relay(server.address, loss, seed) as proxy,
        reliable.connect(proxy.address, congestion=congestion) as client,
    ):
        there = server.accept(timeout=10)
        end = time.perf_counter() + SECONDS

        def send() -> None:
            while time.perf_counter() < end:
                if client.stats().messages_pending < AHEAD:
                    client.send(MESSAGE)
                else:
                    time.sleep(0.002)

        thread = threading.Thread(target=send)
        thread.start()
        received = 0
        while (left := end - time.perf_counter()) > 0:
            try:
                received += sum(map(len, there.recv_many(64, timeout=left)))
            except TimeoutError:
                break
        thread.join()
        client.abort()
        there.abort()
    return received * 8 / SECONDS / 1e6


def enet_goodput(loss: int, seed: int) -> float:
    """The same through pyenet, reliable packets of the same size."""
    import enet

    server = enet.Host(enet.Address(b"127.0.0.1", 0), 1, 1, 0, 0)
    with relay(("127.0.0.1", server.address.port), loss, seed) as proxy:
        host, port = proxy.address
        client = enet.Host(None, 1, 1, 0, 0)
        peer = client.connect(enet.Address(host.encode(), port), 1)
        connected, patience = False, time.perf_counter() + 10
        while not connected and time.perf_counter() < patience:
            server.service(0)
            connected = client.service(1).type == enet.EVENT_TYPE_CONNECT
        received = sent = 0
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            while sent * len(MESSAGE) < received + AHEAD * len(MESSAGE):
                peer.send(0, enet.Packet(MESSAGE, enet.PACKET_FLAG_RELIABLE))
                sent += 1
            client.service(1)
            event = server.service(0)
            while event.type != enet.EVENT_TYPE_NONE:
                if event.type == enet.EVENT_TYPE_RECEIVE:
                    received += len(event.packet.data)
                event = server.check_events() or server.service(0)
        peer.reset()
    return received * 8 / SECONDS / 1e6


def main() -> None:
    """Measure and print."""
    rates: dict[tuple[str, int], list[float]] = {}
    for seed in range(1, ROUNDS + 1):
        for loss in LOSSES:
            for congestion in SUFFIXES:
                rate = udpcore_goodput(loss, seed, congestion)
                rates.setdefault((congestion, loss), []).append(rate)
            rates.setdefault(("enet", loss), []).append(enet_goodput(loss, seed))
    rows = []
    for loss, (congestion, suffix) in itertools.product(LOSSES, SUFFIXES.items()):
        ours, theirs = (statistics.median(rates[name, loss]) for name in (congestion, "enet"))
        rows.append(
            {
                "work": f"{loss} % loss, 200 ms{suffix}",
                "ours": round(ours, 2),
                "peer": round(theirs, 2),
                "unit": "Mbit/s",
                "ratio": f"{ours / theirs:.2f}" if theirs else "∞",
                "bar": "≥ 3x",
            }
        )
    notes = [
        f"{SECONDS:.0f} s after connecting, slow start included; the peer is pyenet, unencrypted",
        "ENet has no congestion control: at random loss it keeps its 64 KiB on their way, CUBIC "
        "takes the losses for congestion, BBR does not where no queue is to be seen",
    ]
    _report.say("Over 20 Mbit/s and 200 ms, live, beside ENet", rows, notes)


if __name__ == "__main__":
    main()
