"""``udpcore discover``: who announces a service here; with ``--announce``, announce one."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

from udpcore.apps.discovery import ServiceDiscovery
from udpcore.cli._apps import port_number, positive, print_json, print_line, serve
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore discover                                   ask for 5 seconds, list who answered
  udpcore discover --watch                           a live table until Ctrl-C
  udpcore discover --watch --json                    who comes and goes, one JSON object a line
  udpcore discover --announce '{"name": "web", "port": 80}'"""
REDRAW_SECONDS = 1.0
CLEAR_SCREEN = "\x1b[H\x1b[2J"


def main(prog: str, argv: list[str]) -> int:
    """Ask, watch or announce; 1 when nobody answered."""
    parser = Parser(prog, "Find services on the local network, or announce one.", EXAMPLES)
    parser.add_argument("--port", type=port_number, default=37020, help="(%(default)s)")
    parser.add_argument("--timeout", type=positive, default=5.0, help="seconds (%(default)s)")
    parser.add_argument("--announce", metavar="JSON", help="what to say of the service")
    parser.add_argument("--watch", action="store_true", help="go on until Ctrl-C")
    parser.add_argument("--lifetime", type=positive, default=16.0, help="watch: (%(default)s s)")
    parser.add_argument("--json", action="store_true", help="the list as JSON")
    arguments = parser.parse_args(argv)
    discovery = ServiceDiscovery(arguments.port, lifetime=arguments.lifetime)
    if arguments.announce is not None:
        info = _json_or_text(arguments.announce)
        ready = f"announcing {info} on port {arguments.port}; Ctrl-C ends it"
        serve(
            lambda: discovery.announce_service(info),
            lambda: discovery.stats,
            arguments.json,
            ready=ready,
        )
        return EXIT_OK
    found: list[dict[str, Any]] = []
    work = _watch if arguments.watch else _list
    ready = f"asking on port {arguments.port}; Ctrl-C ends it"
    serve(
        lambda: work(discovery, arguments, found),
        lambda: {"found": len(found)},
        out=sys.stderr,
        ready=ready,
    )
    return EXIT_OK if found else EXIT_FAILED


def _list(
    discovery: ServiceDiscovery, arguments: argparse.Namespace, found: list[dict[str, Any]]
) -> None:
    found += discovery.discover_services(arguments.timeout)
    if arguments.json:
        print_json(found)
    for service in [] if arguments.json else found:
        print(f"{service['address']:<40} {json.dumps(service['info'], ensure_ascii=False)}")


def _watch(
    discovery: ServiceDiscovery, arguments: argparse.Namespace, found: list[dict[str, Any]]
) -> None:
    """On a terminal, a table that is drawn anew; elsewhere a line for who comes and who goes."""
    live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not arguments.json
    next_drawing = 0.0
    for event in discovery.events():
        if event and event[0] == "new":
            found.append({"address": event[1], "info": event[2]})
        if live and (event or time.monotonic() >= next_drawing):
            next_drawing = time.monotonic() + REDRAW_SECONDS
            print(CLEAR_SCREEN + _table(discovery), flush=True)
        if live or not event:
            continue
        if arguments.json:
            print_line({"event": event[0], "address": event[1], "info": event[2]})
        else:
            what = json.dumps(event[2], ensure_ascii=False)
            print(f"{event[0]:<5} {event[1]:<40} {what}", flush=True)


def _table(discovery: ServiceDiscovery) -> str:
    now = time.monotonic()
    rows = [
        f"{address:<40} {now - first:7.0f} s {now - last:7.0f} s  {service}"
        for address, service, first, last in discovery.directory.entries()
    ]
    return "\n".join([f"{'address':<40} {'known':>9} {'silent':>9}  service", *rows])


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
