"""``udpcore dhcp``: what the DHCP servers here would offer; no lease is taken."""

from __future__ import annotations

import sys
from dataclasses import asdict

from udpcore.apps.dhcp import DhcpOffer, dhcp_discover
from udpcore.cli._apps import positive, print_json, serve
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  sudo udpcore dhcp                  ask on every Ethernet interface
  sudo udpcore dhcp --interface eth0 --json"""


def main(prog: str, argv: list[str]) -> int:
    """Ask; 1 when nobody offered."""
    parser = Parser(
        prog,
        "Ask DHCP servers what they would offer (needs root; takes no lease).",
        EXAMPLES,
    )
    parser.add_argument("--interface", help="ask on this one only")
    parser.add_argument("--timeout", type=positive, default=3.0, help="seconds (%(default)s)")
    parser.add_argument("--json", action="store_true", help="the offers as JSON")
    arguments = parser.parse_args(argv)
    offers: list[DhcpOffer] = []

    def ask() -> None:
        dhcp_discover(arguments.interface, arguments.timeout, on_offer=offers.append)

    ready = f"asking for {arguments.timeout:g} s; Ctrl-C ends it"
    try:
        serve(ask, lambda: {"offers": len(offers)}, ready=ready, out=sys.stderr)
    finally:
        _show(offers, arguments.json)
    return EXIT_OK if offers else EXIT_FAILED


def _show(offers: list[DhcpOffer], as_json: bool) -> None:
    if as_json:
        print_json([asdict(offer) for offer in offers])
    for offer in [] if as_json else offers:
        print(f"{offer.address} on {offer.interface}")
        for name, value in asdict(offer).items():
            if value not in (None, (), offer.address, offer.interface):
                text = ", ".join(value) if isinstance(value, tuple) else value
                print(f"  {name.replace('_', ' '):<14} {text}")
