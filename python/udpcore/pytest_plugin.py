"""The fixture ``netem``: a bad network for a test, repeatable, closed when the test ends.

::

    @pytest.mark.netem(loss="20%", delay="10ms")
    def test_upload(netem, server):
        proxy = netem(server.address)
        upload(proxy.address)

``netem(upstream, ...)`` and ``netem.Proxy`` start a proxy; ``netem.Simulator`` and ``netem.Link``
are there too. The marker gives defaults for all of them; a network's own options come first.

Each test has a seed of its own, made of the seed of the session and the name of the test, so that
neither the order of the tests nor xdist changes it. A failing test says the seeds, the counters,
and the command that repeats it; with ``--netem-trace DIR`` it leaves its decision logs and
captures there. ``--netem-replay`` takes their decisions again, and ``netem shrink`` finds the ones
that matter. Try each single fault in turn, one test each::

    @pytest.mark.netem(enumerate="drop", first=40)  # also direction=, flow=, pairs=True
    def test_survives_any_one_loss(netem, server): ...

Does not import :mod:`udpcore.netem` before a test asks for the fixture.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from udpcore._pytest_network import Network

_SEED_MAX = 2**64 - 1
#: what the marker takes: every option of a network, and the seed
MARKER_KEYS = (
    "loss",
    "delay",
    "jitter",
    "reorder",
    "duplicate",
    "limit",
    "drop",
    "distribution",
    "unordered",
    "corrupt",
    "truncate",
    "mtu",
    "ecn",
    "rate",
    "queue",
    "blackhole",
    "profile",
    "tc",
    "loss_trace",
    "delay_trace",
    "delay_table",
    "rate_trace",
    "up",
    "down",
    "seed",
    "scenario",
    "faults",
)
#: what it takes to run a test once for each single fault
ENUMERATION_KEYS = ("enumerate", "first", "direction", "flow", "pairs")
_SESSION_SEED: pytest.StashKey[int] = pytest.StashKey()
_NETWORK: pytest.StashKey[Network] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options ``--netem-*``."""
    group = parser.getgroup("netem", "a network that misbehaves on command")
    group.addoption(
        "--netem-seed",
        type=_seed,
        default=None,
        metavar="NUMBER",
        help="the seed of the session (default: a fresh one, printed when a test fails)",
    )
    group.addoption(
        "--netem-disable",
        action="store_true",
        help="good networks instead of bad ones: does the test fail without them, too?",
    )
    group.addoption(
        "--netem-trace",
        default=None,
        metavar="DIR",
        help="keep decision logs and captures (pcapng) of failing tests there",
    )
    group.addoption(
        "--netem-profile",
        default=None,
        metavar="NAME",
        help="begin each network that names none with this one: wifi, 3g, satellite...",
    )
    group.addoption(
        "--netem-replay",
        default=None,
        metavar="LOG",
        help="take the decisions of this log again, or of the logs in this directory",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and choose the seed of the session."""
    config.addinivalue_line(
        "markers",
        "netem(loss=..., delay=..., up=..., down=..., seed=...): "
        "what the networks of the fixture netem do, unless they say otherwise",
    )
    given: int | None = config.getoption("--netem-seed")
    # A worker of xdist takes the seed of the session that started it.
    inherited: int | None = getattr(config, "workerinput", {}).get("netem_seed")
    fresh = int.from_bytes(os.urandom(4), "big")
    seed = next((seed for seed in (given, inherited) if seed is not None), fresh)
    config.stash[_SESSION_SEED] = seed


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give the seed of the session to a worker of xdist."""
    node.workerinput["netem_seed"] = node.config.stash[_SESSION_SEED]


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what was asked for; nothing when nothing was."""
    said = [
        f"{name.removeprefix('--netem-')} {config.getoption(name)}"
        for name in ("--netem-seed", "--netem-trace", "--netem-profile", "--netem-replay")
        if config.getoption(name) is not None
    ]
    if config.getoption("--netem-disable"):
        said.append("disabled: good networks")
    return f"netem: {', '.join(said)}" if said else None


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed <= _SEED_MAX:
        raise ValueError(text)
    return seed


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that says what nobody understands."""
    for mark in item.iter_markers("netem"):
        problem = _problem(mark)
        if problem is not None:
            pytest.fail(f"@pytest.mark.netem: {problem}", pytrace=False)


def _problem(mark: pytest.Mark) -> str | None:
    if mark.args:
        return f"takes options by name only, such as loss='5%'; got {mark.args[0]!r}"
    known = (*MARKER_KEYS, *ENUMERATION_KEYS)
    for name in mark.kwargs:
        if name not in known:
            import difflib

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            return f"unknown option {name!r}; {hint}"
        if name in ENUMERATION_KEYS and "enumerate" not in mark.kwargs:
            return f"{name} says what to enumerate: give enumerate='drop' too, or leave it out"
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each single fault that a marker enumerates."""
    marks = [m for m in metafunc.definition.iter_markers("netem") if "enumerate" in m.kwargs]
    if not marks or "netem" not in metafunc.fixturenames or _problem(marks[0]):
        return
    from udpcore.netem import fault_pairs, single_faults

    said = {name: v for name, v in marks[0].kwargs.items() if name in ENUMERATION_KEYS}
    action, pairs = said.pop("enumerate"), said.pop("pairs", False)
    sets = list(fault_pairs(action, **said) if pairs else zip(single_faults(action, **said)))
    names = [", ".join(str(fault) for fault in faults) for faults in sets]
    metafunc.parametrize("netem", sets, ids=names, indirect=True)


@pytest.fixture
def netem(request: pytest.FixtureRequest) -> Generator[Network, None, None]:
    """Start bad networks: ``netem(upstream, loss="20%")``; also .Proxy, .Simulator and .Link."""
    from udpcore._pytest_network import Network

    config, item = request.config, request.node
    defaults: dict[str, Any] = {}
    # The closest marker comes first, and its options win.
    for mark in item.iter_markers("netem"):
        given = {name: v for name, v in mark.kwargs.items() if name in MARKER_KEYS}
        defaults = {**given, **defaults}
    network = Network(
        test=item.nodeid,
        session_seed=config.stash[_SESSION_SEED],
        defaults=defaults,
        is_disabled=config.getoption("--netem-disable"),
        trace=config.getoption("--netem-trace"),
        profile=config.getoption("--netem-profile"),
        replay=config.getoption("--netem-replay"),
        faults=getattr(request, "param", ()),
    )
    item.stash[_NETWORK] = network
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
        report.sections.append(("netem", network.report()))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Throw away what a test that passed has traced."""
    result = yield
    network = item.stash.get(_NETWORK, None)
    if network is not None:
        network.clean_up()
    return result
