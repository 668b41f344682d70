"""``netem bridge`` and frames as they are: tags, offloads, checksums, programs, too many at once.

Needs root and the Debian packages iproute2, iperf3, nsd and bind9-dnsutils.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest
from wire_support import ADDRESSES, ip

#: What a receiver counts when a checksum is wrong.
CHECKSUM_ERRORS = ("TcpInCsumErrors", "UdpInCsumErrors", "IcmpInCsumErrors", "Udp6InCsumErrors")
RECEIVED = ("TcpInSegs", "UdpInDatagrams", "Udp6InDatagrams")


def counters(wire, side):
    """The protocol counters of a namespace, by name."""
    code = """
    import pathlib
    for name in ("netstat", "snmp"):
        lines = pathlib.Path("/proc/net", name).read_text().splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            kind, *names = names.replace(":", "").split()
            for name, value in zip(names, values.split()[1:]):
                print(kind + name, value)
    print(pathlib.Path("/proc/net/snmp6").read_text())
    """
    done = wire.run(side, [sys.executable, "-c", textwrap.dedent(code)])
    pairs = (line.split() for line in done.stdout.splitlines() if line)
    return {name: int(value) for name, value in pairs}


def assert_no_checksum_errors(wire):
    for side in ("a", "b"):
        seen = counters(wire, side)
        assert side == "a" or sum(seen[name] for name in RECEIVED) > 0
        for name in CHECKSUM_ERRORS:
            assert seen.get(name, 0) == 0, f"{name} in {side}"


def iperf(wire, *options, target=ADDRESSES["b"][0]):
    """Run iperf3 from a to b and return its report."""
    server = wire.start("b", ["iperf3", "-s", "-1", "--forceflush"])
    while "listening" not in server.stdout.readline():
        assert server.poll() is None
    done = wire.run("a", ["iperf3", "-c", target, "--json", *options])
    report = json.loads(done.stdout)
    assert "error" not in report, report["error"]
    return report["end"]


@pytest.mark.parametrize("backend", ["packet", "pnet"])
@pytest.mark.parametrize("address", ADDRESSES["b"])
def test_iperf3_both_ways_without_a_checksum_error(wire, backend, address):
    bridge = wire.bridge("--backend", backend, "--seed", "7")
    for options in (["-n", "20M"], ["-n", "20M", "-R"]):
        assert iperf(wire, *options, target=address)["sum_received"]["bytes"] > 15e6
    udp = iperf(wire, "-u", "-n", "5M", "-b", "50M", "-l", "1400", target=address)["sum"]
    assert udp["packets"] > 3000
    assert udp["lost_percent"] < 10
    assert_no_checksum_errors(wire)
    summary = wire.finish(bridge)
    assert summary["frames_cut"] > 0
    assert summary["receive_errors"] == 0


def test_what_stays_together_leaves_together(wire):
    """With a delay and some loss, TCP still travels in large frames, decided packet by packet."""
    bridge = wire.bridge("--delay", "2ms", "--up-loss", "0.1%", "--seed", "7")
    iperf(wire, "-n", "20M")
    assert_no_checksum_errors(wire)
    received = wire.run("b", ["ip", "-s", "-j", "link", "show", "eth0"])
    frames = json.loads(received.stdout)[0]["stats64"]["rx"]["packets"]
    summary = wire.finish(bridge)
    assert summary["up"]["dropped"]["loss"] > 0
    assert summary["up"]["delivered"] > 12_000
    assert frames < summary["up"]["delivered"] / 2


SEND_BLOCKS = """
    import socket
    sock = socket.socket(socket.{family}, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_UDP, 103, 1000)  # UDP_SEGMENT
    for number in range(20):
        data = b"".join((50 * number + part).to_bytes(4, "big") * 250 for part in range(50))
        sock.sendto(data, ("{address}", 7001))
    sock.setsockopt(socket.SOL_UDP, 103, 0)
    for _ in range(20):
        sock.sendto(b"end", ("{address}", 7001))
"""


@pytest.mark.parametrize(("family", "place"), [("AF_INET", 0), ("AF_INET6", 1)])
def test_udp_in_blocks_is_decided_datagram_by_datagram(wire, family, place):
    """UDP GSO: one frame of 50 datagrams, some of which are lost, and not all or none."""
    bridge, server = wire.bridge("--up-loss", "10%", "--seed", "7"), wire.server()
    address = ADDRESSES["b"][place]
    wire.run("a", ["ping", "-c", "1", address])
    wire.ask(server, "udp")
    wire.client(SEND_BLOCKS.format(family=family, address=address))
    numbers = [int(word) for word in server.stdout.readline().split()]
    assert numbers == sorted(set(numbers))
    assert 820 < len(numbers) < 980
    for block in range(20):
        assert any(number // 50 == block for number in numbers)
    assert_no_checksum_errors(wire)
    assert wire.finish(bridge)["frames_cut"] >= 20


RAW_ECHO = """
    import socket
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind(("eth0", 0))
    sock.setsockopt(263, 8, 1)  # PACKET_AUXDATA: the tag, when the system took it off
    sock.settimeout(20)
    print("ready", flush=True)
    while True:
        data, control, flags, address = sock.recvmsg(70_000, 256)
        if address[2] == 4 or b"netem test" not in data:
            continue
        aux = next(bytes_ for level, kind, bytes_ in control if (level, kind) == (263, 8))
        status = int.from_bytes(aux[:4], "little")
        tci, tpid = (int.from_bytes(aux[at : at + 2], "little") for at in (16, 18))
        tag = tpid.to_bytes(2, "big") + tci.to_bytes(2, "big") if status & 16 else b""
        print((data[:12] + tag + data[12:]).hex(), flush=True)
"""


@pytest.mark.parametrize(
    "kind",
    [
        "8100 2005 0800",  # a tag with a priority
        "88a8 0007 8100 0009 0800",  # a tag in a tag
        "8100 0005 88cc",  # LLDP behind a tag
        "88b5",  # an experimental protocol, IEEE 802
        "8863",  # PPPoE discovery
    ],
)
def test_frames_made_by_the_test_arrive_byte_for_byte(wire, kind):
    bridge = wire.bridge("--seed", "7")
    listener = wire.start("b", [sys.executable, "-c", textwrap.dedent(RAW_ECHO)])
    assert listener.stdout.readline() == "ready\n"
    head = bytes.fromhex("ffffffffffff 020000000001" + kind)
    frame = head + b"netem test" + bytes(range(200))
    wire.client(
        f"""
        import socket
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sock.bind(("eth0", 0))
        sock.send(bytes.fromhex("{frame.hex()}"))
        """
    )
    assert listener.stdout.readline().strip() == frame.hex()
    wire.finish(bridge)


SEND_LARGE = """
    import socket, struct
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(263, 15, 1)  # PACKET_VNET_HDR
    sock.bind(("eth0", 0))
    payload = b"netem test" + bytes(number // 16 % 256 for number in range(19_990))
    tcp = struct.pack(">HHIIHHHH", 1, 2, 1000, 0, 0x5018, 1000, 0, 0)
    addresses = bytes([10, 77, 0, 1, 10, 77, 0, 2])
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0) + addresses
    total = sum(struct.unpack(">10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip = ip[:10] + struct.pack(">H", 0xFFFF ^ total) + ip[12:]
    head = bytes.fromhex("ffffffffffff 020000000001 8100 2005 0800")
    # One frame of twenty segments behind a tag: checksum to be computed, to be cut (TSO).
    virtio = struct.pack("=BBHHHH", 1, 1, 58, 1000, 38, 16)
    sock.send(virtio + head + ip + tcp + payload)
"""


def test_a_large_tagged_frame_is_cut_where_a_packet_is_lost(wire):
    """What arrives is what a wire that lost a few packets would have carried, tag and all."""
    bridge = wire.bridge("--up-loss", "20%", "--seed", "7")
    listener = wire.start("b", [sys.executable, "-c", textwrap.dedent(RAW_ECHO).replace(
        'b"netem test" not in data', "data[12:14] != b'\\x08\\0'")])  # fmt: skip
    assert listener.stdout.readline() == "ready\n"
    wire.client(SEND_LARGE)
    payload = b"netem test" + bytes(number // 16 % 256 for number in range(19_990))
    came = set()
    while 19 not in came:
        frame = bytes.fromhex(listener.stdout.readline())
        assert frame[12:18].hex() == "810020050800"
        length, first = int.from_bytes(frame[20:22]), int.from_bytes(frame[42:46]) - 1000
        data = frame[58:]
        assert length == 40 + len(data)
        assert data == payload[first : first + len(data)]
        assert (frame[51] & 8 != 0) == (first + len(data) == len(payload)), "PSH on the last only"
        came |= set(range(first // 1000, (first + len(data)) // 1000))
    summary = wire.finish(bridge)
    assert summary["frames_cut"] == 1
    assert len(came) == 20 - summary["up"]["dropped"]["loss"]
    assert 0 < summary["up"]["dropped"]["loss"] < 10


def test_dig_asks_a_name_server_across(wire, tmp_path):
    """NSD in b, dig in a, by UDP and by TCP, with some loss that dig repeats over."""
    (tmp_path / "zone").write_text(
        "$ORIGIN example.\n@ 60 IN SOA ns. root. 1 60 60 60 60\n@ IN NS ns.\nwww IN A 192.0.2.1\n"
    )
    config = f"""
        server: ip-address: 10.77.0.2
                username: ""
                chroot: ""
                zonesdir: "{tmp_path}"
                pidfile: ""
                database: ""
                xfrdfile: "{tmp_path}/xfrd"
                xfrdir: "{tmp_path}"
        remote-control: control-enable: no
        zone: name: example
              zonefile: zone
    """
    (tmp_path / "nsd.conf").write_text(config)
    nsd = shutil.which("nsd", path="/usr/sbin:/sbin:/usr/bin")
    bridge = wire.bridge("--delay", "5ms", "--up-loss", "20%", "--seed", "7")
    wire.start("b", [nsd, "-d", "-c", str(tmp_path / "nsd.conf")])
    for transport in ("+notcp", "+tcp"):
        words = ["dig", "@10.77.0.2", "www.example", transport, "+tries=20", "+timeout=1", "+short"]
        done = wire.run("a", words)
        assert done.stdout.splitlines()[-1:] == ["192.0.2.1"], done.stdout
    wire.finish(bridge)


def test_too_many_frames_are_counted_apart_from_the_emulated_ones(wire):
    """A bridge that sleeps while frames come knows afterwards how many it missed."""
    bridge = wire.bridge("--up-loss", "10%", "--seed", "7")
    server = wire.server()
    wire.run("a", ["ping", "-c", "1", "10.77.0.2"])

    def came():
        shown = wire.run("mid", ["ip", "-s", "-j", "link", "show", "left"]).stdout
        return json.loads(shown)[0]["stats64"]["rx"]["packets"]

    pid = re.search(r"\d+", wire.run("mid", ["ip", "netns", "pids", wire.names["mid"]]).stdout)
    assert pid
    bridge.send_signal(signal.SIGSTOP)
    before = came()
    wire.client(
        """
        import socket
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(60_000):
            sock.sendto(bytes(100), ("10.77.0.2", 9))
        """
    )
    assert came() - before >= 60_000
    bridge.send_signal(signal.SIGCONT)
    wire.run("a", ["ping", "-c", "3", "-i", "0.2", "10.77.0.2"])
    total = came()
    summary = wire.finish(bridge)
    assert summary["up"]["dropped"]["relay-overrun"] > 1000
    assert summary["up"]["dropped"]["loss"] > 500
    # Each packet that came to the interface after the bridge had begun, neither more nor less;
    # a few neighbour discoveries came before it.
    assert 0 <= total - summary["up"]["received"] <= 20
    server.kill()


def test_a_kernel_bridge_beside_it_carries_the_same(wire):
    """The reference: what passes there passes here, in the same time within an order."""
    mid = wire.names["mid"]
    reports = {}
    bridge = wire.bridge("--seed", "7")
    reports["netem"] = iperf(wire, "-n", "50M")
    wire.finish(bridge)
    ip("-n", mid, "link", "add", "br0", "type", "bridge", "forward_delay", "0")
    for end in ("left", "right"):
        ip("-n", mid, "link", "set", end, "master", "br0")
    ip("-n", mid, "link", "set", "br0", "up")
    reports["kernel"] = iperf(wire, "-n", "50M")
    sums = {name: report["sum_received"]["bytes"] for name, report in reports.items()}
    assert abs(sums["netem"] - sums["kernel"]) < 0.2 * sums["kernel"]
    assert_no_checksum_errors(wire)


def test_without_rights_for_the_pnet_backend_too(wire):
    drop = "import ctypes, os, sys; libc = ctypes.CDLL(None); "
    drop += "assert libc.prctl(24, 13, 0, 0, 0) == 0; os.execv(sys.argv[1], sys.argv[1:])"
    words = [sys.executable, "-m", "udpcore", "netem", "bridge", "--left", "left"]
    words += ["--right", "right", "--backend", "pnet"]
    done = wire.run("mid", [sys.executable, "-c", drop, *words])
    assert done.returncode == 2, done.stderr
    assert "capability CAP_NET_RAW is missing" in done.stderr


def test_wrong_backend(wire):
    words = [sys.executable, "-m", "udpcore", "netem", "bridge", "--left", "left"]
    done = subprocess.run([*words, "--backend", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "[possible values: packet, pnet]" in done.stderr
