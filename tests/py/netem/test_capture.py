"""Captures, read back by tshark: whole, without a warning, with the reason of every drop."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import warnings

import pytest

from udpcore import netem

PACKETS = 200
FIELDS = (
    "frame.interface_name",
    "ip.src",
    "udp.srcport",
    "udp.dstport",
    "udp.checksum.status",
    "ip.checksum.status",
    "frame.packet_id",
    "frame.comment",
    "udp.length",
)
CHECKSUM_GOOD = "1"


def tshark(path, *options):
    """Run tshark on a file, every checksum checked; a word on standard error is a failure."""
    checks = [f"-o{name}.check_checksum:TRUE" for name in ("ip", "udp", "tcp")]
    done = subprocess.run(
        ["tshark", "-n", "-r", path, *checks, *options],
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert not said, done.stderr
    return done.stdout


def rows(path, *options):
    """Every packet as a dict."""
    wanted = [word for name in FIELDS for word in ("-e", name)]
    lines = tshark(path, "-Tfields", *wanted, *options).splitlines()
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in lines]


@pytest.fixture
def captured(tmp_path, echo, client, wait_until):
    """The capture of a bad exchange, and the counters of its proxy."""
    path = tmp_path / "x.pcapng"
    up = netem.LinkOptions(loss="20%", duplicate="10%", reorder="5%")
    with netem.Proxy(echo, up=up, down={"delay": "1ms"}, seed=7, pcap=path) as proxy:
        for number in range(PACKETS):
            client.sendto(b"%d" % number * (number % 5), proxy.address)
        wait_until(lambda: proxy.stats().up.received == PACKETS)
        wait_until(lambda: proxy.stats().up.queued == 0)
        wait_until(lambda: proxy.stats().down.received == proxy.stats().up.delivered)
        wait_until(lambda: proxy.stats().down.queued == 0)
    return path, proxy.stats(), client.getsockname(), proxy


def test_both_sides_are_there_with_the_reason_of_every_drop(captured):
    path, stats, client, proxy = captured
    packets = rows(path)
    assert stats.up.dropped["loss"] > 0
    lost = [p for p in packets if p["frame.comment"].startswith("drop: loss (up flow 0 packet ")]
    assert len(lost) == stats.up.dropped["loss"]
    assert all(p["frame.interface_name"] == "client" for p in lost)

    def side(name, port):
        return [
            p
            for p in packets
            if p["frame.interface_name"] == name and p["udp.srcport"] == str(port)
        ]

    assert len(side("client", client[1])) == stats.up.received
    assert len(side("client", proxy.address[1])) == stats.down.delivered
    assert len(side("server", proxy.upstream[1])) == stats.down.received
    outside = len(packets) - stats.up.received - stats.down.received - stats.down.delivered
    assert outside == stats.up.delivered


def test_the_headers_are_right(captured):
    path, _, _, _ = captured
    packets = rows(path)
    assert {p["udp.checksum.status"] for p in packets} == {CHECKSUM_GOOD}
    assert {p["ip.checksum.status"] for p in packets} == {CHECKSUM_GOOD}
    assert {p["ip.src"] for p in packets} == {"127.0.0.1"}
    assert tshark(path, "-Y", "_ws.expert.severity >= 0x600000 || _ws.malformed") == ""


def test_the_copies_of_a_packet_have_one_number(captured):
    path, stats, _, _ = captured
    by_id = {}
    for packet in rows(path):
        by_id.setdefault(packet["frame.packet_id"], []).append(packet["frame.interface_name"])
    assert len(by_id) == stats.up.received + stats.down.received
    twice = [sides for sides in by_id.values() if sides == ["client", "server", "server"]]
    assert len(twice) == stats.up.duplicated


def test_ipv6_and_nobody_at_the_server(tmp_path, wait_until):
    path = tmp_path / "six.pcapng"
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as gone:
        gone.bind(("::1", 0))
        nobody = gone.getsockname()
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client,
        netem.Proxy(nobody, ("::1", 0), pcap=path, seed=1) as proxy,
    ):
        client.sendto(b"anybody there?", proxy.address)
        wait_until(lambda: proxy.stats().up.dropped["refused"] == 1)
    assert len(rows(path)) == 3
    refused = rows(path, "-Y", "icmpv6.type == 1 && icmpv6.code == 4")
    assert len(refused) == 1
    assert "refused" in refused[0]["frame.comment"]
    assert tshark(path, "-Y", "icmpv6.checksum.status == 0") == ""
    assert tshark(path, "-Y", "udp.checksum.status == 0 && !icmpv6") == ""


def test_what_is_on_its_way_at_the_end_is_not_sent(tmp_path, client, server, wait_until):
    path = tmp_path / "late.pcapng"
    with netem.Proxy(server.getsockname(), delay="1h", seed=1, pcap=path) as proxy:
        client.sendto(b"later", proxy.address)
        wait_until(lambda: proxy.stats().up.queued == 1)
    comments = [packet["frame.comment"] for packet in rows(path)]
    assert comments == ["", "not sent: closed (up flow 0)"]


def test_a_path_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot write the capture"):
        netem.Proxy(("127.0.0.1", 9), pcap=tmp_path / "no" / "x.pcapng")


def test_a_full_disk_is_said(server):
    with pytest.raises(OSError, match="cannot write the capture"):
        netem.Proxy(server.getsockname(), pcap="/dev/full")


def test_the_command_captures(tmp_path, client):
    path = tmp_path / "cli.pcapng"
    command = [sys.executable, "-m", "udpcore", "netem", "relay", "--listen", "127.0.0.1:0"]
    options = ["--upstream", "127.0.0.1:9", "--loss", "100%", "--seed", "3", "--pcap", str(path)]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        port = int(process.stderr.readline().split()[2].rpartition(":")[2])
        client.sendto(b"lost", ("127.0.0.1", port))
        while b"drop: loss" not in path.read_bytes():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert [p["frame.comment"] for p in rows(path)] == ["drop: loss (up flow 0 packet 0)"]


BRIDGE = """
import json, signal, socket, subprocess, sys
def ip(*words):
    subprocess.run(["ip", *words], check=True)
for which in ("all", "default"):
    open(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6", "w").write("1")
for end, far in (("left", "one"), ("right", "two")):
    ip("link", "add", end, "type", "veth", "peer", "name", far)
    for name in (end, far):
        ip("link", "set", name, "up")
ip("address", "add", "10.78.0.1/24", "dev", "one")
shown = subprocess.check_output(["ip", "-json", "link", "show", "dev", "two"])
mac = json.loads(shown)[0]["address"]
ip("neighbour", "add", "10.78.0.2", "lladdr", mac, "dev", "one")
far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
far.bind(("two", 0x0800))
words = [sys.executable, "-m", "udpcore", "netem", "bridge", "--left", "left", "--right", "right",
         "--seed", "7", "--loss", "30%", "--pcap", sys.argv[1], "--json"]
with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as bridge:
    assert bridge.stderr.readline().startswith("netem bridge"), bridge.stderr.read()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(50):
            sock.sendto(b"a datagram", ("10.78.0.2", 4000))
        # The last word is said until it comes through.
        far.settimeout(0.1)
        heard = b""
        while not heard.endswith(b"end"):
            sock.sendto(b"end", ("10.78.0.2", 4000))
            try:
                heard = far.recv(2000)
            except TimeoutError:
                pass
    bridge.send_signal(signal.SIGINT)
    bridge.wait(20)
"""


def test_a_bridge_captures_frames_with_whole_checksums(tmp_path):
    path = tmp_path / "bridge.pcapng"
    words = ["unshare", "--net", sys.executable, "-c", BRIDGE, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    packets = rows(path)
    left = [packet for packet in packets if packet["frame.interface_name"] == "left"]
    right = [packet for packet in packets if packet["frame.interface_name"] == "right"]
    lost = [packet for packet in left if packet["frame.comment"].startswith("drop: loss (up flow")]
    assert len(left) == summary["up"]["received"]
    assert len(lost) == summary["up"]["dropped"]["loss"] > 0
    assert len(right) == summary["up"]["delivered"] > 0
    assert {packet["udp.checksum.status"] for packet in packets} == {CHECKSUM_GOOD}


def test_no_capture_says_nothing(server):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        netem.Proxy(server.getsockname()).close()
