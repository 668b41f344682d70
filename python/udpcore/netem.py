"""A network that misbehaves on command: seeded, repeatable, without root.

Three drivers of one pipeline (loss, duplicate, queue limit, delay with jitter, reorder, in this
order): :class:`Proxy` relays real UDP datagrams, :class:`Simulator` moves bytes in virtual time,
:class:`Link` is one direction without any clock. The same seed and the same packets give the same
decisions in all three.

Options, the same everywhere (``up`` is client to server, ``down`` is server to client):

==============  ===================================================================================
``loss``        probability that a packet is dropped: ``"10%"``, or a fraction such as ``0.1``
``delay``       how much later it arrives: ``"20ms"``, or seconds such as ``0.02``
``jitter``      how far the delay varies, at most ``delay``; the order of packets is kept
``reorder``     probability that later packets overtake: ``"2%"``, or in full
                ``"2% distance 3 flush 50ms"``: so many overtake, or the time is up
``duplicate``   probability that a packet arrives twice
``limit``       how many packets may be on their way at once, 100,000 unless given
``drop``        a function that is asked about each :class:`Packet` before anything else; what it
                returns something true for is dropped, with the reason ``rule``. Only a network
                that has one takes the GIL. It must not use the network; what it raises goes to
                :func:`sys.unraisablehook`, and the packet passes
==============  ===================================================================================
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Never, Protocol, Self, TypedDict, cast

from udpcore import _core

__all__ = [
    "Address",
    "Arrival",
    "Direction",
    "Link",
    "LinkOptions",
    "LinkStats",
    "NetworkStats",
    "Packet",
    "Predicate",
    "Proxy",
    "ProxyStats",
    "Quantity",
    "Simulator",
    "Verdict",
]

Address = tuple[str, int]
Direction = Literal["up", "down"]
Quantity = str | float
"""A string with a unit (``"20ms"``, ``"5%"``), or a bare number: seconds, a fraction."""

#: How many packets a log keeps; further ones are only counted.
LOG_PACKETS_MAX = 4_000_000


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
    """What happens to packets in one direction; the module's text says what each means."""

    loss: Quantity
    delay: Quantity
    jitter: Quantity
    reorder: Quantity
    duplicate: Quantity
    limit: int
    drop: Predicate


@dataclass(frozen=True)
class LinkStats:
    """The counters of one direction, in packets unless the name says bytes.

    They balance: ``received + duplicated == delivered + sum(dropped.values()) + queued``, always.
    """

    received: int
    received_bytes: int
    duplicated: int
    reordered: int
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


class Proxy:
    """A UDP relay before a server: clients talk to :attr:`address`, the network between is bad.

    ``upstream`` is the server's ``(host, port)``; ``listen`` where clients send to, by default a
    free port of 127.0.0.1. Options hold for both directions; those in ``up`` and ``down``
    override them for one. Without a ``seed`` a fresh one is taken: see :attr:`seed`.
    The relay runs on a thread of its own, never under the GIL.

    ``pcap`` names a pcapng file for Wireshark or tshark: both sides of the network, each packet
    with what was done to it as comment, such as ``drop: loss (up flow 0 packet 17)``. It is whole
    after :meth:`close`; a disk that does not keep up costs packets in the file, never in the
    network, which is then said by a ``RuntimeWarning``.

    Raises ValueError for a bad value, TypeError for an unknown option, OverflowError for a port
    above 65535, OSError when an address cannot be used, :class:`socket.gaierror` for an unknown
    host.

    >>> import socket
    >>> from udpcore import netem
    >>> server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    >>> server.bind(("127.0.0.1", 0))
    >>> client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    >>> with netem.Proxy(server.getsockname(), delay="5ms", duplicate="100%", seed=7) as proxy:
    ...     _ = client.sendto(b"hello", proxy.address)
    ...     server.recv(100), server.recv(100)
    (b'hello', b'hello')
    >>> server.close(); client.close()
    """

    def __init__(
        self,
        upstream: Address,
        listen: Address = ("127.0.0.1", 0),
        *,
        up: LinkOptions | None = None,
        down: LinkOptions | None = None,
        seed: int | None = None,
        pcap: str | PathLike[str] | None = None,
        loss: Quantity | None = None,
        delay: Quantity | None = None,
        jitter: Quantity | None = None,
        reorder: Quantity | None = None,
        duplicate: Quantity | None = None,
        limit: int | None = None,
        drop: Predicate | None = None,
        **unknown: Never,
    ) -> None:
        _refuse_unknown("Proxy()", unknown, _PROXY_KEYWORDS)
        both = _given(loss, delay, jitter, reorder, duplicate, limit, drop)
        self._up, self._down = both | _checked("up", up), both | _checked("down", down)
        upstream, listen = _address("upstream", upstream), _address("listen", listen)
        self._relay = _core.NetemRelay(upstream, listen, self._up, self._down, seed, pcap)

    @property
    def address(self) -> Address:
        """Where clients send to."""
        return self._relay.address

    @property
    def upstream(self) -> Address:
        """The server."""
        return self._relay.upstream

    @property
    def seed(self) -> int:
        """The seed of all decisions: give it again to repeat them."""
        return self._relay.seed

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._relay.closed

    def stats(self) -> ProxyStats:
        """Return the counters so far; after :meth:`close`, the final ones."""
        return ProxyStats(**_parsed(self._relay.stats()))

    def set(self, *, up: LinkOptions | None = None, down: LinkOptions | None = None) -> None:
        """Change options of a direction from now on; those not given stay as they are.

        Packets on their way keep their time. A value that is refused changes nothing.

        >>> from udpcore import netem
        >>> with netem.Proxy(("127.0.0.1", 9), loss="10%") as proxy:
        ...     proxy.set(up={"loss": "100%"})
        """
        new_up, new_down = self._up | _checked("up", up), self._down | _checked("down", down)
        self._relay.set_config(new_up, new_down)
        self._up, self._down = new_up, new_down

    def log(self) -> str:
        """Return the decision log so far: one line a packet, the same for the same seed.

        The columns are direction, flow, ordinal, size in bytes, verdict, reason, and the delay
        drawn in nanoseconds, sorted by direction, flow and ordinal.
        """
        return self._relay.log()

    def close(self) -> None:
        """Stop the relay; what is still on its way is counted as dropped, ``closed``."""
        was_closed = self._relay.closed
        self._relay.close()
        capture = self._relay.capture()
        if capture is not None and capture[2] is not None and not was_closed:
            warnings.warn(capture[2], RuntimeWarning, stacklevel=2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        host, port = self.address
        where = f"{host}:{port} -> {self.upstream[0]}:{self.upstream[1]}"
        state = " closed" if self.closed else ""
        return f"<netem.Proxy {where} {_options(self._up, self._down)}seed={self.seed}{state}>"


class Simulator:
    """Two directions in virtual time: an hour of traffic in the time it takes to compute it.

    The same options as :class:`Proxy`. Time starts at 0.0 and moves only in :meth:`advance`.

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
    """

    def __init__(
        self,
        *,
        up: LinkOptions | None = None,
        down: LinkOptions | None = None,
        seed: int | None = None,
        loss: Quantity | None = None,
        delay: Quantity | None = None,
        jitter: Quantity | None = None,
        reorder: Quantity | None = None,
        duplicate: Quantity | None = None,
        limit: int | None = None,
        drop: Predicate | None = None,
        **unknown: Never,
    ) -> None:
        _refuse_unknown("Simulator()", unknown, _KEYWORDS)
        both = _given(loss, delay, jitter, reorder, duplicate, limit, drop)
        self._up, self._down = both | _checked("up", up), both | _checked("down", down)
        self._simulator = _core.NetemSimulator(self._up, self._down, seed)

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
        return _verdict(self._simulator.send(direction, data, flow))

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
        new_up, new_down = self._up | _checked("up", up), self._down | _checked("down", down)
        self._simulator.set_config(new_up, new_down)
        self._up, self._down = new_up, new_down

    def stats(self) -> NetworkStats:
        """Return the counters so far."""
        return NetworkStats(**_parsed(self._simulator.stats()))

    def log(self) -> str:
        """Return the decision log so far, as :meth:`Proxy.log`."""
        return self._simulator.log()

    def __repr__(self) -> str:
        options = _options(self._up, self._down)
        return f"<netem.Simulator at {self.now:.6f} s {options}seed={self.seed}>"


class Link:
    """One direction without a clock: the caller says what time it is, in seconds.

    Time never runs backwards. The same options as :class:`Proxy`, but for ``up`` and ``down``.

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
        loss: Quantity | None = None,
        delay: Quantity | None = None,
        jitter: Quantity | None = None,
        reorder: Quantity | None = None,
        duplicate: Quantity | None = None,
        limit: int | None = None,
        drop: Predicate | None = None,
        **unknown: Never,
    ) -> None:
        _refuse_unknown("Link()", unknown, (*_OPTIONS, "direction", "seed"))
        self._options = _given(loss, delay, jitter, reorder, duplicate, limit, drop)
        self._link = _core.NetemLink(direction, self._options, LOG_PACKETS_MAX, seed)
        self.direction: Direction = direction

    @property
    def seed(self) -> int:
        """The seed of all decisions."""
        return self._link.seed

    def input(self, now: float, data: bytes, flow: int = 0) -> Verdict:
        """Take ``data`` in at ``now`` and return what was decided about it."""
        return _verdict(self._link.input(now, data, flow))

    def next_deadline(self) -> float | None:
        """Return when :meth:`poll` has something to give, if ever."""
        return self._link.next_deadline()

    def poll(self, now: float) -> tuple[int, bytes] | None:
        """Return the flow and the data of the next packet that is due at ``now``."""
        return self._link.poll(now)

    def set(self, **options: Any) -> None:
        """Change options from now on; those not given stay as they are."""
        new = self._options | _checked("set()", cast(LinkOptions, options))
        self._link.set_config(new)
        self._options = new

    def stats(self) -> LinkStats:
        """Return the counters so far."""
        return LinkStats(**self._link.stats())

    def log(self) -> str:
        """Return the decision log so far, as :meth:`Proxy.log`."""
        return self._link.log()

    def __repr__(self) -> str:
        options = "".join(f"{name}={value!r} " for name, value in self._options.items())
        return f"<netem.Link {self.direction} {options}seed={self.seed}>"


_OPTIONS = tuple(LinkOptions.__annotations__)
_KEYWORDS = (*_OPTIONS, "up", "down", "seed")
_PROXY_KEYWORDS = (*_KEYWORDS, "upstream", "listen", "pcap")


def _given(*values: object) -> dict[str, object]:
    pairs = zip(_OPTIONS, values, strict=True)
    return {name: value for name, value in pairs if value is not None}


def _checked(what: str, options: LinkOptions | None) -> dict[str, object]:
    checked: dict[str, object] = {**options} if options is not None else {}
    _refuse_unknown(what, checked, _OPTIONS, known_ok=True)
    return {name: value for name, value in checked.items() if value is not None}


def _refuse_unknown(
    what: str, given: Mapping[str, object], known: tuple[str, ...], known_ok: bool = False
) -> None:
    for name in given:
        if known_ok and name in known:
            continue
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
        raise TypeError(f"{what} got an unknown option {name!r}{hint}")


def _address(name: str, address: object) -> Address:
    match address:
        # The two more of an IPv6 address are of no use to a relay.
        case (str(host), int(port), *_):
            return host, port
    raise TypeError(f"{name}: expected (host, port), not {address!r}")


def _verdict(plain: tuple[int, str | None, str, float]) -> Verdict:
    ordinal, dropped, effects, delay = plain
    return Verdict(ordinal, dropped, frozenset(effects.split("+")) - {""}, delay)


def _parsed(stats: dict[str, Any]) -> dict[str, Any]:
    return stats | {way: LinkStats(**stats[way]) for way in ("up", "down")}


def _options(up: Mapping[str, object], down: Mapping[str, object]) -> str:
    shown = up if up == down else {"up": up, "down": down}
    return "".join(f"{name}={value!r} " for name, value in shown.items())
