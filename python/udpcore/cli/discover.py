"""``udpcore discover``: who announces a service here; with ``--announce``, announce one."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from udpcore.apps.discovery import ServiceDiscovery
from udpcore.cli._apps import port_number, positive, print_json, serve, tell
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore discover                                   ask for 5 seconds, list who answered
  udpcore discover --watch                           a live list until Ctrl-C
  udpcore discover --announce '{"name": "web", "port": 80}'"""


def main(prog: str, argv: list[str]) -> int:
    """Ask, watch or announce; 1 when nobody answered."""
    parser = Parser(prog, "Find services on the local network, or announce one.", EXAMPLES)
    parser.add_argument("--port", type=port_number, default=37020, help="(%(default)s)")
    parser.add_argument("--timeout", type=positive, default=5.0, help="seconds (%(default)s)")
    parser.add_argument("--announce", metavar="JSON", help="what to say of the service")
    parser.add_argument("--watch", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="the list as JSON")
    arguments = parser.parse_args(argv)
    discovery = ServiceDiscovery(arguments.port)
    if arguments.announce is not None:
        info = _json_or_text(arguments.announce)
        tell(f"announcing {info} on port {arguments.port}; Ctrl-C ends it")
        serve(lambda: discovery.announce_service(info), lambda: discovery.stats, arguments.json)
        return EXIT_OK
    if arguments.watch:
        discovery.watch(lambda host, info: _show(discovery, host, info))
        return EXIT_OK
    found = discovery.discover_services(arguments.timeout)
    if arguments.json:
        print_json(found)
    for service in [] if arguments.json else found:
        print(f"{service['address']:<40} {json.dumps(service['info'], ensure_ascii=False)}")
    if not found:
        tell(f"nobody answered on port {arguments.port} within {arguments.timeout} s")
    return EXIT_OK if found else EXIT_FAILED


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _show(discovery: ServiceDiscovery, host: str, info: Any) -> None:
    """Redraw the table on a terminal; elsewhere add a line."""
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        print(f"{host:<40} {json.dumps(info, ensure_ascii=False)}", flush=True)
        return
    now = time.monotonic()
    rows = [
        f"{address:<40} {now - first:6.0f} s  {service}"
        for address, service, first, _ in discovery.directory.entries()
    ]
    print("\x1b[H\x1b[2J" + "\n".join(rows), flush=True)
