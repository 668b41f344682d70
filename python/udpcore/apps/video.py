"""Live video: one JPEG a frame, cut into datagrams ``[frame u32][chunk u16][total u16][data]``.

A frame of which a datagram is lost is dropped and counted; the next one is complete again. The
tutorial's own sender (6-byte header, a whole JPEG in one datagram) is understood as well.
"""

from __future__ import annotations

from collections.abc import Iterable

from udpcore import _core
from udpcore.apps._app import App, open_udp, run_as_program
from udpcore.apps._frames import frames
from udpcore.apps._video_receiver import VideoReceiver
from udpcore.apps.rate import Pacer

__all__ = ["VideoReceiver", "VideoStreamer"]

FRAGMENT_BYTES = 1400


class VideoStreamer(App):
    """Sends video to one receiver. `quality` is JPEG's, 1 to 95."""

    def __init__(
        self,
        dest_addr: str,
        dest_port: int,
        quality: int = 50,
        *,
        source: str | Iterable[bytes] | None = None,
        fps: float = 25,
        fragment_bytes: int = FRAGMENT_BYTES,
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        if not 1 <= quality <= 95:
            raise ValueError(f"quality {quality}: give 1 to 95")
        self.dest, self.quality, self.fps = (dest_addr, dest_port), quality, fps
        self.source, self.fragment_bytes = source, fragment_bytes
        self.sock = open_udp("::" if ":" in dest_addr else "")
        self.stats = {"frames": 0, "datagrams": 0, "bytes": 0, "errors": 0}

    def stream(self, count: int | None = None) -> int:
        """Send `count` frames (until the source ends or Ctrl-C when None); returns how many."""
        source = self.source
        pictures = frames(source, self.quality) if isinstance(source, str | None) else iter(source)
        pacer, number = Pacer(self.fps, 1), 0
        self.running = True
        while self.running and number != count:
            if (picture := next(pictures, None)) is None:
                break
            pacer.wait()
            self._send(number, picture)
            number += 1
        self.say(f"{number} frames to {self.dest}")
        return number

    def _send(self, number: int, picture: bytes) -> None:
        try:
            for datagram in _core.video_fragment(number % 2**32, picture, self.fragment_bytes):
                self.sock.sendto(datagram, self.dest)
                self.stats["datagrams"] += 1
                self.stats["bytes"] += len(datagram)
            self.stats["frames"] += 1
        except (OSError, ValueError) as error:
            self.stats["errors"] += 1
            self.say(f"frame {number}: {error}")

    def close(self) -> None:
        """Stop streaming and close the socket."""
        super().close()
        self.sock.close()


if __name__ == "__main__":
    run_as_program("video")
