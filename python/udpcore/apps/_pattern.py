"""The built-in test pattern: moving colour bars, as JPEG with Pillow, as PNG without."""

from __future__ import annotations

import importlib
import itertools
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

WIDTH, HEIGHT = 320, 240


def optional_module(name: str) -> Any | None:
    """The module when it is installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def test_pattern(quality: int) -> Iterator[bytes]:
    """Yield moving colour bars for ever."""
    image = optional_module("PIL.Image")
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
