"""Block codes from Python: udpcore.fec beside zfec (`pip install zfec`), interleaved rounds.

Run with a release build: ``python tests/bench/fec_vs_zfec.py``. The chunks are hot in the cache;
as many source chunks are lost as there are repair chunks. Medians.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import _report
import zfec

from udpcore import fec

SHAPES = [(10, 3), (50, 15), (100, 30)]
CHUNK_BYTES = 1000
SECONDS_A_ROUND = 0.02
ROUNDS = 15


def seconds(work: Callable[[], object]) -> float:
    """Seconds for one call, over a round."""
    calls, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS_A_ROUND:
        for _ in range(16):
            work()
        calls += 16
    return elapsed / calls


def jobs(k: int, m: int) -> dict[str, Callable[[], object]]:
    """The four things to measure, checked against each other."""
    chunks = [os.urandom(CHUNK_BYTES) for _ in range(k)]
    encoder, decoder = fec.Encoder(k, m), fec.Decoder(k, m)
    there = dict(enumerate(chunks[m:], m)) | dict(enumerate(encoder.encode(chunks), k))
    assert decoder.decode(there) == chunks
    numbers = list(range(k, k + m))
    zencoder, zdecoder = zfec.Encoder(k, k + m), zfec.Decoder(k, k + m)
    shares = zencoder.encode(chunks, numbers) + chunks[m:]
    share_numbers = numbers + list(range(m, k))
    assert set(zdecoder.decode(shares, share_numbers)) == set(chunks)
    return {
        "encode udpcore": lambda: encoder.encode(chunks),
        "encode zfec": lambda: zencoder.encode(chunks, numbers),
        "decode udpcore": lambda: decoder.decode(there),
        "decode zfec": lambda: zdecoder.decode(shares, share_numbers),
    }


def main() -> None:
    """Measure and print a table."""
    kernel = fec.Encoder(1, 1).kernel
    bar = "≥ 25x" if "gfni" in kernel.lower() else "≥ 10x"
    rows = []
    for k, m in SHAPES:
        work = jobs(k, m)
        times: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(ROUNDS):
            for name, job in work.items():
                times[name].append(seconds(job))
        rate = {
            name: k * CHUNK_BYTES / statistics.median(values) / 1e9
            for name, values in times.items()
        }
        for verb in ("encode", "decode"):
            ours, theirs = rate[f"{verb} udpcore"], rate[f"{verb} zfec"]
            rows.append(
                {
                    "work": f"{verb} {k}+{m}, {CHUNK_BYTES} B chunks",
                    "ours": ours,
                    "peer": f"zfec {theirs:.3g}",
                    "unit": "GB/s of source data",
                    "ratio": ours / theirs,
                    "bar": bar,
                }
            )
    _report.say("Forward error correction", rows, [f"Kernel chosen at run time: {kernel}."])


if __name__ == "__main__":
    main()
