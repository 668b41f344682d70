"""The Wireshark dissector, by tshark, over what udpcore really sends."""

from __future__ import annotations

import shutil
import struct
import subprocess
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from udpcore import netem
from udpcore.reliable import connect, listen

#: tshark's number for packets that begin with their IP header.
LINKTYPE_RAW = 101


def tshark(capture: Path, *words: str) -> list[list[str]]:
    """The asked-for fields of each packet."""
    program = shutil.which("tshark")
    assert program, "tshark is not installed: apt-get install tshark"
    fields = [word for word in words if not word.startswith("-")]
    options = [word for word in words if word.startswith("-d")]
    with as_file(files("udpcore") / "wireshark" / "udpcore.lua") as script:
        command = [program, "-n", "-r", str(capture), "-X", f"lua_script:{script}", "-T", "fields"]
        for name in fields:
            command += ["-e", name]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Lua" not in done.stderr, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def write_pcap(path: Path, datagrams: list[bytes], port: int) -> None:
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINKTYPE_RAW)]
    for data in datagrams:
        udp = struct.pack(">HHHH", 40000, port, 8 + len(data), 0) + data
        total = 20 + len(udp)
        ip = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, total, 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1"
        )
        records.append(struct.pack("<IIII", 0, 0, total, total) + ip + udp)
    path.write_bytes(b"".join(records))


@pytest.mark.parametrize(
    ("proto", "datagram", "fields", "expected"),
    [
        ("udpcore_seq", b"\0\0\0\x07salut", ["number", "text"], ["7", "salut"]),
        ("udpcore_ack", b"\x01\0\0\0\x2aabc", ["type", "number", "data"], ["1", "42", "616263"]),
        ("udpcore_ack", b"\x02\0\0\0\x2a", ["type", "number", "data"], ["2", "42", ""]),
        ("udpcore_fec", b"\0\1\0\3xyz", ["index", "k", "chunk"], ["1", "3", "78797a"]),
        (
            "udpcore_fec",
            b"\0\4\0\3\1\0\2" + (3000).to_bytes(4) + b"\xde\xad\xbe\xef" + b"rr",
            ["index", "m", "length", "crc32", "repair"],
            ["4", "2", "3000", "0xdeadbeef", "7272"],
        ),
    ],
)
def test_the_tutorials_formats(tmp_path, proto, datagram, fields, expected):
    capture = tmp_path / "x.pcap"
    write_pcap(capture, [datagram], 9999)
    names = [f"{proto}.{field}" for field in fields]
    assert tshark(capture, *names, f"-dudp.port==9999,{proto}") == [expected]


def converse(capture: Path, **options: object) -> None:
    with (
        listen(**options) as server,
        netem.Proxy(server.address, pcap=str(capture)) as proxy,
        connect(proxy.address, **options) as client,
    ):
        client.send(b"hello", channel=3).wait(timeout=10)
        client.send(bytes(3000), channel=4, deadline=9.0, fec=0.5).wait(timeout=10)
        there = server.accept(timeout=10)
        there.recv_many(2, timeout=10)


def test_a_plaintext_connection_is_read_to_its_frames(tmp_path):
    capture = tmp_path / "plain.pcapng"
    converse(capture, plaintext=True)
    rows = tshark(
        capture,
        "frame.protocols",
        "udpcore.kind",
        "udpcore.suite",
        "udpcore.frame",
        "udpcore.data",
    )
    assert all("udpcore" in row[0] for row in rows), rows
    assert {"0", "2"} <= {row[1] for row in rows}
    assert "0" in {row[2] for row in rows}
    frames = {frame for row in rows for frame in row[3].split(",") if frame}
    assert {"0x80", "0x02", "0x0b", "0x07", "0x0f"} <= {
        frame.replace("0x00000", "0x") for frame in frames
    } | {"0x02" if "0x03" in frames else ""}
    assert any(b"hello".hex() in row[4] for row in rows)
    modes = tshark(capture, "udpcore.channel", "udpcore.total")
    assert any("3" in row[0].split(",") for row in modes)
    assert any("3000" in row[1].split(",") for row in modes)


def test_of_an_encrypted_connection_nothing_is_claimed(tmp_path):
    capture = tmp_path / "secret.pcapng"
    converse(capture, secret="s")
    rows = tshark(capture, "frame.protocols", "udpcore.suite", "udpcore.frame", "udpcore.protected")
    assert all("udpcore" in row[0] for row in rows), rows
    assert "2" in {row[1] for row in rows}
    assert {row[2] for row in rows} == {""}
    assert any(row[3] for row in rows)
