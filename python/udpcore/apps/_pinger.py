"""Sends numbered probes to an echo, matches what comes back, and reports the round trips."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from udpcore import _core
from udpcore.apps._app import POLL_SECONDS, Address, open_udp, receive

NUMBERS = 2**32


@dataclass(frozen=True)
class RttReport:
    """The numbers of a run; times in milliseconds, 0.0 when nothing was answered."""

    sent: int
    received: int
    loss: float
    """Share of the probes that nobody answered, 0 to 1."""
    duplicates: int
    out_of_order: int
    min_ms: float
    avg_ms: float
    max_ms: float
    deviation_ms: float
    jitter_ms: float

    def __getitem__(self, name: str) -> float:
        """``report["avg_ms"]`` for ``report.avg_ms``."""
        value: float = asdict(self)[name]
        return value


class Pinger:
    """Sends probes and matches their echoes; :meth:`probe` does one after the other."""

    def __init__(self, server: Address, payload: bytes = b"x" * 32) -> None:
        self.server, self.payload = server, payload
        self.sock = open_udp("::" if ":" in server[0] else "")
        self.rtt = _core.AppRtt()
        self._next = 0

    def send(self) -> int:
        """Send the next probe and return its number."""
        number, self._next = self._next, (self._next + 1) % NUMBERS
        self.rtt.sent(number, time.monotonic())
        self.sock.sendto(_core.echo_probe(number, self.payload), self.server)
        return number

    def probe(self, wait: float) -> Iterator[tuple[int, float | str]]:
        """Send one probe; yield every echo that comes before its own, and its own.

        An echo is its number and its seconds, or ``"duplicate"``; `wait` seconds end it.
        """
        number = self.send()
        for echoed, answer in self.echoes(time.monotonic() + wait):
            yield echoed, answer
            if echoed == number:
                return

    def echoes(self, until: float) -> Iterator[tuple[int, float | str]]:
        """Yield the echoes that come until this moment of the monotonic clock."""
        while (left := until - time.monotonic()) > 0:
            self.sock.settimeout(min(left, POLL_SECONDS))
            if (reply := receive(self.sock)) is None:
                continue
            number = _core.echo_probe_number(reply[0])
            if number is None:
                continue
            answer = self.rtt.echoed(number, time.monotonic())
            if answer != "unknown":
                yield number, answer

    def report(self) -> RttReport:
        """The numbers so far."""
        numbers = self.rtt.summary()
        milliseconds = {
            f"{name}_ms": numbers.pop(f"{name}_s") * 1000
            for name in ("min", "avg", "max", "deviation", "jitter")
        }
        return RttReport(**numbers, **milliseconds)

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()


def in_words(answer: float | str) -> str:
    """An echo's seconds in milliseconds; what is no number as it is."""
    return f"{answer * 1000:.3f} ms" if isinstance(answer, float) else answer
