"""Simulator, relay and bridge take the same decisions for the same packets and the same seed.

In canonical order (direction, flow, ordinal), for every model that does not depend on time. The
bridge is that of ``netem run`` and needs root; it sees frames, 42 bytes longer than datagrams.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from udpcore import netem

FLOWS, PACKETS, SEED = 3, 300, 7
#: Ethernet, IPv4 and UDP.
HEADERS = 14 + 20 + 8
#: The models, and what the lines of their packets hash to; the tests in Rust read it, too.
GOLDEN_FILE = Path(__file__).parents[3] / "netem" / "tests" / "golden.txt"
FNV_START, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3


def golden() -> list[tuple[str, dict[str, str]]]:
    text = GOLDEN_FILE.read_text(encoding="utf-8")
    rows = [line.split(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return [(hash_, dict(pair.split("=") for pair in row.split("; "))) for hash_, row in rows]


GOLDEN = golden()

SEND = f"""
import os, socket, subprocess, time
server = os.environ["NETEM_SERVER"]
# Flow 0, and one only: a second ping would be a second flow. The neighbour is known before the
# packets that count.
subprocess.run(["ping", "-c", "1", "-w", "30", server], stdout=subprocess.DEVNULL, check=True)
for flow in range({FLOWS}):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range({PACKETS}):
            # On a busy machine the kernel's backlog (1,000 packets) would drop some unseen.
            if number % 20 == 0:
                time.sleep(0.005)
            sock.sendto(bytes(50 + number), (server, 7))
"""


def lines(log: str, headers: int = 0) -> list[str]:
    """The lines of flow 1 and up, with the sizes of datagrams."""
    found = []
    for line in log.splitlines():
        if line.startswith("up "):
            way, flow, ordinal, size, *rest = line.split()
            if flow.isdigit() and 0 < int(flow) <= FLOWS:
                found.append(" ".join([way, flow, ordinal, str(int(size) - headers), *rest]))
    return found


def of_simulator(models: dict[str, str]) -> list[str]:
    sim = netem.Simulator(up=models, seed=SEED)
    for flow in range(1, FLOWS + 1):
        for number in range(PACKETS):
            sim.send("up", bytes(50 + number), flow)
    return lines(sim.log())


def of_relay(models: dict[str, str], server: socket.socket, wait) -> list[str]:
    with netem.Proxy(server.getsockname(), up=models, seed=SEED) as proxy:
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(FLOWS + 1)]
        for flow, client in enumerate(clients):
            for number in range(PACKETS if flow else 1):
                client.sendto(bytes(50 + number), proxy.address)
                # Nothing may be missed: that would be another packet with this ordinal.
                if number % 50 == 0:
                    came = (max(flow - 1, 0)) * PACKETS + (flow > 0) + number + 1
                    wait(lambda came=came: proxy.stats().up.received >= came)
        wait(lambda: proxy.stats().up.received == FLOWS * PACKETS + 1)
        for client in clients:
            client.close()
        return lines(proxy.log())


def of_bridge(models: dict[str, str], log) -> list[str]:
    options = [word for name, value in models.items() for word in (f"--up-{name}", value)]
    command = [sys.executable, "-m", "udpcore", "netem", "run", "-q", "--seed", str(SEED)]
    command += [*options, "--log", str(log), "--", sys.executable, "-c", SEND]
    subprocess.run(command, check=True, timeout=50)
    return lines(log.read_text(), HEADERS)


def digest(found: list[str]) -> str:
    sum_ = FNV_START
    for byte in "".join(f"{line}\n" for line in found).encode():
        sum_ = ((sum_ ^ byte) * FNV_PRIME) % 2**64
    return f"{sum_:016x}"


@pytest.mark.parametrize(("hash_", "models"), GOLDEN)
def test_the_three_drivers_agree(hash_, models, server, wait_until, tmp_path):
    simulated = of_simulator(models)
    assert len(simulated) == FLOWS * PACKETS
    assert of_relay(models, server, wait_until) == simulated
    assert of_bridge(models, tmp_path / "log") == simulated
    assert digest(simulated) == hash_


def test_a_hundred_runs_are_one():
    _, models = GOLDEN[-1]
    first = of_simulator(models)
    assert all(of_simulator(models) == first for _ in range(99))
