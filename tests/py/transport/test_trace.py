"""The wheel, a release build, runs the transport to the same hashes as the debug build of cargo."""

from __future__ import annotations

from pathlib import Path

import pytest

from udpcore import _core

GOLDEN = Path(__file__).resolve().parents[2] / "snapshots" / "transport_trace_hashes.txt"
RUNS = [line.split() for line in GOLDEN.read_text(encoding="ascii").splitlines()]


@pytest.mark.parametrize(("seed", "expected"), RUNS)
def test_the_run_of_a_seed_has_the_hash_written_down(seed, expected):
    hashes = [f"{_core.transport_trace_hash(int(seed)):08x}" for _ in range(2)]
    assert hashes == [expected, expected]


def test_another_seed_is_another_run():
    assert len({hash_ for _, hash_ in RUNS}) == len(RUNS) >= 8
