"""A grid of trials, scenarios times seeds, on any executor: :func:`udpcore.netem.sweep`.

It knows nothing of networks: a trial is a call of the caller's function. Rules of this file: the
results come in the order of the grid, whoever finishes first; at most ``OPEN_MAX`` trials wait at
an executor at once; one trial that fails ends no other.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["SweepError", "SweepResult", "Trial", "sweep"]

#: trials given to an executor and not yet done
OPEN_MAX = 1000
#: failures that an error message names
FAILURES_SHOWN_MAX = 5

S = TypeVar("S")
R = TypeVar("R")


class SweepError(AssertionError):
    """Some trials of a sweep failed; :attr:`trials` holds them."""

    def __init__(self, trials: Sequence[Trial[object, object]], total: int) -> None:
        self.trials = tuple(trials)
        shown = [f"  {trial}" for trial in self.trials[:FAILURES_SHOWN_MAX]]
        if more := len(self.trials) - len(shown):
            shown.append(f"  and {more} more")
        super().__init__("\n".join([f"{len(self.trials)} of {total} trials failed:", *shown]))


@dataclass(frozen=True, slots=True)
class Trial(Generic[S, R]):
    """One call of the function: what it was given, and what it returned or raised."""

    name: str
    scenario: S
    seed: int
    result: R | None = None
    error: BaseException | None = None

    def __str__(self) -> str:
        outcome = repr(self.result) if self.error is None else repr(self.error)
        return f"scenario {self.name}, seed {self.seed}: {outcome}"


@dataclass(frozen=True, slots=True)
class SweepResult(Generic[S, R]):
    """All trials of a sweep, scenario by scenario, each in the order of the seeds."""

    trials: tuple[Trial[S, R], ...]

    def __iter__(self) -> Iterator[Trial[S, R]]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)

    def __repr__(self) -> str:
        return f"SweepResult({len(self.trials)} trials, {len(self.failed)} failed)"

    @property
    def failed(self) -> tuple[Trial[S, R], ...]:
        """The trials that raised."""
        return tuple(trial for trial in self.trials if trial.error is not None)

    def results(self) -> dict[str, list[R]]:
        """What the function returned, by the name of the scenario; raises like :meth:`check`."""
        self.check()
        found: dict[str, list[R]] = {}
        for trial in self.trials:
            found.setdefault(trial.name, []).append(trial.result)  # type: ignore[arg-type]
        return found

    def check(self) -> None:
        """Raise :class:`SweepError` if a trial failed; it names scenario and seed."""
        if failed := self.failed:
            raise SweepError(failed, len(self.trials))  # type: ignore[arg-type]


def sweep(
    function: Callable[[S, int], R],
    scenarios: Mapping[str, S] | Iterable[S],
    seeds: int | Iterable[int],
    executor: Executor | None = None,
    progress: Callable[[int, int], object] | bool | None = None,
) -> SweepResult[S, R]:
    """Call ``function(scenario, seed)`` for every scenario with every seed, side by side.

    *scenarios* are whatever the function takes, such as dicts of :class:`~udpcore.netem.Simulator`
    options or paths of TOML files; a mapping gives them names. *seeds* are numbers, or how many:
    ``20`` means 0 to 19. *executor* is any :class:`concurrent.futures.Executor`; without one,
    processes of this machine, one a core: then the function must be found by import, and a script
    guards its start with ``if __name__ == "__main__"``. Dask offers ``client.get_executor()``.
    *progress* is called with (done, total) after each trial; ``True`` writes a line on stderr,
    ``None`` does so on a terminal.

    The trials come in the order of the grid. A trial that raises ends no other: see
    :meth:`SweepResult.check`. Ctrl-C gives up the trials that have not begun.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from udpcore import netem
    >>> def losses(options, seed):
    ...     network = netem.Simulator(seed=seed, up=options)
    ...     for number in range(100):
    ...         network.send("up", b"x")
    ...     return network.stats().up.dropped["loss"]
    >>> grid = {"clean": {}, "lossy": {"loss": "10%"}}
    >>> with ThreadPoolExecutor(2) as pool:
    ...     found = netem.sweep(losses, grid, 5, pool, progress=False)
    >>> found
    SweepResult(10 trials, 0 failed)
    >>> found.results()["clean"]
    [0, 0, 0, 0, 0]
    >>> 0 < sum(found.results()["lossy"]) < 500
    True
    """
    grid = _grid(scenarios, seeds)
    report = _reporter(progress)
    if executor is not None:
        return SweepResult(_run(function, grid, executor, report))
    context = multiprocessing.get_context("forkserver")
    workers = min(len(os.sched_getaffinity(0)), max(len(grid), 1))
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        return SweepResult(_run(function, grid, pool, report))


def _grid(
    scenarios: Mapping[str, S] | Iterable[S], seeds: int | Iterable[int]
) -> list[tuple[str, S, int]]:
    if isinstance(scenarios, str | bytes):
        raise TypeError(f"scenarios: a list or a mapping is needed, not {scenarios!r} alone")
    if isinstance(scenarios, Mapping):
        named = [(str(name), scenario) for name, scenario in scenarios.items()]
    else:
        named = [(_name(scenario, n), scenario) for n, scenario in enumerate(scenarios)]
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not named or not numbers:
        missing = "seeds" if named else "scenarios"
        raise ValueError(f"{missing}: none given, so there is nothing to try")
    return [(name, scenario, seed) for (name, scenario), seed in itertools.product(named, numbers)]


def _name(scenario: object, number: int) -> str:
    return str(scenario) if isinstance(scenario, str | os.PathLike) else f"#{number}"


def _reporter(progress: Callable[[int, int], object] | bool | None) -> Callable[[int, int], object]:
    if callable(progress):
        return progress
    if progress is False or (progress is None and not sys.stderr.isatty()):
        return lambda done, total: None

    def line(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        print(f"\rsweep: {done} of {total} trials", end=end, file=sys.stderr, flush=True)

    return line


def _run(
    function: Callable[[S, int], R],
    grid: Sequence[tuple[str, S, int]],
    executor: Executor,
    report: Callable[[int, int], object],
) -> tuple[Trial[S, R], ...]:
    trials: dict[int, Trial[S, R]] = {}
    waiting: dict[Future[R], int] = {}
    following = iter(enumerate(grid))
    try:
        while len(trials) < len(grid):
            for number, (_, scenario, seed) in itertools.islice(following, OPEN_MAX - len(waiting)):
                waiting[executor.submit(function, scenario, seed)] = number
            for future in _first_done(waiting):
                number = waiting.pop(future)
                trials[number] = _trial(*grid[number], future)
                report(len(trials), len(grid))
    finally:
        for future in waiting:
            future.cancel()
    return tuple(trials[number] for number in range(len(grid)))


def _first_done(waiting: Mapping[Future[R], int]) -> list[Future[R]]:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    return sorted(done, key=waiting.__getitem__)


def _trial(name: str, scenario: S, seed: int, future: Future[R]) -> Trial[S, R]:
    error = future.exception()
    if error is None:
        return Trial(name, scenario, seed, future.result())
    if isinstance(error, Exception):
        return Trial(name, scenario, seed, error=error)
    raise error
