"""Messages with deadlines on a lossy path: how many are on time with FEC, and without.

``python tests/bench/transport_deadlines.py``: messages of 200 bytes over 5 % of loss in virtual
time, each worthless 30 ms after the one-way delay, so that no retransmission is in time.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import _report

PEERS = Path(__file__).resolve().parent / "peers"


def main() -> None:
    """Build, run, print."""
    command = ["cargo", "run", "--release", "--quiet", "--locked", "--bin", "deadlines"]
    found = json.loads(subprocess.check_output(command, cwd=PEERS))
    rows = [
        {
            "work": f"{cell['per_second']:.0f} messages/s, {cell['rtt']:.0f} ms round trip",
            "ours": cell["with"],
            "peer": cell["without"],
            "unit": "% on time",
            "ratio": f"{cell['bytes']:.2f}x bytes",
            "bar": "≥ 97 %",
            "delivered late": round(cell["late"]),
        }
        for cell in found
    ]
    notes = [
        "5 % loss, deadline = one-way delay + 30 ms, 60 s and 7 seeds each; medians",
        "the peer is udpcore without FEC; the ratio says what FEC costs in bytes",
    ]
    _report.say("Deadlines with FEC", rows, notes)


if __name__ == "__main__":
    main()
