"""What processes call in the tests of sweep: found by import, as a user's function is."""

from __future__ import annotations

import os

from udpcore import netem


def dropped(options: dict[str, str], seed: int) -> int:
    network = netem.Simulator(seed=seed, up=options)
    for _ in range(200):
        network.send("up", b"x")
    return network.stats().up.dropped["loss"]


def process(_options: object, _seed: int) -> int:
    return os.getpid()
