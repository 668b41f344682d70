"""What the classes of :mod:`udpcore.netem` take and give back: options, counters, verdicts."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Literal, Protocol, TypedDict

Address = tuple[str, int]
Direction = Literal["up", "down"]
Quantity = str | float
"""A value with a unit, ``"20ms"`` or ``"5%"``; a bare number is seconds, or a fraction of 1."""
Path = str | PathLike[str]


class Packet(Protocol):
    """What a ``drop`` function is asked about."""

    @property
    def direction(self) -> Direction:
        """Which way it travels."""

    @property
    def flow(self) -> int:
        """Its flow: clients are numbered by first arrival."""

    @property
    def ordinal(self) -> int:
        """Its place in its flow and direction, from 0."""

    @property
    def size(self) -> int:
        """Its size in bytes."""

    @property
    def time(self) -> float:
        """When it came in, in seconds since the start."""

    @property
    def data(self) -> bytes:
        """Its content."""


Predicate = Callable[[Packet], object]
"""A function that chooses packets: those it returns something true for."""


class LinkOptions(TypedDict, total=False):
    """What happens to packets in one direction; :mod:`udpcore.netem` says what each means."""

    loss: Quantity
    delay: Quantity
    jitter: Quantity
    reorder: Quantity
    duplicate: Quantity
    limit: int
    drop: Predicate
    distribution: str
    unordered: bool
    corrupt: Quantity
    truncate: str
    mtu: str | int
    ecn: Quantity
    rate: str | int
    queue: str
    blackhole: str
    profile: str
    tc: str
    loss_trace: Path
    delay_trace: Path
    delay_table: Path
    rate_trace: Path


OPTIONS = tuple(LinkOptions.__annotations__)


@dataclass(frozen=True)
class LinkStats:
    """The counters of one direction, in packets unless the name says bytes.

    They balance: ``received + duplicated == delivered + sum(dropped.values()) + queued``, always.
    """

    received: int
    received_bytes: int
    duplicated: int
    reordered: int
    ahead: int
    corrupted: int
    truncated: int
    ecn_marked: int
    delivered: int
    delivered_bytes: int
    queued: int
    queued_max: int
    dropped: Mapping[str, int] = field(hash=False)

    @property
    def dropped_total(self) -> int:
        """Dropped for any reason."""
        return sum(self.dropped.values())

    @property
    def is_balanced(self) -> bool:
        """Whether every packet is accounted for."""
        went = self.delivered + self.dropped_total + self.queued
        return self.received + self.duplicated == went

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.dropped.items() if count)
        return (
            f"received {self.received}, duplicated {self.duplicated}, reordered {self.reordered}, "
            f"delivered {self.delivered}, dropped {self.dropped_total}"
            f"{f' ({reasons})' if reasons else ''}, queued {self.queued}"
        )


@dataclass(frozen=True)
class NetworkStats:
    """The counters of both directions."""

    up: LinkStats
    down: LinkStats

    @property
    def is_balanced(self) -> bool:
        """Whether every packet is accounted for in both directions."""
        return self.up.is_balanced and self.down.is_balanced

    def __str__(self) -> str:
        return f"up: {self.up}; down: {self.down}"


@dataclass(frozen=True)
class ProxyStats(NetworkStats):
    """The counters of a :class:`Proxy`."""

    clients: int
    """Clients that are served now."""
    clients_total: int
    """Clients that were ever served."""
    clients_expired: int
    """Clients that were forgotten after two minutes of silence."""
    sockets_refused: int
    """Times the system had no socket for a client: the limit of open files."""
    receive_errors: int
    """Times the system refused to hand over a datagram."""

    def __str__(self) -> str:
        return f"{super().__str__()}; clients {self.clients} of {self.clients_total}"


@dataclass(frozen=True)
class Verdict:
    """What was decided about one packet."""

    ordinal: int
    """Its place in its flow and direction, from 0."""
    dropped: str | None
    """Why it was dropped, or None: it will arrive."""
    effects: frozenset[str]
    """What else was done to it: ``"duplicate"``, ``"reorder"``, ``"duplicate-queue-full"``."""
    delay: float
    """The delay drawn for it, in seconds."""

    @property
    def delivered(self) -> bool:
        """Whether it will arrive."""
        return self.dropped is None


@dataclass(frozen=True)
class Arrival:
    """A packet that came out of a :class:`Simulator`."""

    time: float
    """When, in seconds of virtual time."""
    direction: Direction
    """Which way it travelled: ``"up"`` arrives at the server."""
    flow: int
    data: bytes


def merged(both: Mapping[str, object], own: Mapping[str, object]) -> dict[str, object]:
    """The options of one direction over those of both; a tc string of its own says all."""
    if "tc" in own:
        both = {name: both[name] for name in ("replay", "faults") if name in both}
    return {**both, **own}


def checked(what: str, options: Mapping[str, object] | None) -> dict[str, object]:
    """The options that are given; an unknown one is refused."""
    refuse_unknown(what, options or {}, OPTIONS)
    return {name: value for name, value in (options or {}).items() if value is not None}


def refuse_unknown(
    what: str, given: Iterable[str], known: tuple[str, ...], more: tuple[str, ...] = ()
) -> None:
    """Raise TypeError for a name that is not known, with the one that may have been meant."""
    for name in given:
        if name in known:
            continue
        names = (*known, *more)
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}"
        raise TypeError(f"{what} got an unknown option {name!r}{hint}")


def plain_verdict(plain: tuple[int, str | None, str, float]) -> Verdict:
    """A verdict as the core gives it."""
    ordinal, dropped, effects, delay = plain
    return Verdict(ordinal, dropped, _effects(effects), delay)


@functools.cache
def _effects(words: str) -> frozenset[str]:
    """The same few sets again and again."""
    return frozenset(words.split("+")) - {""}


def parsed(stats: dict[str, Any]) -> dict[str, Any]:
    """Counters as the core gives them."""
    return stats | {way: LinkStats(**stats[way]) for way in ("up", "down")}


def shown(up: Mapping[str, object], down: Mapping[str, object]) -> str:
    """Options for a repr."""
    options = up if up == down else {"up": up, "down": down}
    return "".join(
        f"{name}={value!r} " for name, value in options.items() if name not in ("replay", "faults")
    )
