"""Faults one by one, and the smallest set of them with which something still fails."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from udpcore import _core
from udpcore._netem_types import Direction

#: what shrinking takes at most unless said otherwise: two faults among 500 take about 20
RUNS_MAX = 60


@dataclass(frozen=True)
class Fault:
    """One thing done to one packet.

    >>> from udpcore import netem
    >>> sim = netem.Simulator(faults=[netem.Fault("drop", "up", ordinal=1)])
    >>> [sim.send("up", data).delivered for data in (b"one", b"two", b"three")]
    [True, False, True]
    """

    action: str
    """``drop``, ``duplicate``, ``reorder``, ``corrupt``, ``truncate``, ``mark`` or ``pass``."""
    direction: Direction = "up"
    flow: int = 0
    ordinal: int = 0
    """The packet's place in its flow and direction, from 0."""

    def __str__(self) -> str:
        return f"{self.action} {self.direction} flow {self.flow} #{self.ordinal}"


@dataclass(frozen=True)
class Shrunk:
    """What :func:`shrink` came to."""

    faults: tuple[Fault, ...]
    log: str
    """The decision log with these faults only."""
    scenario: str
    """The faults as a scenario in TOML."""
    runs: int
    is_minimal: bool
    """Whether leaving out any one makes it pass; otherwise the runs were used up."""


def single_faults(
    action: str = "drop", *, first: int = 40, direction: Direction = "up", flow: int = 0
) -> Iterator[Fault]:
    """Yield the same thing done to each of the first packets of a flow, one at a time.

    >>> from udpcore import netem
    >>> [str(fault) for fault in netem.single_faults("drop", first=2)]
    ['drop up flow 0 #0', 'drop up flow 0 #1']
    """
    for ordinal in range(first):
        yield Fault(action, direction, flow, ordinal)


def fault_pairs(
    action: str = "drop", *, first: int = 10, direction: Direction = "up", flow: int = 0
) -> Iterator[tuple[Fault, Fault]]:
    """Yield the same thing done to each two of the first packets of a flow."""
    singles = single_faults(action, first=first, direction=direction, flow=flow)
    yield from itertools.combinations(singles, 2)


def faults_of(log: str) -> list[Fault]:
    """Return the faults of a decision log. Raises ValueError for what is no log."""
    return [_fault(*plain) for plain in _core.netem_log_faults(log)]


def shrink(log: str, fails: Callable[[str], object], runs: int = RUNS_MAX) -> Shrunk | None:
    """Find the smallest set of faults of ``log`` with which ``fails`` still says yes.

    ``fails`` is given a log with fewer faults; it runs what failed with ``replay=`` that log, and
    returns something true if it fails again. It is asked at most ``runs`` times. None: it does not
    fail even with all faults. What ``fails`` raises ends the search.

    >>> from udpcore import netem
    >>> def upload(**options):
    ...     sim = netem.Simulator(**options)
    ...     arrived = [sim.send("up", b"x").delivered for _ in range(100)]
    ...     return sim.log(), arrived[0] or arrived[7]
    >>> runs = (upload(loss="30%", seed=seed) for seed in range(99))
    >>> log = next(log for log, works in runs if not works)
    >>> shrunk = netem.shrink(log, lambda log: not upload(replay=log)[1])
    >>> [fault.ordinal for fault in shrunk.faults], shrunk.is_minimal
    ([0, 7], True)
    """
    shrunk = _core.netem_shrink(log, runs, fails)
    if shrunk is None:
        return None
    faults, small, scenario, taken, is_minimal = shrunk
    return Shrunk(tuple(_fault(*plain) for plain in faults), small, scenario, taken, is_minimal)


def _fault(action: str, direction: str, flow: int, ordinal: int) -> Fault:
    return Fault(action, "up" if direction == "up" else "down", flow, ordinal)
