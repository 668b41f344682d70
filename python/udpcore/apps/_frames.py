"""Where video frames come from and where they go: camera, file, test pattern; window, folder.

JPEG is made by Pillow or OpenCV, whichever is installed; without either the test pattern is PNG,
which Python can write itself.
"""

from __future__ import annotations

import importlib
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 320, 240
PIP = 'pip install "udpcore[media]"'


def _module(name: str) -> Any | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def frames(source: str | None, quality: int) -> Iterator[bytes]:
    """Yield the pictures of `source`: ``"test"``, ``"camera"``, a folder, or a video file.

    None is the camera when OpenCV finds one, else the test pattern. Raises :class:`OSError` when
    the source cannot be opened, :class:`ImportError` that names the pip command.
    """
    if source == "test" or (source is None and not _camera_works()):
        return test_pattern(quality)
    if source and Path(source).is_dir():
        files = sorted(one for one in Path(source).iterdir() if one.is_file())
        return (file.read_bytes() for file in files)
    return _opencv_frames(0 if source in (None, "camera") else source, quality)


def test_pattern(quality: int) -> Iterator[bytes]:
    """Yield moving colour bars for ever."""
    image = _module("PIL.Image")
    for step in itertools.count():
        row = bytes(
            value
            for x in range(WIDTH)
            for value in ((x + 4 * step) % 256, (2 * x + step) % 256, (255 - x - step) % 256)
        )
        pixels = b"".join(row[3 * (y % 16) :] + row[: 3 * (y % 16)] for y in range(HEIGHT))
        if image is None:
            yield _png(pixels)
            continue
        out = BytesIO()
        image.frombytes("RGB", (WIDTH, HEIGHT), pixels).save(out, "JPEG", quality=quality)
        yield out.getvalue()


def _png(pixels: bytes) -> bytes:
    """A PNG of RGB pixels (RFC 2083): header, one chunk of compressed rows, end."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = b"".join(b"\0" + pixels[y * WIDTH * 3 : (y + 1) * WIDTH * 3] for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    signature = b"\x89PNG\r\n\x1a\n"
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b"")]
    return signature + b"".join(parts)


def _camera_works() -> bool:
    return bool(Path("/dev/video0").exists() and _module("cv2"))


def _opencv_frames(source: int | str, quality: int) -> Iterator[bytes]:
    if isinstance(source, str) and not Path(source).is_file():
        raise FileNotFoundError(f"{source!r} is no file: give test, camera, a folder or a video")
    cv2 = _module("cv2")
    if cv2 is None:
        raise ImportError(f"a camera or a video file needs OpenCV: {PIP}")
    capture = cv2.VideoCapture(source)
    if not capture.isOpened():
        raise OSError(f"OpenCV cannot open {source!r}")
    try:
        while (picture := capture.read())[0]:
            options = [cv2.IMWRITE_JPEG_QUALITY, quality]
            yield bytes(cv2.imencode(".jpg", picture[1], options)[1])
    finally:
        capture.release()


def sink(output: str | Path | None) -> Callable[[int, bytes], None]:
    """What to do with a frame: write it into a folder, or nothing."""
    if output is None:
        return lambda number, picture: None
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)

    def write(number: int, picture: bytes) -> None:
        ending = "png" if picture.startswith(b"\x89PNG") else "jpg"
        (folder / f"{number:08d}.{ending}").write_bytes(picture)

    return write


def window(number: int, picture: bytes) -> None:
    """Show a frame in a window; needs OpenCV and a screen."""
    cv2, numpy = _module("cv2"), _module("numpy")
    if cv2 is None or numpy is None:
        raise ImportError(f"a window needs OpenCV: {PIP}")
    decoded = cv2.imdecode(numpy.frombuffer(picture, numpy.uint8), cv2.IMREAD_COLOR)
    try:
        cv2.imshow("udpcore", decoded)
        cv2.waitKey(1)
    except cv2.error as error:
        raise OSError("no window can be opened here: give --output FOLDER instead") from error
