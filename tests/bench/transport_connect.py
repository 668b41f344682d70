"""How long connecting takes, and whether it works while somebody floods the server.

``python tests/bench/transport_connect.py``: through a relay with a round trip of 50 ms, connecting
beside a bare UDP echo through the same relay; then honest clients while spoofed handshakes come
from ever new addresses, at stated rates and as fast as a thread can send them.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from contextlib import suppress

import _report

import udpcore
from udpcore import netem, reliable
from udpcore._core import TransportEndpoint

CONNECTS = 200
ONE_WAY_MS = 25
SPOOFED_INITS = 500
SPOOFED_ADDRESSES = 200
HONEST = 200
#: Spoofed handshakes a second, and how many an address sends before another one does. The last
#: rates are more than any thread here can send.
FLOODS = [(100_000, 20), (500_000, 20), (100_000_000, 1), (100_000_000, 20)]


def centiles(times_ms: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    return statistics.median(times_ms), sorted(times_ms)[int(len(times_ms) * 0.99)]


def connect_times() -> tuple[list[float], list[float]]:
    """Milliseconds of each connect, and of each echo between them."""
    link = {"delay": f"{ONE_WAY_MS}ms"}
    connects, echoes = [], []
    with (
        reliable.listen(secret="s") as server,
        udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM) as echo,
        netem.Proxy(server.address, up=link, down=link) as proxy,
    ):
        echo.bind(("127.0.0.1", 0))
        stop = threading.Event()
        thread = threading.Thread(target=serve_echo, args=(echo, stop))
        thread.start()
        with (
            netem.Proxy(echo.getsockname(), up=link, down=link) as echo_proxy,
            udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM) as probe,
        ):
            probe.settimeout(5)
            probe.connect(echo_proxy.address)
            for _ in range(CONNECTS):
                began = time.perf_counter()
                client = reliable.connect(proxy.address, secret="s")
                connects.append((time.perf_counter() - began) * 1e3)
                client.abort()
                began = time.perf_counter()
                probe.send(bytes(1200))
                probe.recv(2048)
                echoes.append((time.perf_counter() - began) * 1e3)
        stop.set()
        thread.join()
    return connects, echoes


def serve_echo(sock: udpcore.socket, stop: threading.Event) -> None:
    """Send back what comes, until told to stop."""
    sock.settimeout(0.2)
    while not stop.is_set():
        with suppress(TimeoutError):
            data, address = sock.recvfrom(2048)
            sock.sendto(data, address)


def spoofed_handshakes() -> list[bytes]:
    """First datagrams of clients that will never be heard of again."""
    with udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(5)
        endpoint = TransportEndpoint(("127.0.0.1", 0), False, None, False, {})
        inits: dict[bytes, bytes] = {}
        clients = []
        while len(inits) < SPOOFED_INITS:
            # Kept, or it would be closed before it says a word.
            clients.append(endpoint.connect(sink.getsockname()))
            init = sink.recv(2048)
            # A client repeats itself; the bytes before the payload hold its own id.
            inits[init[:32]] = init
        endpoint.close()
    return list(inits.values())


def flood(
    server: tuple[str, int],
    inits: list[bytes],
    rate: int,
    burst: int,
    stop: threading.Event,
    sent: list[int],
) -> None:
    """Send handshakes from all over 127.0.0.0/8, so many a second, until told to stop."""
    began = time.perf_counter()
    sources = []
    for number in range(SPOOFED_ADDRESSES):
        source = udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM)
        source.bind((f"127.9.{number // 250}.{number % 250 + 1}", 0))
        sources.append(source)
    starts = range(0, len(inits), burst)
    batches = [[(init, server) for init in inits[at : at + burst]] for at in starts]
    for source, batch in zip(itertools.cycle(sources), itertools.cycle(batches), strict=False):
        if stop.is_set():
            break
        with suppress(OSError):
            sent[0] += source.sendmmsg(batch)
        if (early := began + sent[0] / rate - time.perf_counter()) > 0:
            time.sleep(early)
    for source in sources:
        source.close()


def honest_under_flood(inits: list[bytes], rate: int, burst: int) -> tuple[int, float]:
    """Honest clients that connected, and spoofed handshakes a second meanwhile."""
    stop, sent, connected = threading.Event(), [0], 0
    with reliable.listen() as server:
        thread = threading.Thread(
            target=flood, args=(server.address, inits, rate, burst, stop, sent)
        )
        thread.start()
        while not sent[0]:
            time.sleep(0.01)
        began = time.perf_counter()
        for _ in range(HONEST):
            with suppress(TimeoutError):
                client = reliable.connect(server.address, timeout=5.0)
                connected += 1
                client.abort()
        seconds = time.perf_counter() - began
        stop.set()
        thread.join()
    return connected, sent[0] / seconds


def main() -> None:
    """Measure and print."""
    connects, echoes = connect_times()
    rows = [
        {
            "work": f"connect, {name}",
            "ours": round(ours, 2),
            "peer": round(theirs, 2),
            "unit": "ms",
            "ratio": f"{ours - theirs:+.2f} ms",
            "bar": "round trip + 1 ms",
        }
        for name, ours, theirs in zip(
            ("median", "99th percentile"), centiles(connects), centiles(echoes), strict=True
        )
    ]
    inits = spoofed_handshakes()
    for flood_rate, burst in FLOODS:
        connected, rate = honest_under_flood(inits, flood_rate, burst)
        rows.append(
            {
                "work": f"honest connects beside {rate:,.0f} spoofed handshakes a second, "
                f"{burst} an address",
                "ours": round(connected * 100 / HONEST, 1),
                "peer": "",
                "unit": "%",
                "ratio": "",
                "bar": "≥ 95 %",
            }
        )
    notes = [
        f"{CONNECTS} connects with a secret through a relay with {2 * ONE_WAY_MS} ms of round "
        "trip; the peer is a bare UDP echo of 1200 bytes through another such relay",
        f"{HONEST} honest clients, one after the other, with 5 s each; spoofed handshakes from "
        f"{SPOOFED_ADDRESSES} addresses in turn, all in one process on one machine",
    ]
    _report.say("Connecting, also under a flood", rows, notes)


if __name__ == "__main__":
    main()
