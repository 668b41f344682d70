"""Two network namespaces with a gap between, for the tests of the bridge.

Needs root and the Debian package iproute2. The bridge runs in a third namespace, which has the far
ends of both veth pairs, so that nothing of the machine's own network is touched. Namespaces are
deleted whatever happens, and with them their interfaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

COMMAND = [sys.executable, "-m", "udpcore", "netem", "bridge", "--left", "left", "--right", "right"]
ADDRESSES = {"a": ("10.77.0.1", "fd77::1"), "b": ("10.77.0.2", "fd77::2")}

SERVER = """
    import hashlib, socket
    tcp = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
    udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    udp.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    udp.bind(("::", 7001))
    print("ready", flush=True)
    while True:
        what = input()
        if what == "tcp":
            conn, _ = tcp.accept()
            digest, size = hashlib.sha256(), 0
            while data := conn.recv(1 << 16):
                digest.update(data)
                size += len(data)
            print(size, digest.hexdigest(), flush=True)
        elif what == "udp":
            udp.settimeout(10)
            numbers = []
            while (data := udp.recv(2048)) != b"end":
                numbers.append(int.from_bytes(data[:4], "big"))
            print(*numbers, flush=True)
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Wire:
    """Two namespaces and what joins them."""

    def __init__(self, tag):
        self.names = {side: f"netem-{tag}-{side}" for side in ("a", "b", "mid")}
        self.processes = []

    def build(self):
        for name in self.names.values():
            ip("netns", "add", name)
        for side, end in (("a", "left"), ("b", "right")):
            here, mid = self.names[side], self.names["mid"]
            veth = ["veth", "peer", "name", end, "netns", mid]
            ip("-n", here, "link", "add", "eth0", "type", *veth)
            v4, v6 = ADDRESSES[side]
            ip("-n", here, "address", "add", f"{v4}/24", "dev", "eth0")
            ip("-n", here, "address", "add", f"{v6}/64", "dev", "eth0", "nodad")
            for name, interface in ((here, "lo"), (here, "eth0"), (mid, end)):
                ip("-n", name, "link", "set", interface, "up")

    def start(self, side, command, **options):
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.names[side], *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.processes.append(process)
        return process

    def run(self, side, command):
        words = ["ip", "netns", "exec", self.names[side], *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=40, check=False)

    def bridge(self, *options):
        process = self.start("mid", [*COMMAND, "--json", *options])
        line = process.stderr.readline()
        assert line.startswith("netem bridge left -> right, seed "), line + process.stderr.read()
        return process

    def server(self):
        """A server in b that hashes what comes by TCP, and lists what comes by UDP."""
        process = self.start("b", [sys.executable, "-c", textwrap.dedent(SERVER)])
        assert process.stdout.readline() == "ready\n"
        return process

    def ask(self, server, what):
        server.stdin.write(f"{what}\n")
        server.stdin.flush()

    def client(self, code):
        done = self.run("a", [sys.executable, "-c", textwrap.dedent(code)])
        assert done.returncode == 0, done.stderr

    def meet(self):
        """Make the neighbours known: until they are, the kernel keeps some packets and drops the
        rest, and on a busy machine that may take long."""
        done = self.run("a", ["ping", "-c", "1", "-w", "20", ADDRESSES["b"][0]])
        assert done.returncode == 0, done.stdout + done.stderr

    def finish(self, bridge):
        """End the bridge and return its summary."""
        bridge.send_signal(signal.SIGINT)
        out, err = bridge.communicate(timeout=20)
        assert bridge.returncode == 130, err
        summary = json.loads(out)
        for way in ("up", "down"):
            side = summary[way]
            went = side["delivered"] + sum(side["dropped"].values()) + side["queued"]
            assert side["received"] + side["duplicated"] == went
        return summary

    def remove(self):
        for process in self.processes:
            process.kill()
            process.communicate()
        for name in self.names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@contextlib.contextmanager
def two_namespaces():
    """Two namespaces with a gap between, removed whatever happens."""
    wire = Wire(f"{os.getpid()}-{time.monotonic_ns() % 1_000_000}")
    try:
        wire.build()
        yield wire
    finally:
        wire.remove()
