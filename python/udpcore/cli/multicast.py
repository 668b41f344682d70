"""``udpcore multicast``: send texts to a group, or print what comes."""

from __future__ import annotations

import itertools

from udpcore.apps.multicast import multicast_receiver, multicast_sender
from udpcore.cli._apps import count, port_number, positive
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore multicast recv                        print what is sent to 224.1.1.1:5007
  udpcore multicast send hello                  send a text
  udpcore multicast send                        send numbers until Ctrl-C
  udpcore multicast recv --group ff02::1234 --interface eth0
  udpcore multicast recv --group 232.1.1.1 --source 192.0.2.7"""


def main(prog: str, argv: list[str]) -> int:
    """Send or receive; 1 when nothing came in time."""
    parser = Parser(prog, "Send to a multicast group, or listen to one.", EXAMPLES)
    parser.add_argument("what", choices=["send", "recv"])
    parser.add_argument("message", nargs="*", help="send: the texts (numbers for ever)")
    parser.add_argument("--group", default="224.1.1.1", help="IPv4 or IPv6 (%(default)s)")
    parser.add_argument("--port", type=port_number, default=5007, help="(%(default)s)")
    parser.add_argument("--interface", help="our address (IPv4) or the interface's name (IPv6)")
    parser.add_argument("--source", help="recv: only what this address sends")
    parser.add_argument("--ttl", type=count, default=2, help="send: routers to cross (%(default)s)")
    parser.add_argument(
        "--interval", type=positive, default=1.0, help="send: seconds (%(default)s)"
    )
    parser.add_argument("--no-loop", action="store_true", help="send: not to this machine")
    parser.add_argument("-c", "--count", type=count, help="messages (until Ctrl-C)")
    parser.add_argument("--timeout", type=positive, help="recv: seconds to listen")
    arguments = parser.parse_args(argv)
    place = (arguments.group, arguments.port)
    if arguments.what == "recv":
        bounds = (arguments.count, arguments.timeout)
        came = multicast_receiver(
            *place, *bounds, interface=arguments.interface, source=arguments.source, verbose=True
        )
        return EXIT_OK if came or bounds == (None, None) else EXIT_FAILED
    texts = arguments.message or (f"Message {number}" for number in itertools.count())
    multicast_sender(
        *place,
        itertools.islice(texts, arguments.count),
        ttl=arguments.ttl,
        loop=not arguments.no_loop,
        interface=arguments.interface,
        interval=arguments.interval,
        verbose=True,
    )
    return EXIT_OK
