"""Stream a file to a multicast group at a steady bit rate, and receive it with a gap report.

Datagrams are ``[seq u32][chunk]``; an empty chunk ends the stream. With ``fec=k`` every k chunks
are followed by their parity on the next port, which repairs the loss of any one of them.
``wire="bare"`` sends the chunks alone: MPEG-TS as every player expects it on UDP.
"""

from __future__ import annotations

from pathlib import Path

from udpcore import _core
from udpcore.apps._app import App, run_as_program
from udpcore.apps._groups import open_sender, send_to_group
from udpcore.apps._parity import Parity
from udpcore.apps._stream_receiver import MulticastVideoReceiver, Wire, is_bare
from udpcore.apps.rate import Pacer

__all__ = ["MulticastVideoReceiver", "MulticastVideoStreamer"]

TTL = 32
END_MARKS = 5
#: Chunks that may leave at once after the machine was busy.
BURST_CHUNKS = 8


class MulticastVideoStreamer(App):
    """Sends files to a group. `bitrate` is in bit/s; `fec` chunks share one parity (0: none)."""

    def __init__(
        self,
        group: str = "239.1.1.1",
        port: int = 5004,
        *,
        bitrate: float = 8_000_000,
        ttl: int = TTL,
        fec: int = 0,
        loop: bool = True,
        wire: Wire = "numbered",
        interface: str | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        if wire == "bare" and fec:
            raise ValueError(f"fec={fec} repairs by numbers, which wire='bare' has not")
        self.bare = is_bare(wire)
        self.group, self.port, self.bitrate, self.fec = group, port, bitrate, fec
        self.sock = open_sender(group, ttl, loop, interface)
        self.stats = {"chunks": 0, "repairs": 0, "bytes": 0}

    def stream_file(self, path: str | Path, chunk_size: int = 1316) -> int:
        """Send the file and return how many chunks it took; 1316 bytes are 7 MPEG-TS packets."""
        pacer = Pacer(self.bitrate, BURST_CHUNKS * (chunk_size + 4) * 8)
        parity, sequence = Parity(self.fec), 0
        self.running = True
        with Path(path).open("rb") as file:
            while self.running and (chunk := file.read(chunk_size)):
                self._chunk(pacer, sequence, chunk)
                if repair := parity.add(sequence, chunk):
                    self._send(pacer, repair, self.port + 1)
                    self.stats["repairs"] += 1
                sequence += 1
                self.stats["chunks"] += 1
                self.stats["bytes"] += len(chunk)
        if repair := parity.rest():
            self._send(pacer, repair, self.port + 1)
        for _ in range(0 if self.bare else END_MARKS):
            self._chunk(pacer, sequence, b"")
        self.say(f"{path}: {sequence} chunks to {self.group}:{self.port}")
        return sequence

    def _chunk(self, pacer: Pacer, sequence: int, chunk: bytes) -> None:
        numbered = None if self.bare else _core.stream_compose(sequence % 2**32, chunk)
        self._send(pacer, numbered or chunk, self.port)

    def _send(self, pacer: Pacer, datagram: bytes, port: int) -> None:
        pacer.wait(len(datagram) * 8)
        send_to_group(self.sock, datagram, (self.group, port))

    def close(self) -> None:
        """Stop streaming and close the socket."""
        super().close()
        self.sock.close()


if __name__ == "__main__":
    run_as_program("stream")
