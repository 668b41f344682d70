"""Echo cancellation by WebRTC's audio processing (pywebrtc-audio): what the speaker plays is
taken out of what the microphone hears.
"""

from __future__ import annotations

import importlib
from collections import deque
from typing import Any

from udpcore.apps._sound import Sink, Source

PIP = 'pip install "udpcore[media]"'
#: Played frames that wait for the microphone's; more, and the sound card runs at another pace.
FRAMES_MAX = 10


class EchoCanceller:
    """Cleans frames of native 16-bit mono samples. Needs pywebrtc-audio and NumPy.

    `delay_ms` is how long a played frame takes to be heard again, roughly: it is estimated anew
    while the call goes on.
    """

    def __init__(self, rate_hz: int, delay_ms: int = 40) -> None:
        try:
            self._numpy: Any = importlib.import_module("numpy")
            library: Any = importlib.import_module("pywebrtc_audio")
        except ImportError as error:
            raise ImportError(f"echo cancellation needs pywebrtc-audio: {PIP}") from error
        self._processor = library.AudioProcessor(
            sample_rate=rate_hz, echo_cancellation=True, stream_delay_ms=delay_ms
        )
        # Filled by the thread that plays, emptied by the one that talks.
        self._played: deque[bytes] = deque(maxlen=FRAMES_MAX)

    def played(self, frame: bytes) -> None:
        """Remember what goes to the speaker."""
        self._played.append(frame)

    def clean(self, frame: bytes) -> bytes:
        """Return what the microphone heard without the echo of what was played."""
        far = self._played.popleft() if self._played else bytes(len(frame))
        near, far = (
            self._numpy.frombuffer(one, self._numpy.int16)
            for one in (frame, far.ljust(len(frame), b"\0")[: len(frame)])
        )
        cleaned: bytes = self._processor.process(near, far).tobytes()
        return cleaned

    def around(self, source: Source, sink: Sink) -> tuple[Source, Sink]:
        """Return `source` and `sink` with the echo taken out between them."""

        def next_frame() -> bytes | None:
            frame = source()
            return None if frame is None else self.clean(frame)

        def play(frame: bytes) -> None:
            self.played(frame)
            sink(frame)

        return next_frame, play
