"""The client of the metrics server: one StatsD line a call, never waiting, never raising."""

from __future__ import annotations

import random
from collections.abc import Mapping

import udpcore as socket
from udpcore.apps._app import App

Tags = Mapping[str, str] | None


class MetricsClient(App):
    """Sends metrics. A lost datagram is a lost metric, and an absent server disturbs nobody."""

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8125,
        *,
        prefix: str = "",
        sample_rate: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 < sample_rate <= 1:
            raise ValueError(f"sample_rate {sample_rate}: give more than 0 and at most 1")
        self.prefix, self.sample_rate = prefix, sample_rate
        family, kind, _, _, self.address = socket.getaddrinfo(
            host, port, socket.AF_INET, socket.SOCK_DGRAM
        )[0]
        self.sock = socket.socket(family, kind)
        self.sock.setblocking(False)
        self.stats = {"sent": 0, "sampled_out": 0, "errors": 0}

    def increment(self, name: str, value: float = 1, tags: Tags = None) -> None:
        """Add `value` to a counter; sampled at the client's rate."""
        if self.sample_rate < 1 and random.random() >= self.sample_rate:
            self.stats["sampled_out"] += 1
            return
        rate = f"|@{self.sample_rate}" if self.sample_rate < 1 else ""
        self._send(f"{name}:{value}|c{rate}", tags)

    def decrement(self, name: str, value: float = 1, tags: Tags = None) -> None:
        """Take `value` from a counter."""
        self.increment(name, -value, tags)

    def gauge(self, name: str, value: float, tags: Tags = None) -> None:
        """Set a gauge."""
        if value < 0:
            # A sign means a change, so a negative value is a change from zero.
            self._send(f"{name}:0|g", tags)
        self._send(f"{name}:{value}|g", tags)

    def change_gauge(self, name: str, change: float, tags: Tags = None) -> None:
        """Add `change` to a gauge."""
        self._send(f"{name}:{change:+}|g", tags)

    def timing(self, name: str, ms: float, tags: Tags = None) -> None:
        """Report a duration in milliseconds."""
        self._send(f"{name}:{ms}|ms", tags)

    def unique(self, name: str, member: str, tags: Tags = None) -> None:
        """Count `member` once in a set."""
        self._send(f"{name}:{member}|s", tags)

    def histogram(self, name: str, value: float, tags: Tags = None) -> None:
        """Report one observation."""
        self._send(f"{name}:{value}|h", tags)

    def _send(self, line: str, tags: Tags) -> None:
        labels = "|#" + ",".join(f"{k}:{v}" for k, v in tags.items()) if tags else ""
        try:
            self.sock.sendto(f"{self.prefix}{line}{labels}".encode(), self.address)
            self.stats["sent"] += 1
        except OSError:
            self.stats["errors"] += 1

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()
