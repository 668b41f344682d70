"""Networks that misbehave on command: a UDP relay, a simulator, a single link.

Quantities are strings with a unit, as in tc: ``"20ms"``, ``"5%"``. A bare number is seconds, or a
fraction of 1; a rate in bit/s, a size in bytes. The same seed and the same packets give the same
decisions, in every class of this module; a ``str()`` or ``repr()`` of each says the seed.

Options, the same everywhere (``up`` is client to server, ``down`` is server to client):

================ =================================================================================
``loss``         drop: ``"10%"``, ``"1% 25%"`` (clinging together), ``"gemodel 1% 20%"``,
                 ``"state 1% 25% 5% 50% 0.1%"``, ``"list 3,7-9"``, ``"every 10"``
``delay``        how much later a packet is delivered: ``"20ms"``, ``"20ms 5ms"``,
                 ``"20ms 5ms 25% distribution normal"``
``jitter``       how far the delay may lie from ``delay``; the order of packets is kept
``distribution`` its shape: ``uniform``, ``normal``, ``pareto``, ``paretonormal``, ``lognormal``
``unordered``    True: packets leave at their own times, even before earlier ones
``reorder``      probability that later packets overtake one; ``"2%"`` or
                 ``"2% distance 3 flush 50ms"``: so many overtake, or the time is up;
                 ``"25% 50% gap 5 ahead"``: as tc-netem does it
``duplicate``    probability that a packet arrives twice
``corrupt``      flip bits: ``"1%"``, ``"1% bits 3"``
``truncate``     cut off: ``"1% to 20B"``
``mtu``          drop larger packets: ``"1400B"``
``ecn``          mark packets that understand ECN: ``"5%"``, or ``"on-loss"``
``rate``         send no faster: ``"10mbit"``, ``"1mbit overhead 28 cell 48 5"``
``queue``        who waits for the rate: ``"droptail 100"``, ``"drophead 64kB"``,
                 ``"codel target 5ms interval 100ms"``
``blackhole``    when nothing comes through: ``"5s-5800ms"``, ``"every 10s for 1s from 3s"``
``limit``        how many packets may be on their way at once, 100,000 unless given
``drop``         a function that is asked about each :class:`Packet` before anything else; what it
                 returns something true for is dropped, with the reason ``rule``. Only a network
                 that has one takes the GIL. It must not use the network; what it raises goes to
                 :func:`sys.unraisablehook`, and the packet passes
``profile``      begin with a network by name, see :func:`profiles`
``tc``           what tc-netem is told: ``"delay 100ms 10ms loss 1% 25%"``; stands alone
``loss_trace``   a file with one 0 or 1 a packet; ``delay_trace``: one time a line;
                 ``delay_table``: a ``.dist`` table of iproute2; ``rate_trace``: a mahimahi trace
================ =================================================================================

Every class also takes ``seed``; ``scenario``, a TOML file with a timeline (or its text), instead of
options; ``faults``, things done to single packets; and ``replay``, the decision log of an earlier
run, whose decisions are then taken again.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any, Literal, Self, Unpack, cast

from udpcore import _core
from udpcore._netem_faults import Fault, Shrunk, fault_pairs, faults_of, shrink, single_faults
from udpcore._netem_said import MORE, Said, address_of
from udpcore._netem_stream import StreamOptions, StreamProxy, StreamStats
from udpcore._netem_types import (
    OPTIONS,
    Address,
    Arrival,
    LinkOptions,
    LinkStats,
    NetworkStats,
    Packet,
    Predicate,
    ProxyStats,
    Quantity,
    Verdict,
    parsed,
    refuse_unknown,
)
from udpcore._netem_virtual import Link, Simulator
from udpcore._sweep import SweepError, SweepResult, Trial, sweep

__all__ = [
    "Arrival",
    "Fault",
    "Link",
    "LinkOptions",
    "LinkStats",
    "NetworkStats",
    "Packet",
    "Predicate",
    "Profile",
    "Proxy",
    "ProxyStats",
    "Quantity",
    "Shrunk",
    "Simulator",
    "StreamOptions",
    "StreamProxy",
    "StreamStats",
    "SweepError",
    "SweepResult",
    "Trial",
    "Verdict",
    "fault_pairs",
    "faults_of",
    "profiles",
    "shrink",
    "single_faults",
    "sweep",
]


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

    ``control=("127.0.0.1", 0)`` answers HTTP while the proxy runs, on this machine only: a page
    with moving plots at ``/``, ``/metrics`` for Prometheus, ``PATCH /links/up`` to change options.

    With a ``scenario`` the network changes as its timeline says, from the moment it is made.

    ``protocol="tcp"`` makes a :class:`StreamProxy` instead, which has options of its own.

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

    def __new__(cls, *words: object, protocol: str = "udp", **options: object) -> Any:
        """Make a relay for UDP, or for TCP."""
        match protocol:
            case "udp":
                return super().__new__(cls)
            case "tcp":
                return StreamProxy(*words, **options)  # type: ignore[arg-type]
        raise ValueError(f"protocol: {protocol!r} is unknown: use 'udp' or 'tcp'")

    def __init__(
        self,
        upstream: Address,
        listen: Address = ("127.0.0.1", 0),
        *,
        up: LinkOptions | None = None,
        down: LinkOptions | None = None,
        seed: int | None = None,
        pcap: str | PathLike[str] | None = None,
        control: Address | None = None,
        scenario: str | PathLike[str] | None = None,
        replay: str | None = None,
        faults: Iterable[Fault] = (),
        protocol: Literal["udp", "tcp"] = "udp",
        **options: Unpack[LinkOptions],
    ) -> None:
        refuse_unknown(
            "Proxy()", options, OPTIONS, ("upstream", "listen", "pcap", "control", *MORE)
        )
        said = Said(options, up, down, scenario, replay, faults)
        upstream, listen = address_of("upstream", upstream), address_of("listen", listen)
        control = None if control is None else address_of("control", control)
        given = said.up, said.down, said.seed(seed), pcap, said.scenario, control
        self._relay, self._said = _core.NetemRelay(upstream, listen, *given), said

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

    @property
    def control(self) -> Address | None:
        """Where the control over HTTP listens, until :meth:`close`."""
        return self._relay.control

    def stats(self) -> ProxyStats:
        """Return the counters so far; after :meth:`close`, the final ones."""
        return ProxyStats(**parsed(self._relay.stats()))

    def set(self, *, up: LinkOptions | None = None, down: LinkOptions | None = None) -> None:
        """Change options of a direction from now on; those not given stay as they are.

        Packets on their way keep their time. A value that is refused changes nothing.

        >>> from udpcore import netem
        >>> with netem.Proxy(("127.0.0.1", 9), loss="10%") as proxy:
        ...     proxy.set(up={"loss": "100%"})
        """
        up_options, down_options = self._said.changed(up, down)
        self._relay.set_config(up_options, down_options)
        self._said.up, self._said.down = up_options, down_options

    def rebind(self, flow: int | None = None) -> int:
        """Let the server see a flow (or every one) come from another port, as a NAT does.

        Return how many were moved. What the server still sends to the old port is lost.
        """
        return self._relay.rebind(flow)

    @property
    def divergence(self) -> str | None:
        """Where a replay first met a packet that its log does not know."""
        return self._relay.divergence()

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

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        host, port = self.address
        where = f"{host}:{port} -> {self.upstream[0]}:{self.upstream[1]}"
        state = " closed" if self.closed else ""
        return f"<netem.Proxy {where} {self._said}seed={self.seed}{state}>"


class Profile:
    """A network by name."""

    def __init__(self, name: str, summary: str, source: str, up: object, down: object) -> None:
        self.name, self.summary = name, summary
        self.source = source
        """Where its numbers come from, or ``estimate``."""
        self.up: dict[str, str] = dict(cast("Sequence[tuple[str, str]]", up))
        self.down: dict[str, str] = dict(cast("Sequence[tuple[str, str]]", down))

    def __repr__(self) -> str:
        return f"<netem.Profile {self.name}: {self.summary}; source: {self.source}>"


def profiles() -> dict[str, Profile]:
    """Return the networks there are by name, for the option ``profile``.

    >>> from udpcore import netem
    >>> netem.profiles()["3g"].down
    {'rate': '1600kbit', 'delay': '150ms'}
    """
    return {
        name: Profile(name, summary, source, *ways)
        for name, summary, source, ways in _core.netem_profiles()
    }
