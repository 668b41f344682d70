"""Live video: plain peers, the tutorial's short header, the bad link."""

from __future__ import annotations

import os
import struct
import threading
import time

import pytest

from udpcore.apps import VideoReceiver, VideoStreamer
from udpcore.apps._frames import test_pattern as pattern


@pytest.fixture
def receiver():
    pictures = {}
    with VideoReceiver(
        0, host="127.0.0.1", on_frame=lambda number, picture: pictures.update({number: picture})
    ) as receiver:
        receiver.pictures = pictures
        yield receiver


def test_frames_arrive_whole(receiver):
    frames = [os.urandom(size) for size in (1, 1392, 1393, 60_000)]
    with VideoStreamer("127.0.0.1", receiver.port, source=frames, fps=100) as streamer:
        assert streamer.stream() == 4
    stats = receiver.receive(count=4, timeout=5)
    assert list(receiver.pictures.values()) == frames
    assert stats["frames"] == 4
    assert stats["incomplete"] == 0


def test_every_datagram_has_the_same_header_and_the_size_of_a_path(plain):
    frame = os.urandom(5000)
    with VideoStreamer("127.0.0.1", plain.getsockname()[1], source=[frame]) as streamer:
        streamer.stream()
    datagrams = [plain.recv(65535) for _ in range(4)]
    headers = [struct.unpack("!IHH", datagram[:8]) for datagram in datagrams]
    assert headers == [(0, 0, 4), (0, 1, 4), (0, 2, 4), (0, 3, 4)]
    assert max(map(len, datagrams)) == 1400
    assert b"".join(datagram[8:] for datagram in datagrams) == frame


def test_the_tutorials_sender_with_its_short_header(receiver, plain):
    jpeg = b"\xff\xd8\xff\xe0" + os.urandom(30_000) + b"\xff\xd9"
    plain.sendto(struct.pack("!IH", 7, 0) + jpeg, ("127.0.0.1", receiver.port))
    receiver.receive(count=1, timeout=5)
    assert receiver.pictures == {7: jpeg}


def test_through_the_bad_link_what_is_shown_is_whole_and_in_order(receiver, bad_link):
    frames = [os.urandom(4000) for _ in range(150)]
    shown = []
    receiver._on_frame = lambda number, picture: shown.append((number, picture))
    with (
        bad_link(("127.0.0.1", receiver.port)) as proxy,
        VideoStreamer(*proxy.address, source=frames, fps=300) as streamer,
    ):
        thread = threading.Thread(target=streamer.stream)
        thread.start()
        stats = receiver.receive(timeout=1.5)
        thread.join()
    assert all(picture == frames[number] for number, picture in shown)
    assert [number for number, _ in shown] == sorted({number for number, _ in shown})
    # Three datagrams at 10 % loss: 73 % of the frames are whole; reordering costs a few more.
    assert 0.5 < len(shown) / 150 < 0.9
    assert stats["frames"] == len(shown)
    assert stats["incomplete"] > 0
    assert stats["duplicate"] + stats["late"] > 0


def test_garbage_is_counted(receiver, plain):
    for junk in (b"", b"x", b"\0" * 8, b"\0\0\0\0\0\x09\0\x02zz"):
        plain.sendto(junk, ("127.0.0.1", receiver.port))
    plain.sendto(struct.pack("!IHH", 1, 0, 1) + b"ok", ("127.0.0.1", receiver.port))
    assert receiver.receive(count=1, timeout=5)["malformed"] == 4


def test_the_pattern_moves_and_files_are_written(tmp_path):
    one, two = (next(frames) for frames in (pattern(50), pattern(50)))
    assert one == two
    frames = pattern(50)
    assert next(frames) != next(frames)
    with (
        VideoReceiver(0, host="127.0.0.1", output=tmp_path) as receiver,
        VideoStreamer("127.0.0.1", receiver.port, source="test", fps=50) as streamer,
    ):
        assert streamer.stream(count=2) == 2
        receiver.receive(count=2, timeout=5)
    written = sorted(tmp_path.iterdir())
    assert [path.stem for path in written] == ["00000000", "00000001"]
    assert written[0].read_bytes()[:3] in (b"\xff\xd8\xff", b"\x89PN")


def test_a_steady_frame_rate(plain):
    with VideoStreamer("127.0.0.1", plain.getsockname()[1], source="test", fps=50) as streamer:
        began = time.monotonic()
        streamer.stream(count=26)
        assert 0.48 < time.monotonic() - began < 0.8


def test_nonsense_is_refused(tmp_path):
    with pytest.raises(ValueError, match="quality 0"):
        VideoStreamer("127.0.0.1", 9, 0)
    with (
        VideoStreamer("127.0.0.1", 9, source="/nowhere.mp4") as streamer,
        pytest.raises(FileNotFoundError, match="is no file"),
    ):
        streamer.stream()
