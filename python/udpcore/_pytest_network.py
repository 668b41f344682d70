"""What the fixture ``netem`` is: the networks of one test, their seeds, their traces.

Imported when a test asks for the fixture, not before: a suite without it pays nothing.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from udpcore import netem
from udpcore._netem_types import Direction
from udpcore.netem import Fault, Link, Proxy, Simulator

_Any = TypeVar("_Any", Proxy, Simulator, Link)
_SEED_MAX = 2**64 - 1
#: what remains of a network's options when the session wants good ones
_HARMLESS = frozenset({"seed", "listen", "pcap", "limit"})
#: a directory name is this long at most, its hash included
_NAME_LENGTH_MAX = 100


class Network:
    """What the fixture ``netem`` is: starts networks, closes them, remembers their seeds."""

    def __init__(
        self,
        test: str,
        session_seed: int,
        defaults: dict[str, Any],
        *,
        is_disabled: bool = False,
        trace: str | None = None,
        profile: str | None = None,
        replay: str | None = None,
        faults: Iterable[Fault] = (),
    ) -> None:
        self.seed: int = _test_seed(session_seed, test)
        """The first network without a seed of its own gets this one, the next one more."""
        if defaults.get("seed") is not None:
            self.seed = defaults["seed"]
        self._defaults = {name: value for name, value in defaults.items() if name != "seed"}
        self._test, self._session_seed = test, session_seed
        self._is_disabled, self._profile = is_disabled, profile
        self._replay = Path(replay) if replay is not None else None
        self._faults = tuple(faults)
        self._trace = Path(trace) / _directory_name(test) if trace is not None else None
        self._started: list[Proxy | Simulator | Link] = []
        self._traced: list[Path] = []
        self._seeds_taken = 0
        self._is_kept = False

    def __call__(self, upstream: tuple[str, int], *args: Any, **options: Any) -> Proxy:
        """Start a :class:`udpcore.netem.Proxy`; it is closed when the test ends."""
        return self.Proxy(upstream, *args, **options)

    def Proxy(self, upstream: tuple[str, int], *args: Any, **options: Any) -> Proxy:  # noqa: N802
        """Start a :class:`udpcore.netem.Proxy`; it is closed when the test ends."""
        if self._trace is not None and options.get("pcap") is None:
            self._trace.mkdir(parents=True, exist_ok=True)
            options["pcap"] = self._trace / f"{len(self._started) + 1}.pcapng"
            self._traced.append(options["pcap"])
        return self._start(netem.Proxy, (upstream, *args), options)

    def Simulator(self, **options: Any) -> Simulator:  # noqa: N802
        """Make a :class:`udpcore.netem.Simulator`."""
        return self._start(netem.Simulator, (), options)

    def Link(self, direction: Direction = "up", **options: Any) -> Link:  # noqa: N802
        """Make a :class:`udpcore.netem.Link`; of the marker's up and down it gets its own."""
        defaults = {
            name: value for name, value in self._defaults.items() if name not in ("up", "down")
        }
        defaults |= self._defaults.get(direction) or {}
        return self._start(netem.Link, (direction,), options, defaults)

    def close(self) -> None:
        """Close every proxy of the test."""
        for network in self._started:
            if isinstance(network, netem.Proxy):
                network.close()

    def report(self) -> str:
        """Say what the networks did, and how to repeat it; keep the traces."""
        lines = [f"{network!r}\n    {network.stats()}" for network in self._started]
        lines.append(f"seed of this test {self.seed}, of the session {self._session_seed}")
        divergences = [network.divergence for network in self._started]
        lines += [divergence for divergence in divergences if divergence is not None]
        test = f"pytest {shlex.quote(self._test)}"
        command = f"{test} --netem-seed {self._session_seed}"
        if self._profile is not None:
            command += f" --netem-profile {self._profile}"
        lines.append(f"repeat with: {command}{' --netem-disable' if self._is_disabled else ''}")
        if self._trace is not None:
            kept = shlex.quote(str(self._keep(self._trace)))
            lines.append(f"logs and captures in {kept}")
            lines.append(f"replay with: {command} --netem-replay {kept}")
            if len(self._started) == 1:
                lines.append(
                    f"shrink with: netem shrink {kept}/1.log -- {command} --netem-replay {{}}"
                )
        return "\n".join(lines)

    def clean_up(self) -> None:
        """Throw the captures away, unless :meth:`report` was asked for."""
        if self._is_kept or self._trace is None:
            return
        for path in self._traced:
            path.unlink(missing_ok=True)
        if self._trace.is_dir() and not any(self._trace.iterdir()):
            self._trace.rmdir()

    def _keep(self, trace: Path) -> Path:
        self._is_kept = True
        self.close()
        trace.mkdir(parents=True, exist_ok=True)
        for number, network in enumerate(self._started, 1):
            (trace / f"{number}.log").write_text(network.log())
        return trace

    def _start(
        self,
        make: Callable[..., _Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
        defaults: dict[str, Any] | None = None,
    ) -> _Any:
        defaults = self._defaults if defaults is None else defaults
        # A scenario says all.
        options = options if "scenario" in options else defaults | options
        if options.get("seed") is None:
            options["seed"] = (self.seed + self._seeds_taken) & _SEED_MAX
            self._seeds_taken += 1
        options |= self._asked_for(options)
        network = make(*args, **options)
        if self._is_disabled:
            network = self._without_harm(make, network, args, options)
        self._started.append(network)
        return network

    def _asked_for(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What the options of the session, and enumeration, say of the next network."""
        more: dict[str, Any] = {}
        ways = [options, options.get("up") or {}, options.get("down") or {}]
        says_all = any(name in way for way in ways for name in ("tc", "profile", "scenario"))
        if self._profile is not None and not says_all:
            more["profile"] = self._profile
        if self._faults:
            more["faults"] = [*options.get("faults", ()), *self._faults]
        number = len(self._started) + 1
        if self._replay is not None and self._replay.is_dir():
            more["replay"] = (self._replay / f"{number}.log").read_text()
        elif self._replay is not None and number == 1:
            more["replay"] = self._replay.read_text()
        if "replay" in more:
            more["seed"] = None
        return more

    def _without_harm(
        self, make: Callable[..., _Any], bad: _Any, args: tuple[Any, ...], options: dict[str, Any]
    ) -> _Any:
        """The same network, good. The bad one was made first: what it refuses is refused."""
        if isinstance(bad, netem.Proxy):
            bad.close()
        network = make(*args, **{n: value for n, value in options.items() if n in _HARMLESS})
        # What the test changes later on is checked as always, and done to the bad one.
        setattr(network, "set", bad.set)  # noqa: B010
        return network


def _test_seed(session_seed: int, test: str) -> int:
    """A seed of 32 bits: short enough to be typed again."""
    digest = hashlib.blake2b(f"{session_seed} {test}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def _directory_name(test: str) -> str:
    """A name for the traces of a test: readable, and different for different tests."""
    readable = re.sub(r"[^\w.\[\]-]+", "-", test).strip("-.")
    digest = hashlib.blake2b(test.encode(), digest_size=4).hexdigest()
    return f"{readable[: _NAME_LENGTH_MAX - len(digest) - 1]}-{digest}"
