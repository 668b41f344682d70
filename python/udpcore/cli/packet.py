"""``udpcore packet``: list and draw the packets of a capture, or of bytes in hex."""

from __future__ import annotations

from pathlib import Path

from udpcore import packet
from udpcore.cli._apps import count, existing, in_hex, print_json, tell
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore packet capture.pcapng              one line a packet
  udpcore packet capture.pcap --number 3     draw its headers as the RFCs do
  udpcore packet --hex '4500 001c …' --first ipv4"""


def main(prog: str, argv: list[str]) -> int:
    """List or draw; 1 when a checksum is wrong or there is no such packet."""
    parser = Parser(prog, "The anatomy of packets: pcap, pcapng, or hex.", EXAMPLES)
    parser.add_argument("file", nargs="?", type=existing, help="pcap or pcapng")
    parser.add_argument("--hex", type=in_hex, help="the bytes of one packet")
    parser.add_argument("--first", default="ethernet", help="its outermost header (%(default)s)")
    parser.add_argument("--number", type=count, help="draw this packet")
    parser.add_argument("--hexdump", action="store_true", help="also dump the bytes")
    parser.add_argument("--json", action="store_true", help="the packets as JSON")
    arguments = parser.parse_args(argv)
    if (arguments.file is None) == (arguments.hex is None):
        parser.error("give a capture file, or --hex")
    if arguments.hex is not None:
        data = arguments.hex
        try:
            parsed = packet.parse(data, arguments.first)
        except ValueError as error:
            parser.error(f"--first: {error}")
        packets = [packet.Record(1, None, len(data), parsed, None)]
        drawn = 1
    else:
        packets, drawn = _read(arguments.file), arguments.number
    if drawn and drawn > len(packets):
        parser.error(f"--number {drawn}: the capture has {len(packets)} packets")
    shown = [packets[drawn - 1]] if drawn else packets
    if arguments.json:
        print_json([_as_json(record) for record in shown])
    for record in [] if arguments.json else shown:
        comment = f"  ({record.comment})" if record.comment else ""
        print(f"{record.number:6}  {record.packet.summary()}{comment}")
        if drawn:
            print(record.packet.show(), end="")
        if arguments.hexdump:
            print(record.packet.hexdump(), end="")
    wrong = any(layer.checksum == "bad" for one in shown for layer in one.packet.layers)
    return EXIT_FAILED if wrong else EXIT_OK


def _read(file: Path) -> list[packet.Record]:
    """All packets of a capture; Ctrl-C tells how many there were so far."""
    packets: list[packet.Record] = []
    try:
        packets += packet.open_capture(file)
    except KeyboardInterrupt:
        tell(f"{len(packets)} packets were read of {file}")
        raise
    return packets


def _as_json(record: packet.Record) -> dict[str, object]:
    layers = [
        {"protocol": layer.protocol, "checksum": layer.checksum, **layer.texts}
        for layer in record.packet.layers
    ]
    return {
        "number": record.number,
        "time_ns": record.time_ns,
        "length": record.length,
        "layers": layers,
        "payload": record.packet.payload.hex(),
        "comment": record.comment,
    }
