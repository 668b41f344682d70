"""``udpcore metrics``: a StatsD server, or one metric sent."""

from __future__ import annotations

from udpcore.apps.metrics import MetricsServer
from udpcore.cli._apps import address, port_number, positive, serve
from udpcore.cli._parser import EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore metrics                              StatsD on port 8125, a flush every 10 s
  udpcore metrics --prometheus 9102            also http://127.0.0.1:9102/metrics
  udpcore metrics --graphite 127.0.0.1:2003    also to Graphite
  udpcore send 127.0.0.1:8125 'page.views:1|c' send a metric"""


def main(prog: str, argv: list[str]) -> int:
    """Serve until Ctrl-C."""
    parser = Parser(prog, "A StatsD server: counters, gauges, timers, sets, tags.", EXAMPLES)
    parser.add_argument("--host", default="0.0.0.0", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=port_number, default=8125, help="(%(default)s)")
    parser.add_argument("--flush", type=positive, default=10.0, help="seconds (%(default)s)")
    parser.add_argument("--prometheus", type=port_number, metavar="PORT", help="serve /metrics")
    parser.add_argument("--graphite", type=address, metavar="HOST:PORT", help="send each flush")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")
    arguments = parser.parse_args(argv)
    with MetricsServer(
        arguments.port,
        host=arguments.host,
        flush_interval=arguments.flush,
        prometheus_port=arguments.prometheus,
        graphite=arguments.graphite,
        verbose=not arguments.json,
    ) as server:
        ready = "Ctrl-C ends it"
        serve(server.run, lambda: server.stats, arguments.json, ready=ready)
    return EXIT_OK
