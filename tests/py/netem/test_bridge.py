"""``netem bridge`` between two network namespaces: ping, UDP, TCP, drop, reorder, duplicate.

Needs root and the Debian packages iproute2 and iputils-ping; a missing one is a failure.

Each test gets two namespaces, a and b, each with one end of a veth pair; the bridge joins the
other two ends.
"""

from __future__ import annotations

import hashlib
import re
import sys

import pytest
from wire_support import ADDRESSES, COMMAND, ip

SEND_UDP = """
    import socket, time
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for number in range({count}):
        sock.sendto(number.to_bytes(4, "big") + bytes({size}), ("10.77.0.2", 7001))
        time.sleep(0.0002)
    time.sleep({pause})
    for _ in range({ends}):
        sock.sendto(b"end", ("10.77.0.2", 7001))
"""


def udp_numbers(wire, server, count=500, size=100, pause=0.2, ends=1):
    wire.ask(server, "udp")
    wire.client(SEND_UDP.format(count=count, size=size, pause=pause, ends=ends))
    return [int(word) for word in server.stdout.readline().split()]


@pytest.mark.parametrize("version", ["-4", "-6"])
def test_ping_passes(wire, version):
    bridge = wire.bridge("--delay", "10ms", "--seed", "7")
    target = ADDRESSES["b"][version == "-6"]
    done = wire.run("a", ["ping", version, "-c", "3", "-i", "0.05", "-W", "5", target])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 received" in done.stdout
    fastest = re.search(r"= ([\d.]+)/", done.stdout)
    assert fastest
    assert float(fastest[1]) >= 20.0, "10 ms each way, never early"
    assert wire.finish(bridge)["flows"] >= 1


@pytest.mark.parametrize("address", ["10.77.0.2", "fd77::2"])
def test_tcp_passes_with_the_offloads_as_they_are(wire, address):
    """64 KiB segments and unfinished checksums arrive at a bridge on veth: both are handled."""
    bridge, server = wire.bridge("--seed", "7"), wire.server()
    wire.ask(server, "tcp")
    wire.client(
        f"""
        import socket
        with socket.create_connection(("{address}", 7000), timeout=10) as conn:
            conn.sendall(bytes(range(256)) * 40_000)
        """
    )
    size, digest = server.stdout.readline().split()
    assert int(size) == 256 * 40_000
    assert digest == hashlib.sha256(bytes(range(256)) * 40_000).hexdigest()
    summary = wire.finish(bridge)
    assert summary["frames_cut"] > 0, "the sender left segments to be cut"
    assert summary["up"]["received"] > 256 * 40_000 / 1448, "decided per packet of the wire"
    assert summary["up"]["dropped"]["send-failed"] == 0


def test_tcp_survives_a_bad_wire(wire):
    bad = ["--loss", "1%", "--reorder", "1%", "--duplicate", "1%", "--delay", "1ms", "--seed", "7"]
    bridge, server = wire.bridge(*bad), wire.server()
    wire.ask(server, "tcp")
    wire.client(
        """
        import socket
        with socket.create_connection(("10.77.0.2", 7000), timeout=10) as conn:
            conn.sendall(bytes(range(256)) * 4_000)
        """
    )
    assert int(server.stdout.readline().split()[0]) == 256 * 4_000
    summary = wire.finish(bridge)
    assert summary["up"]["dropped"]["loss"] > 0


def test_udp_passes_in_order(wire):
    bridge, server = wire.bridge("--jitter", "2ms", "--delay", "2ms"), wire.server()
    wire.meet()
    assert udp_numbers(wire, server) == list(range(500))
    wire.finish(bridge)


def test_drop_duplicate_and_reorder_do_what_they_say(wire):
    bad = ["--up-loss", "10%", "--up-duplicate", "5%", "--up-reorder", "5%", "--seed", "7"]
    bridge, server = wire.bridge(*bad), wire.server()
    wire.meet()
    numbers = udp_numbers(wire, server, count=1000, ends=20)
    summary = wire.finish(bridge)
    lost = set(range(1000)) - set(numbers)
    assert 50 < len(lost) < 150
    assert summary["up"]["dropped"]["loss"] >= len(lost)
    assert len(numbers) > len(set(numbers)), "some came twice"
    first_seen = list(dict.fromkeys(numbers))
    assert first_seen != sorted(first_seen), "some were overtaken"


def test_the_same_seed_gives_the_same_decisions(wire, tmp_path):
    """What is not of the test's own flow (neighbour discovery) is logged as flow `other`."""
    server = wire.server()
    runs = []
    for number in range(2):
        log = tmp_path / f"{number}.log"
        bad = ["--up-loss", "20%", "--up-duplicate", "10%", "--seed", "7", "--log", str(log)]
        bridge = wire.bridge(*bad)
        # The other side's answer to ARP must not be needed anew in the middle.
        wire.run("a", ["ping", "-c", "20", "-i", "0.01", "-W", "1", "10.77.0.2"])
        udp_numbers(wire, server, count=300, ends=20)
        wire.finish(bridge)
        lines = [line.split() for line in log.read_text().splitlines()]
        # Flow 0 is the ping, flow 1 the datagrams.
        runs.append([words for words in lines if words[:2] == ["up", "1"]])
    assert runs[0] == runs[1]
    assert len(runs[0]) == 320


def test_an_interface_that_goes_away_ends_it_with_a_message(wire):
    bridge = wire.bridge()
    ip("-n", wire.names["mid"], "link", "delete", "left")
    _, err = bridge.communicate(timeout=20)
    assert bridge.returncode == 1
    assert 'interface "left" is gone' in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--left", "nosuch", "--right", "right"], 'no interface "nosuch" here: there are '),
        (["--left", "left", "--right", "left"], 'two interfaces, "left" was given twice'),
        (["--left", "left", "--right", "lo"], 'interface "lo" is down: ip link set lo up'),
        (["--left", "left"], "--right <INTERFACE>"),
    ],
)
def test_wrong_interfaces_are_explained(wire, options, message):
    command = [sys.executable, "-m", "udpcore", "netem", "bridge", *options]
    done = wire.run("mid", command)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_without_rights_it_names_the_capability(wire):
    drop = "import ctypes, os, sys; libc = ctypes.CDLL(None); "
    # PR_CAPBSET_DROP of CAP_NET_RAW, then run the command anew without it.
    drop += "assert libc.prctl(24, 13, 0, 0, 0) == 0; os.execv(sys.argv[1], sys.argv[1:])"
    done = wire.run("mid", [sys.executable, "-c", drop, *COMMAND])
    assert done.returncode == 2, done.stderr
    assert "capability CAP_NET_RAW is missing" in done.stderr
