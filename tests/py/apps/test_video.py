"""Live video: plain peers, the tutorial's short header, the bad link."""

from __future__ import annotations

import os
import struct
import sys
import threading
import time

import cv2
import numpy
import pytest

from udpcore.apps import VideoReceiver, VideoStreamer
from udpcore.apps._frames import frames, window
from udpcore.apps._pattern import test_pattern as pattern


@pytest.fixture
def receiver():
    pictures = {}
    with VideoReceiver(
        0, host="127.0.0.1", on_frame=lambda number, picture: pictures.update({number: picture})
    ) as receiver:
        receiver.pictures = pictures
        yield receiver


def test_frames_arrive_whole(receiver):
    pictures = [os.urandom(size) for size in (1, 1392, 1393, 60_000)]
    with VideoStreamer("127.0.0.1", receiver.port, source=pictures, fps=100) as streamer:
        assert streamer.stream() == 4
    stats = receiver.receive(count=4, timeout=5)
    assert list(receiver.pictures.values()) == pictures
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
    pictures = [os.urandom(4000) for _ in range(150)]
    shown = []
    receiver._on_frame = lambda number, picture: shown.append((number, picture))
    with (
        bad_link(("127.0.0.1", receiver.port)) as proxy,
        VideoStreamer(*proxy.address, source=pictures, fps=300) as streamer,
    ):
        thread = threading.Thread(target=streamer.stream)
        thread.start()
        stats = receiver.receive(timeout=1.5)
        thread.join()
    assert all(picture == pictures[number] for number, picture in shown)
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
    assert next(pattern(50)) == next(pattern(50))
    moving = pattern(50)
    assert next(moving) != next(moving)
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
        # The first leaves at once; never faster than told, whatever the machine does.
        assert time.monotonic() - began > 0.49


@pytest.fixture
def film(tmp_path):
    """Ten pictures, each of one grey, as OpenCV writes a video."""
    path = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 25, (160, 120))
    for grey in range(10):
        writer.write(numpy.full((120, 160, 3), grey * 20, numpy.uint8))
    writer.release()
    return path


def test_a_video_file_is_sent_as_jpeg_and_decodes(receiver, film):
    with VideoStreamer("127.0.0.1", receiver.port, source=film, fps=100) as streamer:
        assert streamer.stream() == 10
    receiver.receive(count=10, timeout=5)
    greys = [
        cv2.imdecode(numpy.frombuffer(picture, numpy.uint8), cv2.IMREAD_COLOR).mean()
        for _, picture in sorted(receiver.pictures.items())
    ]
    assert greys == pytest.approx([grey * 20 for grey in range(10)], abs=6)


def test_a_camera_is_the_source_that_opencv_opens(receiver, monkeypatch):
    """No test machine has a camera: here it is two pictures and the end."""
    pictures = [numpy.full((120, 160, 3), 200, numpy.uint8)] * 2
    opened = []

    class Camera:
        def __init__(self, source) -> None:
            opened.append(source)

        def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
            return True

        def read(self):
            return (True, pictures.pop()) if pictures else (False, None)

        def release(self) -> None:
            opened.append("released")

    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    with VideoStreamer("127.0.0.1", receiver.port, source="camera", fps=100) as streamer:
        assert streamer.stream() == 2
    receiver.receive(count=2, timeout=5)
    assert opened == [0, "released"]
    assert all(picture.startswith(b"\xff\xd8\xff") for picture in receiver.pictures.values())


def test_the_test_pattern_is_a_picture_with_pillow_and_without(monkeypatch):
    with_pillow = next(pattern(50))
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    without = next(pattern(50))
    assert with_pillow.startswith(b"\xff\xd8\xff")
    assert without.startswith(b"\x89PNG")
    for picture in (with_pillow, without):
        decoded = cv2.imdecode(numpy.frombuffer(picture, numpy.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == (240, 320, 3)


def test_a_folder_of_pictures_is_a_source(tmp_path, receiver):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(b"picture %d" % number)
    with VideoStreamer("127.0.0.1", receiver.port, source=str(tmp_path), fps=100) as streamer:
        assert streamer.stream() == 3
    receiver.receive(count=3, timeout=5)
    assert receiver.pictures[2] == b"picture 2"


def test_what_is_missing_is_named_with_the_pip_command(monkeypatch, film):
    with pytest.raises(OSError, match="no window can be opened here"):
        window()
    monkeypatch.setitem(sys.modules, "cv2", None)
    for work in (lambda: next(frames(film, 50)), window):
        with pytest.raises(ImportError, match=r'pip install "udpcore\[media\]"'):
            work()


def test_a_window_shows_what_comes(monkeypatch):
    """OpenCV's own windows need a screen; here they are written down instead."""
    shown = []
    monkeypatch.setattr(cv2, "namedWindow", lambda name: None)
    monkeypatch.setattr(cv2, "imshow", lambda name, picture: shown.append(picture.shape))
    monkeypatch.setattr(cv2, "waitKey", lambda milliseconds: -1)
    window()(0, next(pattern(50)))
    assert shown == [(240, 320, 3)]


def test_incomplete_frames_are_dropped_with_a_count_and_late_fragments_too(receiver, plain):
    def send(frame: int, chunk: int, total: int) -> None:
        header = struct.pack("!IHH", frame, chunk, total)
        plain.sendto(header + b"%d" % chunk, ("127.0.0.1", receiver.port))

    # Frame 1 misses its last fragment; frame 2 comes in the wrong order, one part twice.
    for fragment in [(1, 0, 2), (2, 1, 2), (2, 1, 2), (2, 0, 2), (1, 1, 2), (3, 0, 1)]:
        send(*fragment)
    stats = receiver.receive(count=2, timeout=5)
    assert receiver.pictures == {2: b"01", 3: b"0"}
    assert stats["outdated"] + stats["incomplete"] + stats["late"] >= 1
    assert stats["duplicate"] == 1


def test_nonsense_is_refused(tmp_path):
    with pytest.raises(ValueError, match="quality 0"):
        VideoStreamer("127.0.0.1", 9, 0)
    with (
        VideoStreamer("127.0.0.1", 9, source="/nowhere.mp4") as streamer,
        pytest.raises(FileNotFoundError, match="is no file"),
    ):
        streamer.stream()
