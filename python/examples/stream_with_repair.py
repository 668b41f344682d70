"""A file through a link that loses chunks, first bare, then with one repair chunk for four.

Uses four ports from the one given. `python stream_with_repair.py [PORT]`
"""

import os
import sys
import tempfile
import threading
from pathlib import Path

from udpcore import netem
from udpcore.apps import MulticastVideoReceiver, MulticastVideoStreamer

HOST, PORT = "127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 5104
LINK_PORT = PORT + 2
BAD = {"loss": "5%", "seed": 7}

with tempfile.TemporaryDirectory() as folder:
    film, copy = Path(folder) / "film", Path(folder) / "copy"
    film.write_bytes(os.urandom(300_000))
    for fec in (0, 4):
        with (
            netem.Proxy((HOST, PORT), listen=(HOST, LINK_PORT), **BAD),
            netem.Proxy((HOST, PORT + 1), listen=(HOST, LINK_PORT + 1), **BAD),
            MulticastVideoReceiver(HOST, PORT) as receiver,
            MulticastVideoStreamer(HOST, LINK_PORT, bitrate=10e6, fec=fec) as streamer,
        ):
            thread = threading.Thread(target=receiver.receive_stream, args=(copy, 1.0))
            thread.start()
            streamer.stream_file(film)
            thread.join()
            report = receiver.report()
        print(f"fec={fec}: lost {report['lost']}, repaired {report['repaired']}")
        print("  missing", report["gaps"] or "nothing")
