"""A call through a link that loses a tenth of it: the tone does not break, the report says why.

Writes what is heard to the file given, or to nowhere. `python call_with_loss.py heard.wav`
"""

import sys
import time

from udpcore import netem
from udpcore.apps import VoIPClient

sink = sys.argv[1] if len(sys.argv) > 1 else "none"
with (
    VoIPClient("127.0.0.1", 9, 0, source="silence", sink=sink) as near,
    netem.Proxy(
        ("127.0.0.1", near.local_port), loss="10%", delay="20ms", jitter="10ms", seed=7
    ) as link,
    VoIPClient(*link.address, 0, source="tone", sink="none") as far,
):
    near.start()
    far.start()
    time.sleep(3)
    for name, value in near.quality().items():
        print(f"{name:<12} {value if isinstance(value, str) else round(value, 2)}")
