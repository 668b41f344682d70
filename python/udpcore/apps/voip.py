"""A call over UDP: RTP (RFC 3550), 16 kHz mono, 20 ms a packet, G.711; lost frames are concealed.

``wire="pcm"`` speaks the tutorial's bare form instead: 1,024 samples a datagram, no numbers.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from udpcore import _core
from udpcore.apps import _sound
from udpcore.apps._app import App, every, open_udp, receive, run_as_program
from udpcore.apps._echo_cancel import EchoCanceller
from udpcore.apps._opus import Opus

RATE_HZ, FRAME_SAMPLES, PCM_SAMPLES, DELAY_S_MAX = 16_000, 320, 1024, 0.4


class VoIPClient(App):
    """One end of a call.

    `source`: ``"mic"``, ``"tone"``, ``"silence"``, a WAV file, a function that gives frames.
    `sink`: ``"speaker"``, ``"none"``, a WAV file, a function. `codec`: ``"ulaw"``, ``"alaw"``,
    ``"linear"``, ``"opus"`` (needs PyAV); `cancel_echo` needs pywebrtc-audio.
    """

    def __init__(
        self,
        peer_addr: str,
        peer_port: int,
        local_port: int,
        *,
        wire: Literal["rtp", "pcm"] = "rtp",
        codec: str = "ulaw",
        source: str | Path | _sound.Source | None = None,
        sink: str | Path | _sound.Sink | None = None,
        suppress_silence: bool = False,
        conceal: bool = True,
        cancel_echo: bool = False,
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        if wire not in ("rtp", "pcm"):
            raise ValueError(f"wire {wire!r}: give 'rtp' or 'pcm'")
        self.peer, self.wire = (peer_addr, peer_port), wire
        self.samples = PCM_SAMPLES if wire == "pcm" else FRAME_SAMPLES
        self.opus = Opus(RATE_HZ) if codec == "opus" else None
        form = (codec, RATE_HZ, self.samples)
        self._sender = _core.AppVoiceSender(*form, suppress_silence, secrets.randbits(64))
        self._receiver = _core.AppVoiceReceiver(*form, DELAY_S_MAX, conceal, wire == "pcm")
        self._next_frame, self._end_source = _sound.source(source, RATE_HZ, self.samples)
        self._play, self._end_sink = _sound.sink(sink, RATE_HZ)
        if cancel_echo:
            canceller = EchoCanceller(RATE_HZ)
            self._next_frame, self._play = canceller.around(self._next_frame, self._play)
        self.sock = open_udp("::" if ":" in peer_addr else "", local_port)
        self.local_port: int = self.sock.getsockname()[1]
        self.stats = {"sent": 0, "received": 0, "errors": 0}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to talk and to listen."""
        self.running = True
        for work in (self._talk, self._listen, self._play_out):
            self._threads.append(threading.Thread(target=work, daemon=True))
            self._threads[-1].start()
        self.say(f"talking to {self.peer} from port {self.local_port}")

    def stop(self) -> None:
        """Hang up."""
        self.running = False
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        for end in (self._end_source, self._end_sink, self.sock.close):
            end()

    close = stop

    def quality(self) -> dict[str, Any]:
        """How the call is going: loss, jitter, concealment; `mos` estimated as `mos_scale` says."""
        return self._receiver.quality()

    def _ticks(self) -> Iterator[None]:
        return every(self.samples / RATE_HZ, lambda: self.running)

    def _talk(self) -> None:
        for _ in self._ticks():
            if (frame := self._next_frame()) is None:
                return
            coded = self.opus.encode(frame) if self.opus else None
            datagram = frame if self.wire == "pcm" else self._sender.send(frame, coded)
            try:
                if datagram is not None:
                    self.sock.sendto(datagram, self.peer)
                    self.stats["sent"] += 1
            except OSError:
                self.stats["errors"] += 1

    def _listen(self) -> None:
        while self.running:
            if message := receive(self.sock):
                self.stats["received"] += 1
                self._receiver.handle(time.monotonic(), message[0])

    def _play_out(self) -> None:
        for _ in self._ticks():
            frame, coded = self._receiver.pull(time.monotonic())
            if coded and self.opus:
                frame = self._receiver.decoded(self.opus.decode(frame))
            self._play(frame)


if __name__ == "__main__":
    run_as_program("voip")
