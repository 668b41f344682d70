"""The fixture ``netem``: a bad network for a test, repeatable, closed when the test ends.

::

    def test_upload(netem, server):
        proxy = netem(server.address, loss="20%", delay="10ms")
        upload(proxy.address)

``netem(upstream, ...)`` and ``netem.Proxy`` start a proxy; ``netem.Simulator`` and ``netem.Link``
are there too. Without a ``seed`` one is derived from the test's own, which a failing test prints
together with the counters and the command that repeats it: ``--netem-seed NUMBER``.

Does not import :mod:`udpcore.netem` before a test asks for the fixture.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from udpcore.netem import Link, Proxy, Simulator

_Any = TypeVar("_Any", "Proxy", "Simulator", "Link")
_SEED_MAX = 2**64 - 1
_NETWORK: pytest.StashKey[Network] = pytest.StashKey()


class Network:
    """What the fixture ``netem`` is: starts networks, closes them, remembers their seeds."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        """The first network without a seed of its own gets this one, the next one more."""
        self._stack = ExitStack()
        self._started: list[Proxy | Simulator | Link] = []
        self._seeds_taken = 0

    def __call__(self, upstream: tuple[str, int], *args: Any, **options: Any) -> Proxy:
        """Start a :class:`udpcore.netem.Proxy`; it is closed when the test ends."""
        return self.Proxy(upstream, *args, **options)

    def Proxy(self, upstream: tuple[str, int], *args: Any, **options: Any) -> Proxy:  # noqa: N802
        """Start a :class:`udpcore.netem.Proxy`; it is closed when the test ends."""
        from udpcore import netem

        proxy = self._start(netem.Proxy, (upstream, *args), options)
        self._stack.callback(proxy.close)
        return proxy

    def Simulator(self, **options: Any) -> Simulator:  # noqa: N802
        """Make a :class:`udpcore.netem.Simulator`."""
        from udpcore import netem

        return self._start(netem.Simulator, (), options)

    def Link(self, *args: Any, **options: Any) -> Link:  # noqa: N802
        """Make a :class:`udpcore.netem.Link`."""
        from udpcore import netem

        return self._start(netem.Link, args, options)

    def close(self) -> None:
        """Close every proxy of the test."""
        self._stack.close()

    def report(self, test: str) -> str:
        """Say what the networks did, and how to repeat it."""
        lines = [f"{network!r}\n    {network.stats()}" for network in self._started]
        if self._seeds_taken:
            lines.append(f"repeat with: pytest {shlex.quote(test)} --netem-seed {self.seed}")
        return "\n".join(lines)

    def _start(
        self, make: Callable[..., _Any], args: tuple[Any, ...], options: dict[str, Any]
    ) -> _Any:
        if options.get("seed") is None:
            options["seed"] = (self.seed + self._seeds_taken) & _SEED_MAX
            self._seeds_taken += 1
        network = make(*args, **options)
        self._started.append(network)
        return network


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--netem-seed``."""
    group = parser.getgroup("netem", "a network that misbehaves on command")
    group.addoption(
        "--netem-seed",
        type=_seed,
        default=None,
        metavar="NUMBER",
        help="the seed of the fixture netem (default: a fresh one a test, printed on failure)",
    )


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed <= _SEED_MAX:
        raise ValueError(text)
    return seed


@pytest.fixture
def netem(request: pytest.FixtureRequest) -> Generator[Network, None, None]:
    """Start bad networks: ``netem(upstream, loss="20%")``; also .Proxy, .Simulator and .Link."""
    import secrets

    seed: int | None = request.config.getoption("--netem-seed")
    network = Network(secrets.randbits(32) if seed is None else seed)
    request.node.stash[_NETWORK] = network
    yield network
    network.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the networks of a failing test into its report."""
    report = yield
    network = item.stash.get(_NETWORK, None)
    if report.failed and network is not None:
        report.sections.append(("netem", network.report(item.nodeid)))
    return report
