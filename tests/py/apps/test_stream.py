"""A file by multicast: identical, repaired, or with the gaps named; a real player."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from udpcore import netem
from udpcore.apps import MulticastVideoReceiver, MulticastVideoStreamer

LOOPBACK = "127.0.0.1"


@pytest.fixture
def film(tmp_path) -> Path:
    path = tmp_path / "film.bin"
    path.write_bytes(os.urandom(200_001))
    return path


def transfer(film: Path, output: Path, receiver, streamer) -> dict:
    report = {}
    thread = threading.Thread(
        target=lambda: report.update(receiver.receive_stream(output, timeout=2))
    )
    thread.start()
    streamer.stream_file(film)
    thread.join(30)
    return report


def test_a_file_arrives_byte_for_byte(film, tmp_path, free_ports):
    port = free_ports()
    place = {"port": port, "interface": LOOPBACK}
    with (
        MulticastVideoReceiver(**place) as receiver,
        MulticastVideoStreamer(**place, bitrate=40e6) as streamer,
    ):
        report = transfer(film, tmp_path / "out", receiver, streamer)
    assert (tmp_path / "out").read_bytes() == film.read_bytes()
    assert report["received"] == 152
    assert (report["lost"], report["gaps"], report["first"]) == (0, [], 0)


@pytest.mark.parametrize("fec", [0, 4])
def test_through_the_bad_link_gaps_are_named_and_repairs_repair(fec, film, tmp_path, free_ports):
    ours, theirs = free_ports(), free_ports()
    bad = {"loss": "10%", "duplicate": "5%", "reorder": "5%", "delay": "5ms", "seed": 7}
    with (
        netem.Proxy((LOOPBACK, ours), listen=(LOOPBACK, theirs), **bad),
        netem.Proxy((LOOPBACK, ours + 1), listen=(LOOPBACK, theirs + 1), **bad),
        MulticastVideoReceiver(LOOPBACK, ours) as receiver,
        MulticastVideoStreamer(LOOPBACK, theirs, bitrate=20e6, fec=fec) as streamer,
    ):
        report = transfer(film, tmp_path / "out", receiver, streamer)
    whole, got = film.read_bytes(), (tmp_path / "out").read_bytes()
    chunks = [whole[at : at + 1316] for at in range(0, len(whole), 1316)]
    missing = {number for first, last in report["gaps"] for number in range(first, last + 1)}
    assert len(missing) == report["lost"]
    assert got == b"".join(chunk for n, chunk in enumerate(chunks) if n not in missing)
    assert report["received"] + report["lost"] == len(chunks)
    if fec:
        # 5 datagrams a block at 10 % loss: 92 % of the blocks lose at most one.
        assert report["repaired"] > report["lost"]
    else:
        assert 3 <= report["lost"] <= 30


def test_one_loss_a_block_is_repaired_to_the_byte(film, tmp_path, free_ports):
    """A plain sender leaves out chunk 2 of each block of 5; the parity brings it back."""
    from udpcore.apps._parity import Parity

    port, parity = free_ports(), Parity(5)
    data = film.read_bytes()
    with (
        MulticastVideoReceiver(LOOPBACK, port) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain,
    ):
        thread = threading.Thread(target=receiver.receive_stream, args=(tmp_path / "out", 2))
        thread.start()
        for number, at in enumerate(range(0, len(data), 1316)):
            chunk = data[at : at + 1316]
            if number % 5 != 2:
                plain.sendto(number.to_bytes(4, "big") + chunk, (LOOPBACK, port))
            if repair := parity.add(number, chunk):
                plain.sendto(repair, (LOOPBACK, port + 1))
            time.sleep(0.0005)
        plain.sendto(parity.rest(), (LOOPBACK, port + 1))
        plain.sendto((number + 1).to_bytes(4, "big"), (LOOPBACK, port))
        thread.join(30)
    assert (tmp_path / "out").read_bytes() == data


def test_a_plain_receiver_gets_the_tutorials_datagrams(film, free_ports, plain):
    port = plain.getsockname()[1]
    with MulticastVideoStreamer(LOOPBACK, port, bitrate=100e6) as streamer:
        thread = threading.Thread(target=streamer.stream_file, args=(film,))
        thread.start()
        received = bytearray()
        number = 0
        while len(datagram := plain.recv(65535)) > 4:
            assert int.from_bytes(datagram[:4], "big") == number
            received += datagram[4:]
            number += 1
        thread.join()
    assert bytes(received) == film.read_bytes()


def test_the_bit_rate_holds(film, free_ports, plain):
    with MulticastVideoStreamer(LOOPBACK, plain.getsockname()[1], bitrate=2e6) as streamer:
        began = time.monotonic()
        chunks = streamer.stream_file(film)
        seconds = time.monotonic() - began
    bits = (200_001 + chunks * 4) * 8
    # Eight chunks leave at once; never faster, whatever the machine does.
    assert seconds > (bits - 9 * 1320 * 8) / 2e6


@pytest.fixture
def transport_stream(tmp_path) -> Path:
    """75 pictures of MPEG-TS, as FFmpeg makes them."""
    path = tmp_path / "film.ts"
    pattern = "testsrc=size=160x120:rate=25:duration=3"
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", pattern, "-c:v", "mpeg2video"]
    subprocess.run([*make, "-f", "mpegts", str(path)], check=True, timeout=60)
    return path


PROBE = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0"]
PROBE += ["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]


@pytest.mark.parametrize("wire", ["bare", "numbered"])
def test_a_real_player_receives_the_stream(wire, transport_stream, free_ports):
    """FFmpeg joins the group and counts the pictures: MPEG-TS as every player expects it.

    Over our numbers it finds its way too: they are four bytes it skips before every seventh packet.
    """
    group, port = "239.7.7.7", free_ports()
    url = f"udp://{group}:{port}?localaddr={LOOPBACK}&timeout=3000000"
    with subprocess.Popen([*PROBE, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as player:
        joined = "070707EF"
        while joined not in Path("/proc/net/igmp").read_text():
            assert player.poll() is None
            time.sleep(0.01)
        with MulticastVideoStreamer(
            group, port, wire=wire, bitrate=2e6, interface=LOOPBACK
        ) as streamer:
            streamer.stream_file(transport_stream)
        found, errors = player.communicate(timeout=50)
    counted = {int(number) for number in found.replace(b",", b" ").split()}
    assert counted == {75} if wire == "bare" else min(counted) >= 70, errors


def test_bare_chunks_are_received_by_a_plain_peer_and_by_ours(film, tmp_path, plain, free_ports):
    with MulticastVideoStreamer(LOOPBACK, plain.getsockname()[1], wire="bare") as streamer:
        streamer.stream_file(film, chunk_size=100_000 // 2)
    plain.settimeout(20)
    assert b"".join(plain.recv(65535) for _ in range(5)) == film.read_bytes()
    port = free_ports()
    with (
        MulticastVideoReceiver(LOOPBACK, port, wire="bare") as receiver,
        MulticastVideoStreamer(LOOPBACK, port, wire="bare", bitrate=40e6) as streamer,
    ):
        report = transfer(film, tmp_path / "out", receiver, streamer)
    assert report["received"] == 152
    assert (tmp_path / "out").read_bytes() == film.read_bytes()
    with pytest.raises(ValueError, match="which wire='bare' has not"):
        MulticastVideoStreamer(wire="bare", fec=4)
    with pytest.raises(ValueError, match="give 'numbered' or 'bare'"):
        MulticastVideoReceiver(wire="ts")


def test_what_is_received_is_the_film_again(transport_stream, tmp_path, free_ports):
    film, output = transport_stream, tmp_path / "out.ts"
    place = {"port": free_ports(), "interface": LOOPBACK}
    with (
        MulticastVideoReceiver(**place) as receiver,
        MulticastVideoStreamer(**place, bitrate=8e6) as streamer,
    ):
        transfer(film, output, receiver, streamer)
    found = subprocess.run([*PROBE, str(output)], check=True, capture_output=True, timeout=60)
    assert set(found.stdout.replace(b",", b" ").split()) == {b"75"}
    assert not found.stderr
