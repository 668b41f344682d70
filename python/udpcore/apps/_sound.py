"""Where a call's sound comes from and goes to: microphone, speaker, WAV files, a tone, functions.

Frames are bytes of native 16-bit samples, mono.
"""

from __future__ import annotations

import array
import importlib
import math
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

PIP = 'pip install "udpcore[media]"'
TONE_HZ, TONE_AMPLITUDE = 440, 8000

#: Gives the next frame; None when there is no more.
Source = Callable[[], bytes | None]
#: Takes a frame.
Sink = Callable[[bytes], None]


def source(
    what: str | Path | Source | None, rate_hz: int, samples: int
) -> tuple[Source, Callable[[], None]]:
    """Return what gives frames, and what ends it: ``"tone"``, ``"silence"``, ``"mic"``, a WAV
    file, a function. None is the microphone when there is one, else the tone.
    """
    if callable(what):
        return what, lambda: None
    if what == "silence":
        return lambda: bytes(2 * samples), lambda: None
    if what == "mic" or (what is None and _sounddevice(needed=False)):
        stream = _sounddevice().RawInputStream(rate_hz, samples, channels=1, dtype="int16")
        stream.start()
        return lambda: bytes(stream.read(samples)[0]), stream.close
    if what in (None, "tone"):
        return tone(rate_hz, samples), lambda: None
    return _wav(str(what), rate_hz, samples)


def tone(rate_hz: int, samples: int) -> Source:
    """Return frames of a steady tone."""
    position = 0

    def frame() -> bytes:
        nonlocal position
        step = 2 * math.pi * TONE_HZ / rate_hz
        wave_ = (TONE_AMPLITUDE * math.sin(step * n) for n in range(position, position + samples))
        position += samples
        return array.array("h", map(int, wave_)).tobytes()

    return frame


def _wav(path: str, rate_hz: int, samples: int) -> tuple[Source, Callable[[], None]]:
    file = wave.open(path, "rb")  # noqa: SIM115 (the source keeps it open)
    found = (file.getnchannels(), file.getsampwidth(), file.getframerate())
    if found != (1, 2, rate_hz):
        file.close()
        raise ValueError(f"{path}: {found} channels, bytes, Hz; (1, 2, {rate_hz}) needed")

    def frame() -> bytes | None:
        data = file.readframes(samples)
        return _native(data).ljust(2 * samples, b"\0") if data else None

    return frame, file.close


def sink(what: str | Path | Sink | None, rate_hz: int) -> tuple[Sink, Callable[[], None]]:
    """Return what plays a frame, and what ends it: ``"speaker"``, a WAV file, a function.

    None is the speaker when there is one, else nothing.
    """
    if callable(what):
        return what, lambda: None
    if what == "speaker" or (what is None and _sounddevice(needed=False)):
        stream = _sounddevice().RawOutputStream(rate_hz, channels=1, dtype="int16")
        stream.start()
        return stream.write, stream.close
    if what is None or what == "none":
        return lambda frame: None, lambda: None
    file = wave.open(str(what), "wb")  # noqa: SIM115 (the sink keeps it open)
    file.setparams((1, 2, rate_hz, 0, "NONE", ""))
    return lambda frame: file.writeframes(_native(frame)), file.close


def _native(samples: bytes) -> bytes:
    """WAV is little-endian; the machine may not be."""
    if sys.byteorder == "little":
        return samples
    swapped = array.array("h", samples)
    swapped.byteswap()
    return swapped.tobytes()


def _sounddevice(needed: bool = True) -> Any:
    try:
        module = importlib.import_module("sounddevice")
        # Importable is not enough: a machine may have no sound.
        return module if needed or len(module.query_devices()) else None
    except (ImportError, OSError) as error:
        if needed:
            raise ImportError(f"microphone and speaker need sounddevice: {PIP}") from error
        return None
