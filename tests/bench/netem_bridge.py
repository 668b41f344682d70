"""How fast ``netem bridge`` is between two veth pairs: TCP by iperf3, UDP by 64-byte datagrams.

    python tests/bench/netem_bridge.py [--json] [--rounds N] [--seconds S]

Beside it in the same run, round by round: a plain ``pnet`` loop (netem/examples/pnet_loop.rs),
``netem bridge --backend pnet``, and the kernel's own bridge. Each with the offloads it can carry:
netem and the kernel carry TSO, UDP GSO and unfinished checksums, so nothing is switched off; the
plain loop loses them, so transmit checksums, TSO and GSO are off at both ends (and for the row
"no offloads" they are off for everybody). Needs root, iproute2 and iperf3; touches nothing but
three network namespaces of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = {side: f"nb-{os.getpid()}-{side}" for side in ("a", "b", "mid")}
ADDRESS = {"a": "10.77.0.1", "b": "10.77.0.2"}
#: ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO of linux/ethtool.h
OFFLOADS = (0x17, 0x1F, 0x24)
SET_OFFLOADS = """
import array, fcntl, socket, struct, sys
value = int(sys.argv[1])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for command in {commands}:
    data = array.array("B", struct.pack("=II", command, value))
    request = struct.pack("16sP16x", b"eth0", data.buffer_info()[0])
    try:
        fcntl.ioctl(sock, 0x8946, request)
    except OSError as error:
        print(hex(command), error, file=sys.stderr)
"""
UDP_SINK = """
import socket, struct, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
sock.bind(("0.0.0.0", 7001))
sock.settimeout(10)
print("ready", flush=True)
count = 0
sock.recv(2048)
begin = last = time.perf_counter()
sock.settimeout(0.3)
try:
    while True:
        sock.recv(2048)
        count += 1
        last = time.perf_counter()
except TimeoutError:
    print(count / (last - begin))
"""


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


def inside(side: str, command: list[str], **options: object) -> subprocess.Popen[str]:
    """Start a command in a namespace."""
    words = ["ip", "netns", "exec", NAMES[side], *command]
    return subprocess.Popen(words, text=True, **options)  # type: ignore[call-overload]


def run(side: str, command: list[str]) -> str:
    """Run a command in a namespace and return what it prints."""
    with inside(side, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=60)
    if process.returncode:
        raise RuntimeError(f"{command}: {err or out}")
    return out


def set_offloads(on: bool) -> None:
    """Switch what a sender may leave to the hardware, at both ends."""
    for side in ("a", "b"):
        code = SET_OFFLOADS.format(commands=OFFLOADS if on else OFFLOADS[::-1])
        run(side, [sys.executable, "-c", code, str(int(on))])


@contextlib.contextmanager
def namespaces() -> Iterator[None]:
    """Two ends, and a third namespace that has the far ends of their veth pairs."""
    try:
        for name in NAMES.values():
            ip("netns", "add", name)
        for side, end in (("a", "left"), ("b", "right")):
            here, mid = NAMES[side], NAMES["mid"]
            ip("-n", here, "link", "add", "eth0", "type", "veth", "peer", "name", end, "netns", mid)
            ip("-n", here, "address", "add", f"{ADDRESS[side]}/24", "dev", "eth0")
            for name, interface in ((here, "lo"), (here, "eth0"), (mid, end)):
                ip("-n", name, "link", "set", interface, "up")
        yield
    finally:
        for name in NAMES.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@contextlib.contextmanager
def kernel_bridge() -> Iterator[None]:
    """Join the ends by the kernel's own bridge."""
    mid = NAMES["mid"]
    ip("-n", mid, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
    for end in ("left", "right"):
        ip("-n", mid, "link", "set", end, "master", "br0")
    ip("-n", mid, "link", "set", "br0", "up")
    try:
        yield
    finally:
        ip("-n", mid, "link", "delete", "br0")


@contextlib.contextmanager
def program(command: list[str]) -> Iterator[None]:
    """Join the ends by a program."""
    with inside("mid", command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def tcp_gbit(seconds: float) -> float:
    """One TCP stream from a to b, as iperf3 sees it arrive; the first second is left out."""
    server = ["iperf3", "-s", "-1"]
    with inside("b", server, stdout=subprocess.DEVNULL) as listener:
        time.sleep(0.3)
        words = ["iperf3", "-c", ADDRESS["b"], "-t", str(seconds), "-O", "1", "--json"]
        report = json.loads(run("a", words))
        listener.wait(10)
    return float(report["end"]["sum_received"]["bits_per_second"]) / 1e9


def udp_thousands(seconds: float) -> float:
    """64-byte datagrams that arrive in a second, in thousands."""
    with inside("b", [sys.executable, "-c", UDP_SINK], stdout=subprocess.PIPE) as sink:
        assert sink.stdout
        sink.stdout.readline()
        code = f"""
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.connect(("{ADDRESS["b"]}", 7001))
end, data = time.perf_counter() + {seconds}, bytes(64)
while time.perf_counter() < end:
    for _ in range(64):
        sock.send(data)
"""
        run("a", [sys.executable, "-c", code])
        return float(sink.stdout.readline()) / 1e3


def main() -> None:
    """Run all rounds and print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    build = ["cargo", "build", "-q", "--release", "-p", "netem", "--bins", "--example", "pnet_loop"]
    subprocess.run(build, cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    netem = [str(target / "netem"), "bridge", "--left", "left", "--right", "right"]
    plain = [str(target / "examples" / "pnet_loop"), "left", "right"]
    delayed = [*netem, "--delay", "1ms", "--loss", "0.01%", "--seed", "7"]
    #: (name, how the ends are joined, whether offloads are on)
    variants = [
        ("kernel bridge", kernel_bridge, True),
        ("netem", lambda: program(netem), True),
        ("netem, 1 ms and 0.01 % loss", lambda: program(delayed), True),
        ("netem --backend pnet", lambda: program([*netem, "--backend", "pnet"]), True),
        ("plain pnet loop", lambda: program(plain), False),
        ("netem, no offloads", lambda: program(netem), False),
        ("kernel bridge, no offloads", kernel_bridge, False),
    ]
    tcp: dict[str, list[float]] = {name: [] for name, _, _ in variants}
    udp: dict[str, list[float]] = {name: [] for name, _, _ in variants}
    with namespaces():
        for _ in range(options.rounds):
            for name, join, offloads in variants:
                set_offloads(offloads)
                with join():
                    time.sleep(0.3)
                    run("a", ["ping", "-c", "1", "-W", "2", ADDRESS["b"]])
                    tcp[name].append(tcp_gbit(options.seconds))
                    udp[name].append(udp_thousands(options.seconds / 2))
    fast = {name: statistics.median(values) for name, values in tcp.items()}
    small = {name: statistics.median(values) for name, values in udp.items()}
    for name in fast:
        print(f"{name:<30}{fast[name]:>8.2f} Gbit/s TCP {small[name]:>8.1f} thousand datagrams/s")
    rows = []
    for work, of, peer, bar in (
        (
            "TCP veth to veth, beside a plain pnet loop (its offloads off)",
            fast,
            "plain pnet loop",
            7,
        ),
        ("TCP veth to veth, beside the kernel bridge", fast, "kernel bridge", 0.6),
        ("UDP 64 B, beside a plain pnet loop (its offloads off)", small, "plain pnet loop", None),
        ("UDP 64 B, beside the kernel bridge", small, "kernel bridge", None),
    ):
        ours, theirs = of["netem"], of[peer]
        unit = "Gbit/s" if of is fast else "thousand/s"
        rows.append({"work": work, "ours": round(ours, 2), "peer": round(theirs, 2), "unit": unit,
                     "ratio": round(ours / theirs, 2), "bar": bar})  # fmt: skip
    if options.json:
        print(json.dumps({"subject": "netem bridge", "rows": rows}))


if __name__ == "__main__":
    main()
