"""``udpcore voip``: one end of a call."""

from __future__ import annotations

import time

from udpcore.apps.voip import VoIPClient
from udpcore.cli._apps import address, port_number, positive, serve, show_address
from udpcore.cli._parser import EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore voip 127.0.0.1:7001 --port 7000                     microphone and speaker, or a tone
  udpcore voip HOST:7001 --port 7000 --source question.wav --sink answer.wav
  udpcore voip HOST:7001 --port 7000 --wire pcm               the tutorial's bare samples"""


def main(prog: str, argv: list[str]) -> int:
    """Call until Ctrl-C or for `--seconds`, then report the quality."""
    parser = Parser(prog, "A call over UDP: RTP, 16 kHz, G.711 or Opus.", EXAMPLES)
    parser.add_argument("peer", type=address, metavar="HOST:PORT")
    parser.add_argument("--port", type=port_number, default=7000, help="ours (%(default)s)")
    parser.add_argument("--wire", choices=["rtp", "pcm"], default="rtp", help="(%(default)s)")
    codecs = ["ulaw", "alaw", "linear", "opus"]
    parser.add_argument("--codec", choices=codecs, default="ulaw", help="opus needs udpcore[media]")
    parser.add_argument("--source", help="mic, tone, silence or a WAV file (16 kHz, mono, 16 bit)")
    parser.add_argument("--sink", help="speaker, none or a WAV file")
    parser.add_argument("--suppress-silence", action="store_true", help="send only speech")
    parser.add_argument("--cancel-echo", action="store_true", help="needs udpcore[media]")
    parser.add_argument("--seconds", type=positive, help="hang up after so long")
    parser.add_argument("--json", action="store_true", help="the quality as JSON")
    arguments = parser.parse_args(argv)
    host, port = arguments.peer
    with VoIPClient(
        host,
        port,
        arguments.port,
        wire=arguments.wire,
        codec=arguments.codec,
        source=arguments.source,
        sink=arguments.sink,
        suppress_silence=arguments.suppress_silence,
        cancel_echo=arguments.cancel_echo,
    ) as client:
        client.start()
        peer = show_address(arguments.peer)
        ready = f"talking to {peer} from port {client.local_port}; Ctrl-C hangs up"
        serve(
            lambda: time.sleep(arguments.seconds or 10**6),
            lambda: {**client.stats, **client.quality()},
            arguments.json,
            ready=ready,
        )
    return EXIT_OK
