"""``udpcore multicast``: send texts to a group, or print what comes."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable

from udpcore.apps._app import Address
from udpcore.apps.multicast import multicast_receiver, multicast_sender
from udpcore.cli._apps import (
    between,
    count,
    ip_address,
    port_number,
    positive,
    print_line,
    serve,
)
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore multicast recv                        print what is sent to 224.1.1.1:5007
  udpcore multicast send hello                  send a text
  udpcore multicast send                        send numbers until Ctrl-C
  udpcore multicast recv --group ff02::1234 --interface eth0
  udpcore multicast recv --group 232.1.1.1 --source 192.0.2.7"""

Show = Callable[[bytes, Address], None]


def main(prog: str, argv: list[str]) -> int:
    """Send or receive; 1 when nothing came in time."""
    parser = Parser(prog, "Send to a multicast group, or listen to one.", EXAMPLES)
    parser.add_argument("what", choices=["send", "recv"], metavar="send|recv")
    parser.add_argument("message", nargs="*", default=[], help="send: the texts (numbers for ever)")
    parser.add_argument(
        "--group", type=ip_address, default="224.1.1.1", help="IPv4 or IPv6 (%(default)s)"
    )
    parser.add_argument("--port", type=port_number, default=5007, help="(%(default)s)")
    parser.add_argument("--interface", help="its name, or our IPv4 address on it")
    parser.add_argument("--source", help="recv: only what this address sends")
    parser.add_argument(
        "--ttl", type=between(0, 255), default=2, help="send: routers to cross (%(default)s)"
    )
    parser.add_argument(
        "--interval", type=positive, default=1.0, help="send: seconds (%(default)s)"
    )
    parser.add_argument("--no-loop", action="store_true", help="send: not to this machine")
    parser.add_argument("-c", "--count", type=count, help="messages (until Ctrl-C)")
    parser.add_argument("--timeout", type=positive, help="recv: seconds to listen")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    arguments = parser.parse_args(argv)
    stats = {"messages": 0}

    def show(data: bytes, address: Address) -> None:
        stats["messages"] += 1
        text = data.decode(errors="replace")
        if arguments.json:
            print_line({"address": address, "text": text, "hex": data.hex()})
        else:
            print(f"{address[0]}:{address[1]} {text}", flush=True)

    place = (arguments.group, arguments.port)
    receives = arguments.what == "recv"
    ready = f"{'listening to' if receives else 'sending to'} {place[0]}:{place[1]}; Ctrl-C ends it"
    work = _receive if receives else _send
    serve(lambda: work(place, arguments, show), lambda: stats, out=sys.stderr, ready=ready)
    return EXIT_FAILED if receives and arguments.timeout and not stats["messages"] else EXIT_OK


def _receive(place: Address, arguments: argparse.Namespace, show: Show) -> None:
    multicast_receiver(
        *place,
        arguments.count,
        arguments.timeout,
        interface=arguments.interface,
        source=arguments.source,
        on_message=show,
    )


def _send(place: Address, arguments: argparse.Namespace, show: Show) -> None:
    texts = arguments.message or (f"Message {number}" for number in itertools.count())
    multicast_sender(
        *place,
        itertools.islice(texts, arguments.count),
        ttl=arguments.ttl,
        loop=not arguments.no_loop,
        interface=arguments.interface,
        interval=arguments.interval,
        on_message=show,
    )
