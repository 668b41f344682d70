"""Runs CPython's own test modules against udpcore, beside the standard module, and compares.

    python tests/tools/cpython_suite.py [--python PYTHON]... [--mode MODE]... [MODULE]...

For every interpreter found (3.11 and later, with its `test` package) the modules (by default
test.test_socket) run three times: on the standard module, on udpcore put into the place of
`socket` in the process (`inprocess`), and on udpcore put there by a sitecustomize hook, so that
child processes get it too (`hook`). Every test that passes on the standard module must pass on
udpcore.

Some of these tests depend on the machine's load, on the standard module too. Hence the rule: a
test differs when it fails on udpcore but passes on the standard module three times: among the
others, and twice more alone on an otherwise idle suite.

VSOCK classes are left out: they hang where /dev/vsock exists without a peer. One test asserts the
identity of the class with `_socket.socket` and cannot pass; it is named below.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Tests that cannot pass, each with its reason.
EXCEPTIONS = {
    "test.test_socket.GeneralModuleTests.test_SocketType_is_socketobject": (
        "asserts that the class is _socket.socket itself"
    ),
}
#: Fewer tests passing on the standard module mean that the set-up is broken.
PASSING_MIN = {"test.test_socket": 600}
#: The outcome of a test that began and never ended.
UNFINISHED = "unfinished"
VERSION_MIN = (3, 11)
MODES = ("inprocess", "hook")
#: How often a test is run alone before it is called different.
ALONE = 2
#: The tests mostly wait, so this many interpreters at once take little longer than one.
INTERPRETERS_AT_ONCE = 2
HOOK = """
import os
if os.environ.get("UDPCORE_AS_SOCKET"):
    import udpcore
    udpcore.patch()
"""

# ---- in the child: run the tests of one implementation ------------------------------------


class Recorder(unittest.TextTestResult):
    """Writes a line when a test begins and when it has ended: `["id", "outcome"]`."""

    output: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outcomes: dict[str, str] = {}

    def note(self, test: unittest.TestCase, outcome: str) -> None:
        self.output.write(json.dumps([test.id(), outcome]) + "\n")
        self.output.flush()

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self.note(test, UNFINISHED)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().stopTest(test)
        self.note(test, self.outcomes.get(test.id(), "skip"))

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addSuccess(test)
        self.outcomes.setdefault(test.id(), "ok")

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addError(test, err)
        self.outcomes[test.id()] = "error"

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        super().addFailure(test, err)
        self.outcomes[test.id()] = "failure"

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self.outcomes[test.id()] = "skip"

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.outcomes[test.id()] = "failure"


def read_outcomes(path: Path) -> dict[str, str]:
    """What each test came to, from the lines a child wrote."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(map(json.loads, lines))


def flatten(suite: Any) -> Iterator[unittest.TestCase]:
    """The tests of a suite of suites."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def run_here(mode: str, output: str, names: list[str]) -> None:
    """Runs modules or single tests in this process, except those `output` knows already."""
    if mode == "inprocess":
        importlib.import_module("udpcore").patch()
    socket = importlib.import_module("socket")
    expected = "socket" if mode == "standard" else "udpcore"
    if socket.__name__ != expected:
        raise SystemExit(f"`socket` is {socket.__name__}, not {expected}: the hook did not run")
    support = importlib.import_module("test.support")
    support.use_resources = ["network", "walltime", "cpu"]
    known = read_outcomes(Path(output))
    suite = unittest.TestSuite(
        test
        for test in flatten(unittest.defaultTestLoader.loadTestsFromNames(names))
        if "VSOCK" not in test.id() and test.id() not in known
    )
    with open(output, "a", encoding="utf-8") as lines:
        Recorder.output = lines
        unittest.TextTestRunner(verbosity=2, resultclass=Recorder).run(suite)


# ---- in the parent: start the children and compare ----------------------------------------


class Run:
    """One child process with one interpreter, implementation and list of tests."""

    def __init__(self, python: str, mode: str, names: list[str], scratch: Path) -> None:
        self.python = python
        self.mode = mode
        self.output = Path(tempfile.mkstemp(dir=scratch, suffix=".json")[1])
        self.log = self.output.with_suffix(".log")
        environment = {
            key: value
            for key, value in os.environ.items()
            if key not in ("PYTHONPATH", "UDPCORE_AS_SOCKET", "VIRTUAL_ENV", "PYTHONHOME")
        }
        paths = [str(scratch / "package")]
        if mode == "hook":
            paths.insert(0, str(scratch / "hook"))
            environment["UDPCORE_AS_SOCKET"] = "1"
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        script = [python, str(Path(__file__).resolve()), "--run-here", mode]
        self.command = [*script, "--output", str(self.output), *names]
        self.environment = environment
        self.start()

    def start(self) -> None:
        """Starts the child, which leaves out what it finds in its output."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                cwd=self.output.parent,
            )

    def outcomes(self, stall: float) -> dict[str, str]:
        """Waits for the child; gives back what each test came to.

        A test that makes no progress for `stall` seconds (some of CPython's signal tests can
        hang on a loaded machine, on the standard module too) is killed and counts as unfinished;
        the rest goes on in a new child.
        """
        size, since = -1, time.monotonic()
        while (status := self.process.poll()) is None:
            time.sleep(0.1)
            if (now := self.output.stat().st_size) != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > stall:
                self.process.kill()
                self.process.wait()
                self.start()
                since = time.monotonic()
        found = read_outcomes(self.output)
        if status != 0 or not found:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
            raise SystemExit(f"the run on {self.mode} ended with status {status}:\n{tail}")
        return found


def find_interpreters() -> list[str]:
    """One interpreter of each version that has the `test` package: this one, pyenv's, PATH's."""
    candidates = [sys.executable]
    candidates += sorted(map(str, Path.home().glob(".pyenv/versions/3.*/bin/python")))
    names = ["python3", *(f"python3.{minor}" for minor in range(VERSION_MIN[1], 20))]
    # In an environment the system's own interpreter is hidden behind the environment's.
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/bin", "/usr/bin"))
    candidates += filter(None, (shutil.which(name, path=path) for name in names))
    candidates.append("/usr/bin/python3")
    probe = "import sys, test.test_socket; print(*sys.version_info[:2])"
    found: dict[tuple[int, ...], str] = {}
    for candidate in dict.fromkeys(filter(os.path.exists, candidates)):
        done = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            version = tuple(map(int, done.stdout.split()))
            if version >= VERSION_MIN:
                found.setdefault(version, candidate)
    return list(found.values())


def prepare(scratch: Path) -> None:
    """Makes the directories that children have on their path: the built package, and the hook."""
    import udpcore

    (scratch / "package").mkdir()
    (scratch / "package" / "udpcore").symlink_to(Path(udpcore.__file__).parent)
    (scratch / "hook").mkdir()
    (scratch / "hook" / "sitecustomize.py").write_text(HOOK)


def differences(standard: dict[str, str], ours: dict[str, str]) -> list[str]:
    """The tests that pass on the standard module and not on ours."""
    return [
        test
        for test, outcome in standard.items()
        if outcome == "ok" and ours.get(test) != "ok" and test not in EXCEPTIONS
    ]


@dataclass
class Suite:
    """What to run, and how."""

    names: list[str]
    modes: list[str]
    scratch: Path
    stall: float

    def run(self, python: str) -> dict[str, dict[str, str]]:
        """Everything with one interpreter: what each test came to, by implementation."""
        modes = ["standard", *self.modes]
        runs = [Run(python, mode, self.names, self.scratch) for mode in modes]
        return {run.mode: run.outcomes(self.stall) for run in runs}

    def alone(self, python: str, mode: str, tests: list[str]) -> list[str]:
        """Which of these still differ when nothing else runs."""
        for _ in range(ALONE):
            if not tests:
                break
            standard = Run(python, "standard", tests, self.scratch).outcomes(self.stall)
            ours = Run(python, mode, tests, self.scratch).outcomes(self.stall)
            tests = differences(standard, ours)
        return tests

    def report(self, python: str, results: dict[str, dict[str, str]]) -> list[str]:
        """Prints how many ran; returns a line for each lasting difference."""
        counts = Counter(results["standard"].values())
        shown = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
        print(f"{python}: {' '.join(self.names)}\n  standard: {shown}")
        wanted = sum(PASSING_MIN.get(name, 0) for name in self.names)
        if counts["ok"] < wanted:
            return [f"{python}: only {counts['ok']} tests pass on the standard module: {wanted=}"]
        found = []
        for mode in self.modes:
            suspects = differences(results["standard"], results[mode])
            lasting = self.alone(python, mode, suspects)
            passed = Counter(results[mode].values())["ok"]
            again = f", {len(suspects)} of them after another try" if suspects else ""
            print(f"  udpcore {mode}: {passed} ok, {len(lasting)} differences{again}", flush=True)
            found += [f"{python} {mode}: {test}" for test in lasting]
        return found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("names", nargs="*", default=["test.test_socket"], metavar="MODULE")
    parser.add_argument("--python", action="append", help="an interpreter (default: all found)")
    parser.add_argument("--mode", action="append", choices=MODES, help="default: both")
    parser.add_argument("--stall", type=float, default=60, help="seconds a single test may take")
    parser.add_argument("--run-here", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    if arguments.run_here:
        run_here(arguments.run_here, arguments.output, arguments.names)
        return 0
    given = [os.path.abspath(shutil.which(name) or name) for name in arguments.python or ()]
    pythons = given or find_interpreters()
    if not pythons:
        print("no interpreter with its `test` package found (3.11 or later)", file=sys.stderr)
        return 1
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="udpcore-suite-") as directory:
        scratch = Path(directory)
        prepare(scratch)
        modes = arguments.mode or list(MODES)
        suite = Suite(arguments.names, modes, scratch, arguments.stall)
        with ThreadPoolExecutor(INTERPRETERS_AT_ONCE) as pool:
            results = list(pool.map(suite.run, pythons))
        found = [
            line for pair in zip(pythons, results, strict=True) for line in suite.report(*pair)
        ]
    seconds = time.monotonic() - begin
    print(f"{len(found)} differences, {len(pythons)} interpreters, {seconds:.0f} s", flush=True)
    for line in found:
        print(f"differs: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
