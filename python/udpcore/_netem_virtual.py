"""``netem.Simulator`` and ``netem.Link``: networks whose time is the caller's.

No thread, no socket; what the options mean is said in :mod:`udpcore.netem`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os import PathLike
from typing import Unpack, cast

from udpcore import _core
from udpcore._netem_faults import Fault
from udpcore._netem_said import MORE, Said
from udpcore._netem_types import (
    OPTIONS,
    Arrival,
    Direction,
    LinkOptions,
    LinkStats,
    NetworkStats,
    Verdict,
    checked,
    parsed,
    plain_verdict,
    refuse_unknown,
    shown,
)

#: Of at most so many packets a direction the decisions are kept; further ones are counted only.
LOG_PACKETS_MAX = 4_000_000


class Simulator:
    """Two directions in virtual time: an hour of traffic in the time it takes to compute it.

    The same options as :class:`~udpcore.netem.Proxy`. Time starts at 0.0 and moves only in
    :meth:`advance`.

    >>> from udpcore import netem
    >>> sim = netem.Simulator(delay="20ms", seed=7)
    >>> sim.send("up", b"ping").delivered
    True
    >>> sim.advance()
    Arrival(time=0.02, direction='up', flow=0, data=b'ping')
    >>> sim.send("down", b"pong").delay
    0.02
    >>> [arrival.data for arrival in sim.run(until=1.0)], sim.now
    ([b'pong'], 1.0)

    Lose exactly what a function chooses:

    >>> sim = netem.Simulator(drop=lambda packet: packet.ordinal == 1)
    >>> [sim.send("up", data).dropped for data in (b"one", b"two", b"three")]
    [None, 'rule', None]

    Change in time, as a scenario says:

    >>> text = '''
    ... [[timeline]]
    ... at = "5s"
    ... up = { loss = "100%" }
    ... '''
    >>> sim = netem.Simulator(scenario=text)
    >>> sim.advance(until=5.0)
    >>> sim.send("up", b"too late").dropped
    'loss'
    """

    def __init__(
        self,
        *,
        up: LinkOptions | None = None,
        down: LinkOptions | None = None,
        seed: int | None = None,
        scenario: str | PathLike[str] | None = None,
        replay: str | None = None,
        faults: Iterable[Fault] = (),
        **options: Unpack[LinkOptions],
    ) -> None:
        refuse_unknown("Simulator()", options, OPTIONS, MORE)
        self._said = said = Said(options, up, down, scenario, replay, faults)
        self._simulator = _core.NetemSimulator(said.up, said.down, said.seed(seed), said.scenario)

    @property
    def now(self) -> float:
        """The virtual time in seconds."""
        return self._simulator.now

    @property
    def seed(self) -> int:
        """The seed of all decisions."""
        return self._simulator.seed

    def send(self, direction: Direction, data: bytes, flow: int = 0) -> Verdict:
        """Send ``data`` now and return what was decided about it."""
        return plain_verdict(self._simulator.send(direction, data, flow))

    def next_deadline(self) -> float | None:
        """Return when the next packet arrives, or None when none is on its way."""
        return self._simulator.next_deadline()

    def advance(self, until: float | None = None) -> Arrival | None:
        """Move the time to the next arrival and return it.

        When nothing arrives up to and including ``until``, move the time to ``until`` and return
        None. Without ``until``: return None at once when nothing is on its way.
        """
        arrival = self._simulator.advance(until)
        if arrival is None:
            return None
        time, direction, flow, data = arrival
        return Arrival(time, cast(Direction, direction), flow, data)

    def run(self, until: float) -> Iterator[Arrival]:
        """Yield every arrival up to and including ``until``, those sent meanwhile too."""
        while (arrival := self.advance(until)) is not None:
            yield arrival

    def set(self, *, up: LinkOptions | None = None, down: LinkOptions | None = None) -> None:
        """Change options of a direction from now on; those not given stay as they are."""
        up_options, down_options = self._said.changed(up, down)
        self._simulator.set_config(up_options, down_options)
        self._said.up, self._said.down = up_options, down_options

    def rebinds(self) -> list[tuple[float, int | None]]:
        """Return the rebindings that the timeline has come to since: when, and of which flow.

        None is every flow. The endpoints are the caller's, so the caller moves them.
        """
        return self._simulator.rebinds()

    @property
    def divergence(self) -> str | None:
        """Where a replay first met a packet that its log does not know."""
        return self._simulator.divergence()

    def stats(self) -> NetworkStats:
        """Return the counters so far."""
        return NetworkStats(**parsed(self._simulator.stats()))

    def log(self) -> str:
        """Return the decision log so far, as :meth:`~udpcore.netem.Proxy.log`."""
        return self._simulator.log()

    def __repr__(self) -> str:
        return f"<netem.Simulator at {self.now:.6f} s {self._said}seed={self.seed}>"


class Link:
    """One direction without a clock: the caller says what time it is, in seconds.

    Time never runs backwards. The same options as :class:`~udpcore.netem.Proxy`, but for ``up``
    and ``down``; of a ``scenario`` it takes its direction.

    >>> from udpcore import netem
    >>> link = netem.Link("up", delay="20ms", seed=7)
    >>> verdict = link.input(0.0, b"hello")
    >>> link.poll(0.019), link.next_deadline(), link.poll(0.020)
    (None, 0.02, (0, b'hello'))
    """

    def __init__(
        self,
        direction: Direction = "up",
        *,
        seed: int | None = None,
        scenario: str | PathLike[str] | None = None,
        replay: str | None = None,
        faults: Iterable[Fault] = (),
        **options: Unpack[LinkOptions],
    ) -> None:
        refuse_unknown("Link()", options, OPTIONS, ("direction", *MORE[2:]))
        said = Said(options, None, None, scenario, replay, faults)
        self._options = said.up
        given = said.seed(seed), said.scenario
        self._link = _core.NetemLink(direction, said.up, LOG_PACKETS_MAX, *given)
        self.direction: Direction = direction

    @property
    def seed(self) -> int:
        """The seed of all decisions."""
        return self._link.seed

    def input(self, now: float, data: bytes, flow: int = 0) -> Verdict:
        """Take ``data`` in at ``now`` and return what was decided about it."""
        return plain_verdict(self._link.input(now, data, flow))

    def next_deadline(self) -> float | None:
        """Return when :meth:`poll` has something to give, if ever."""
        return self._link.next_deadline()

    def poll(self, now: float) -> tuple[int, bytes] | None:
        """Return the flow and the data of the next packet that is due at ``now``."""
        return self._link.poll(now)

    def set(self, **options: Unpack[LinkOptions]) -> None:
        """Change options from now on; those not given stay as they are."""
        new = {**self._options, **checked("set()", options)}
        self._link.set_config(new)
        self._options = new

    @property
    def divergence(self) -> str | None:
        """Where a replay first met a packet that its log does not know."""
        return self._link.divergence()

    def stats(self) -> LinkStats:
        """Return the counters so far."""
        return LinkStats(**self._link.stats())

    def log(self) -> str:
        """Return the decision log so far, as :meth:`~udpcore.netem.Proxy.log`."""
        return self._link.log()

    def __repr__(self) -> str:
        options = shown(self._options, self._options)
        return f"<netem.Link {self.direction} {options}seed={self.seed}>"
