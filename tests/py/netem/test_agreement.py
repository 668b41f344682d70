"""Simulator, relay and bridge take the same decisions for the same packets and the same seed.

In canonical order (direction, flow, ordinal), for every model that does not depend on time. The
bridge is that of ``netem run`` and needs root; it sees frames, 42 bytes longer than datagrams.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys

import pytest

from udpcore import netem

FLOWS, PACKETS, SEED = 3, 300, 7
#: Ethernet, IPv4 and UDP.
HEADERS = 14 + 20 + 8
MODELS = [
    {"loss": "10%"},
    {"loss": "gemodel 2% 20%", "duplicate": "5%"},
    {"loss": "state 1%", "corrupt": "3%", "truncate": "1% to 20B"},
    {"loss": "list 3,7-9", "delay": "2ms", "jitter": "1ms", "reorder": "2%"},
]
#: What the lines of the packets hash to, on every machine and in every build; see `digest`.
GOLDEN = ["fb27e46c9f800a9f", "4c04605496a462c3", "93bd5b69238eaece", "f4f320aac476f52a"]

SEND = f"""
import os, socket, subprocess, sys
server = os.environ["NETEM_SERVER"]
# Flow 0, and one only: a second ping would be a second flow. The neighbour is known before the
# packets that count.
subprocess.run(["ping", "-c", "1", "-w", "30", server], stdout=subprocess.DEVNULL, check=True)
for flow in range({FLOWS}):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range({PACKETS}):
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
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


@pytest.mark.parametrize("number", range(len(MODELS)))
def test_the_three_drivers_agree(number, server, wait_until, tmp_path):
    simulated = of_simulator(MODELS[number])
    assert len(simulated) == FLOWS * PACKETS
    assert of_relay(MODELS[number], server, wait_until) == simulated
    assert of_bridge(MODELS[number], tmp_path / "log") == simulated
    assert digest(simulated) == GOLDEN[number]


def test_a_hundred_runs_are_one():
    assert len({digest(of_simulator(MODELS[3])) for _ in range(100)}) == 1
