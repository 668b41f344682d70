"""The receiver of live video: fragments into frames, frames to a function or a folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import App, open_udp, receive
from udpcore.apps._frames import sink

#: An incomplete frame is dropped after this.
WAIT_SECONDS = 1.0
RECEIVE_BUFFER_BYTES = 4 << 20


class VideoReceiver(App):
    """Receives frames and hands each to `on_frame(number, picture)`, or writes it to `output`."""

    def __init__(
        self,
        port: int,
        *,
        host: str = "0.0.0.0",
        on_frame: Callable[[int, bytes], None] | None = None,
        output: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        self.sock = open_udp(host, port)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.port: int = self.sock.getsockname()[1]
        self._frames = _core.AppVideoAssembler(WAIT_SECONDS)
        self._on_frame = on_frame or sink(output)

    def receive(self, count: int | None = None, timeout: float | None = None) -> dict[str, int]:
        """Receive `count` frames, or until `timeout` seconds brought none, or Ctrl-C.

        Returns `stats`: ``frames``, ``incomplete``, ``outdated``, ``duplicate``, ``late``…
        """
        self.running, last, seen = True, time.monotonic(), 0
        while self.running and seen != count:
            now = time.monotonic()
            if timeout is not None and now - last > timeout:
                break
            if (message := receive(self.sock)) is None:
                self._frames.expire(now)
                continue
            data, address = message
            if frame := self._frames.handle(now, address[:2], data):
                last, seen = now, seen + 1
                self._on_frame(*frame)
        return self.stats

    @property
    def stats(self) -> dict[str, int]:
        """What became of frames and fragments."""
        return self._frames.stats()

    def close(self) -> None:
        """Stop receiving and close the socket."""
        super().close()
        self.sock.close()
