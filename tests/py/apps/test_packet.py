"""Anatomy: composed packets against the kernel and tcpdump, captures, raw sending."""

from __future__ import annotations

import doctest
import os
import socket
import subprocess
import sys

import pytest

import udpcore.packet
from udpcore import packet

IP = packet.IPv4(source="192.0.2.1", destination="192.0.2.2")
UDP = packet.UDP(source_port=5353, destination_port=53)


def test_the_examples_of_the_page():
    assert doctest.testmod(udpcore.packet).failed == 0


def test_what_is_composed_is_found_again():
    frame = (packet.Ethernet(source="02:00:00:00:00:01") / IP / UDP).build(b"hello")
    parsed = packet.parse(frame)
    assert [layer.protocol for layer in parsed.layers] == ["ethernet", "ipv4", "udp"]
    assert parsed["ethernet"].texts["source"] == "02:00:00:00:00:01"
    assert parsed["ipv4"].texts["destination"] == "192.0.2.2"
    assert parsed["udp"].fields["length"] == 13
    assert parsed["udp"].checksum == "good"
    assert parsed.payload == b"hello"
    assert "udp" in parsed
    assert "tcp" not in parsed
    with pytest.raises(KeyError, match="tcp"):
        parsed["tcp"]


def test_wrong_values_can_be_made_on_purpose_and_are_seen():
    bad = packet.parse((IP / packet.UDP(checksum=1)).build(b"x"), "ipv4")
    assert bad["udp"].checksum == "bad"
    assert bad["udp"].expected_checksum is not None
    assert "WRONG" in bad["udp"].show()
    with pytest.raises(ValueError, match="udp has no field"):
        packet.UDP(port=1).build()
    with pytest.raises(ValueError, match="does not fit 16 bits"):
        packet.UDP(source_port=65536).build()
    with pytest.raises(ValueError, match="unknown protocol"):
        packet.parse(b"", "sctp")


def test_drawings():
    parsed = packet.parse((IP / UDP).build(b"hi"), "ipv4")
    assert parsed["ipv4"].show().count("\n|") == 5
    assert "ttl = 64" in parsed.show()
    assert packet.hexdump(b"hi").startswith("0000  68 69 ")
    assert parsed.hexdump().count("\n") == 2


def test_tcpdump_agrees(tmp_path):
    """What we compose, tcpdump finds correct: IPv4 and IPv6, UDP, TCP, ICMP."""
    six = packet.IPv6(source="2001:db8::1", destination="2001:db8::2")
    packets = [
        (IP / UDP).build(b"hello"),
        (IP / packet.TCP(b"\x02\x04\x05\xb4", source_port=1, destination_port=2, syn=1)).build(),
        (IP / packet.ICMP(identifier=7, sequence=9)).build(b"ping"),
        (six / packet.UDP(source_port=1000, destination_port=2000)).build(b"odd"),
        (six / packet.ICMPv6(identifier=7)).build(b"ping"),
    ]
    path = tmp_path / "made.pcap"
    header = b"\xd4\xc3\xb2\xa1\x02\0\x04\0" + bytes(8) + b"\xff\xff\0\0" + b"\x65\0\0\0"
    records = b"".join(bytes(8) + len(data).to_bytes(4, "little") * 2 + data for data in packets)
    path.write_bytes(header + records)
    done = subprocess.run(
        ["tcpdump", "-nvvr", str(path)], capture_output=True, text=True, check=True, timeout=30
    )
    text = done.stdout
    assert "bad" not in text.replace("badopt", "")
    assert "incorrect" not in text
    assert text.count("udp sum ok") == 2
    assert "Flags [S], cksum" in text
    assert "ICMP echo request, id 7, seq 9" in text
    assert "[icmp6 sum ok] ICMP6, echo request" in text
    summaries = [record.packet.summary() for record in packet.open_capture(path)]
    assert summaries[0] == "ipv4 192.0.2.1 > 192.0.2.2 / udp 5353 > 53 / 5 bytes"
    assert all(
        layer.checksum in ("good", None)
        for record in packet.open_capture(path)
        for layer in record.packet.layers
    )


def test_what_tcpdump_captures_is_read(tmp_path, plain):
    path = tmp_path / "loopback.pcap"
    port = plain.getsockname()[1]
    words = ["tcpdump", "-i", "lo", "-U", "-c", "2", "-w", str(path), f"udp port {port}"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as tcpdump:
        assert tcpdump.stderr
        while "listening on" not in tcpdump.stderr.readline():
            pass
        for text in (b"one", b"two"):
            plain.sendto(text, plain.getsockname())
        tcpdump.wait(20)
    records = list(packet.open_capture(path))
    assert [record.packet.payload for record in records] == [b"one", b"two"]
    assert records[0].packet["udp"].fields["destination_port"] == port
    assert records[0].time_ns
    assert records[0].time_ns > 1_700_000_000 * 10**9


def test_damaged_and_other_files(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="not a capture"):
        list(packet.open_capture(path))


def test_raw_sending(lan):
    """A frame composed by hand arrives at an ordinary socket of another machine."""

    def listen() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("", 5007))
        return sock

    ip = packet.IPv4(source=lan.address("a"), destination=lan.address("b"))
    udp = packet.UDP(source_port=9, destination_port=5007)
    frame = (packet.Ethernet(destination="ff:ff:ff:ff:ff:ff") / ip / udp).build(b"by hand")
    with lan.inside("b", listen) as listener:
        listener.settimeout(20)
        assert lan.inside("a", lambda: packet.send(frame, "eth0")) == 14 + 20 + 8 + 7
        assert listener.recvfrom(100) == (b"by hand", (lan.address("a"), 9))


def test_raw_sending_without_the_right_names_it():
    code = "from udpcore import packet; packet.send(bytes(60), 'lo')"
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "PermissionError" in done.stderr
    assert "CAP_NET_RAW" in done.stderr


def test_nothing_in_a_packet_makes_it_fail():
    for size in range(0, 80, 7):
        data = os.urandom(size)
        for first in ("ethernet", "ipv4", "ipv6", "udp", "tcp"):
            packet.parse(data, first).show()
