"""Run named steps one after the other: progress while they run, a table of times at the end.

Knows nothing of what the steps do. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class StepFailedError(Exception):
    """A step did not do its work; the message says what to do about it."""


@dataclass(frozen=True)
class Step:
    """One thing to do: a command, or a function that raises :class:`StepFailedError`."""

    name: str
    action: Sequence[str | Path] | Callable[[], str | None]
    environment: Mapping[str, str] = field(default_factory=dict)


def run_steps(title: str, steps: Sequence[Step], directory: Path) -> int:
    """Run `steps` until one fails; return the exit code for the shell."""
    began = time.monotonic()
    done: list[tuple[str, str, float]] = []
    failure = None
    for number, step in enumerate(steps, 1):
        print(f"\n=== [{number}/{len(steps)}] {step.name}", flush=True)
        step_began = time.monotonic()
        try:
            said = _run(step, directory)
        except StepFailedError as error:
            failure = f"{step.name}: {error}"
            said = "FAILED"
        done.append((step.name, said, time.monotonic() - step_began))
        if failure:
            break
    _report(title, done, len(steps), time.monotonic() - began)
    if failure:
        print(f"{title} failed at {failure}", file=sys.stderr)
        return 1
    return 0


def _run(step: Step, directory: Path) -> str:
    if callable(step.action):
        return step.action() or "ok"
    command = [str(word) for word in step.action]
    print("$", " ".join(command), flush=True)
    try:
        code = subprocess.call(command, cwd=directory, env=dict(step.environment) or None)
    except FileNotFoundError as error:
        raise StepFailedError(f"{command[0]} is not installed") from error
    if code:
        raise StepFailedError(f"exit code {code} of: {' '.join(command)}")
    return "ok"


def _report(title: str, done: Sequence[tuple[str, str, float]], count: int, total: float) -> None:
    width = max(len(name) for name, _, _ in done)
    print(f"\n--- {title}: {len(done)} of {count} steps, {total:.1f} s")
    for name, said, seconds in done:
        print(f"    {name:<{width}}  {seconds:7.1f} s  {said}")
    sys.stdout.flush()
