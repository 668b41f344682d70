"""A sender that keeps to a rate: a token bucket, not a sleep after every datagram."""

from __future__ import annotations

import time
from typing import Any

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import App, run_as_program

#: Tokens are counted in thousandths, so that rates below one a second exist.
MILLI = 1000
#: How much time's worth of datagrams may leave at once after a pause, unless told otherwise.
BURST_SECONDS = 0.005


class Pacer:
    """Waits until the next units may pass: `rate` a second, at most `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        if rate < 1 / MILLI:
            raise ValueError(f"rate {rate} a second: give at least 0.001")
        self._bucket = _core.AppTokenBucket(
            round(rate * MILLI), max(round(burst * MILLI), 1), time.monotonic()
        )

    def wait(self, units: float = 1) -> float:
        """Wait for `units` and return the seconds that took."""
        cost, waited = round(units * MILLI), 0.0
        while (pause := self._bucket.take(time.monotonic(), cost)) > 0:
            time.sleep(pause)
            waited += pause
        return waited

    def set_rate(self, rate: float) -> None:
        """Change the rate; what was saved up stays."""
        self._bucket.set_rate(time.monotonic(), round(rate * MILLI))


class RateLimitedUDPSender(App):
    """Sends at most `max_packets_per_sec`, and after a pause at most `burst` at once.

    >>> from udpcore.apps import RateLimitedUDPSender
    >>> with RateLimitedUDPSender(1000) as sender:
    ...     for number in range(3):
    ...         size = sender.send(b"%d" % number, ("127.0.0.1", 9))
    >>> sender.stats["sent"]
    3
    """

    def __init__(
        self,
        max_packets_per_sec: float = 1000,
        *,
        burst: float | None = None,
        sock: socket.socket | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        self.max_packets_per_sec = max_packets_per_sec
        self.burst = max(1.0, max_packets_per_sec * BURST_SECONDS) if burst is None else burst
        self._pacer = Pacer(max_packets_per_sec, self.burst)
        self._owned = sock is None
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM) if sock is None else sock
        self.stats = {"sent": 0, "errors": 0, "waited_seconds": 0.0}

    def send(self, data: bytes | bytearray | memoryview, dest: Any) -> int:
        """Wait for the rate, send `data` to `dest`, and return how many bytes were sent.

        A system error is counted and raised (:class:`OSError`).
        """
        self.stats["waited_seconds"] += self._pacer.wait()
        try:
            size = self.sock.sendto(data, dest)
        except OSError:
            self.stats["errors"] += 1
            raise
        self.stats["sent"] += 1
        return size

    def close(self) -> None:
        """Close the socket, unless it was given."""
        if self._owned:
            self.sock.close()


if __name__ == "__main__":
    run_as_program("rate")
