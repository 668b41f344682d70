"""Metrics over UDP: a StatsD server (all types, DogStatsD tags) and a small client.

The server adds up in Rust, flushes every 10 seconds, serves Prometheus over HTTP and sends
Graphite lines over TCP when asked to.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import App, open_udp, receive, run_as_program
from udpcore.apps._metrics_client import MetricsClient
from udpcore.apps._metrics_http import serve_text

__all__ = ["MetricsClient", "MetricsServer"]

RECEIVE_BUFFER_BYTES = 8 << 20
#: Datagrams taken between two looks at the clock.
BATCH = 4096
GRAPHITE_TIMEOUT_SECONDS = 2.0


class MetricsServer(App):
    """Receives StatsD lines.

    `counters` are totals since the start, `gauges` the last values, `timers` the values of the
    interval. `prometheus_port` (0: any) serves ``/metrics``; `graphite` is the address of a
    Graphite server.
    """

    def __init__(
        self,
        port: int = 8125,
        *,
        host: str = "0.0.0.0",
        flush_interval: float = 10.0,
        prometheus_port: int | None = None,
        graphite: tuple[str, int] | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        self.flush_interval, self.graphite = flush_interval, graphite
        self.sock = open_udp(host, port)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.port: int = self.sock.getsockname()[1]
        self._metrics = _core.AppMetrics()
        self.last_flush: dict[str, Any] = {}
        self._http = None
        if prometheus_port is not None:
            self._http = serve_text(host, prometheus_port, self._metrics.prometheus)
            self.prometheus_port: int = self._http.server_address[1]

    def run(self) -> None:
        """Serve until `close` or Ctrl-C."""
        self.running = True
        self.say(f"StatsD on port {self.port}")
        next_flush = time.monotonic() + self.flush_interval
        while self.running:
            self._receive()
            if time.monotonic() >= next_flush:
                next_flush += self.flush_interval
                self.flush()

    def _receive(self) -> None:
        """Wait for a datagram, then take what else is there."""
        if message := receive(self.sock):
            self._metrics.handle(message[0])
            self._metrics.drain(self.sock.fileno(), BATCH)

    def flush(self) -> dict[str, Any]:
        """End the interval and return what it brought."""
        self.last_flush = self._metrics.flush(self.flush_interval)
        self.say(f"flush: {self.last_flush}")
        if self.graphite:
            text = self._metrics.graphite("stats", int(time.time()))
            # A slow Graphite must not keep the metrics waiting.
            arguments = (self.graphite, text)
            threading.Thread(target=self._to_graphite, args=arguments, daemon=True).start()
        return self.last_flush

    def _to_graphite(self, address: tuple[str, int], text: str) -> None:
        try:
            with socket.create_connection(address, GRAPHITE_TIMEOUT_SECONDS) as server:
                server.sendall(text.encode())
        except OSError as error:
            self.logger.warning("Graphite at %s: %s", address, error)

    counters = property(lambda self: self._metrics.counters(), doc="Counters since the start.")
    gauges = property(lambda self: self._metrics.gauges(), doc="Gauges as they are.")
    timers = property(lambda self: self._metrics.timers(), doc="The interval's observations.")
    stats = property(lambda self: self._metrics.stats(), doc="Datagrams, lines, malformed lines…")

    def close(self) -> None:
        """Stop serving and close the ports."""
        super().close()
        self.sock.close()
        if self._http:
            self._http.shutdown()
            self._http.server_close()


if __name__ == "__main__":
    run_as_program("metrics")
