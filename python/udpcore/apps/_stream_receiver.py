"""The receiver of a multicast stream: chunks in order into a file, gaps into a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, BinaryIO, Literal

from udpcore import _core
from udpcore.apps._app import DATAGRAM_BYTES_MAX, App, receive
from udpcore.apps._groups import open_receiver
from udpcore.apps._parity import Repairer

Wire = Literal["numbered", "bare"]

#: Chunks a missing one is waited for: late ones and repairs find their place.
WINDOW_CHUNKS = 512


def is_bare(wire: Wire) -> bool:
    """Whether chunks come without numbers; :class:`ValueError` for what is no wire format."""
    if wire not in ("numbered", "bare"):
        raise ValueError(f"wire {wire!r}: give 'numbered' or 'bare'")
    return wire == "bare"


class MulticastVideoReceiver(App):
    """Receives a stream into a file and says what is missing. Joins the group at once."""

    def __init__(
        self,
        group: str = "239.1.1.1",
        port: int = 5004,
        *,
        interface: str | None = None,
        source: str | None = None,
        wire: Wire = "numbered",
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        self.bare = is_bare(wire)
        self.sock = open_receiver(group, port, interface, source)
        self._repairs = open_receiver(group, port + 1, interface, source)
        self._repairs.setblocking(False)
        self._stream = _core.AppStreamReceiver(WINDOW_CHUNKS)

    def receive_stream(self, output_path: str | Path, timeout: float = 5.0) -> dict[str, Any]:
        """Write the stream to a file until its end mark, or `timeout` seconds without a chunk.

        Returns the gap report: ``received``, ``lost``, ``repaired``, ``gaps`` (first and last
        number of each), ``reordered``, ``duplicate_or_late``.
        """
        self._stream, self.running = _core.AppStreamReceiver(WINDOW_CHUNKS), True
        # Unbuffered: what reads the file meanwhile (a player behind a pipe) is not kept waiting.
        with Path(output_path).open("wb", buffering=0) as file:
            if self.bare:
                self._write_bare(file, timeout)
            else:
                self._write(file, timeout)
        self.say(f"{output_path}: {self.report()}")
        return self.report()

    def report(self) -> dict[str, Any]:
        """The gap report so far: of the stream that is coming, or of the last one."""
        return self._stream.report()

    def _write(self, file: BinaryIO, timeout: float) -> None:
        stream, repairer = self._stream, Repairer(WINDOW_CHUNKS)
        end, last = None, time.monotonic()
        try:
            while self.running and time.monotonic() - last < timeout:
                message = receive(self.sock, DATAGRAM_BYTES_MAX)
                if message and (chunk := _core.stream_parse(message[0])):
                    last = time.monotonic()
                    if not chunk[1]:
                        end = chunk[0]
                    else:
                        file.write(stream.insert(*chunk))
                        repairer.chunk(*chunk)
                elif end is not None:
                    # The end mark, and then a pause: what was late has come.
                    break
                while repair := self._repair():
                    repairer.repair(*repair)
                for sequence, data in repairer.repaired():
                    file.write(stream.insert(sequence, data, repaired=True))
        finally:
            file.write(stream.finish(end))

    def _write_bare(self, file: BinaryIO, timeout: float) -> None:
        """Write what comes as it comes, numbered by us: what is missing, nobody can know."""
        number, last = 0, time.monotonic()
        while self.running and time.monotonic() - last < timeout:
            if message := receive(self.sock, DATAGRAM_BYTES_MAX):
                last = time.monotonic()
                file.write(self._stream.insert(number % 2**32, message[0]))
                number += 1

    def _repair(self) -> tuple[int, int, int, bytes] | None:
        try:
            return _core.repair_parse(self._repairs.recv(DATAGRAM_BYTES_MAX))
        except (BlockingIOError, TimeoutError):
            return None

    def close(self) -> None:
        """Stop receiving, leave the group."""
        super().close()
        self.sock.close()
        self._repairs.close()
