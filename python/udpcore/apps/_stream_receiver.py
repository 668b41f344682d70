"""The receiver of a multicast stream: chunks in order into a file, gaps into a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from udpcore import _core
from udpcore.apps._app import DATAGRAM_BYTES_MAX, App, receive
from udpcore.apps._groups import open_receiver
from udpcore.apps._parity import Repairer

#: Chunks a missing one is waited for: late ones and repairs find their place.
WINDOW_CHUNKS = 512


class MulticastVideoReceiver(App):
    """Receives a stream into a file and says what is missing. Joins the group at once."""

    def __init__(
        self,
        group: str = "239.1.1.1",
        port: int = 5004,
        *,
        interface: str | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        self.sock = open_receiver(group, port, interface)
        self._repairs = open_receiver(group, port + 1, interface)
        self._repairs.setblocking(False)

    def receive_stream(self, output_path: str | Path, timeout: float = 5.0) -> dict[str, Any]:
        """Write the stream to a file until its end mark, or `timeout` seconds without a chunk.

        Returns the gap report: ``received``, ``lost``, ``repaired``, ``gaps`` (first and last
        number of each), ``reordered``, ``duplicate_or_late``.
        """
        stream, repairer = _core.AppStreamReceiver(WINDOW_CHUNKS), Repairer(WINDOW_CHUNKS)
        end, last = None, time.monotonic()
        self.running = True
        with Path(output_path).open("wb") as file:
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
            file.write(stream.finish(end))
        report = stream.report()
        self.say(f"{output_path}: {report}")
        return report

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
