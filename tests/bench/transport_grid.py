"""Goodput of CUBIC and BBR over loss and round trip: udpcore beside quinn-proto in one simulator.

``python tests/bench/transport_grid.py``: a link of 20 Mbit/s with a queue of one
bandwidth-delay product in virtual time, the same seeds for both; medians.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import _report

PEERS = Path(__file__).resolve().parent / "peers"
SEEDS, SECONDS = 7, 30
SUFFIXES = {"CUBIC": "", "BBR": ", BBR"}
#: A controller that answers no loss is no measure for one that does.
BARS = {"CUBIC": "≥ 0.9x", "BBR": ""}


def main() -> None:
    """Build, run, print."""
    command = ["cargo", "run", "--release", "--quiet", "--locked", "--bin", "grid", "--"]
    found = subprocess.check_output([*command, str(SEEDS), str(SECONDS)], cwd=PEERS)
    rows = [
        {
            "work": f"{cell['loss']} % loss, {cell['rtt']} ms{SUFFIXES[cell['controller']]}",
            "ours": round(cell["ours"], 2),
            "peer": round(cell["peer"], 2),
            "unit": "Mbit/s",
            "ratio": f"{cell['ours'] / cell['peer']:.2f}",
            "bar": BARS[cell["controller"]],
        }
        for cell in json.loads(found)
    ]
    notes = [
        f"{SEEDS} seeds, {SECONDS} s of virtual time each; the peer is quinn-proto with its CUBIC, "
        "in the rows of BBR with its BBR: of the first version, experimental, blind to loss"
    ]
    _report.say("CUBIC and BBR over a link of 20 Mbit/s", rows, notes)


if __name__ == "__main__":
    main()
