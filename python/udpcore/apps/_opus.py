"""The Opus codec (RFC 6716) through PyAV, one frame at a time."""

from __future__ import annotations

import importlib
from typing import Any

PIP = 'pip install "udpcore[media]"'


class Opus:
    """Codes and decodes frames of native 16-bit mono samples. Needs PyAV and NumPy."""

    def __init__(self, rate_hz: int, bit_rate: int = 24_000) -> None:
        try:
            self._av: Any = importlib.import_module("av")
            self._numpy: Any = importlib.import_module("numpy")
        except ImportError as error:
            raise ImportError(f"Opus needs PyAV: {PIP}") from error
        self._rate_hz = rate_hz
        self._encoder = self._codec("w")
        self._encoder.bit_rate = bit_rate
        self._encoder.options = {"application": "voip", "frame_duration": "20"}
        self._decoder = self._codec("r")
        self._resampler = self._av.AudioResampler("s16", "mono", rate_hz)

    def _codec(self, mode: str) -> Any:
        codec = self._av.CodecContext.create("libopus", mode)
        codec.sample_rate, codec.layout, codec.format = self._rate_hz, "mono", "s16"
        return codec

    def encode(self, frame: bytes) -> bytes:
        """Code one frame; empty while the encoder is still filling."""
        samples = self._numpy.frombuffer(frame, self._numpy.int16).reshape(1, -1)
        audio = self._av.AudioFrame.from_ndarray(samples, "s16", "mono")
        audio.sample_rate = self._rate_hz
        return b"".join(bytes(packet) for packet in self._encoder.encode(audio))

    def decode(self, payload: bytes) -> bytes:
        """Decode one payload."""
        frames = self._decoder.decode(self._av.Packet(payload)) if payload else []
        parts = [part for frame in frames for part in self._resampler.resample(frame)]
        return b"".join(part.to_ndarray().tobytes() for part in parts)
