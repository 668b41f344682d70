"""The commands behind the Makefile: setup, demo, test, bench, lint, wheel.

Every command is a list of steps; each begins with the set-up, which is quick when nothing changed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nsd
import system
from steps import Step, StepFailedError, run_steps

ROOT = Path(__file__).resolve().parents[2]
BIN = ROOT / ".venv" / "bin"
DIST = ROOT / "dist"
ENVIRONMENT = os.environ | {
    "PATH": os.pathsep.join((str(BIN), system.SYSTEM_PATH)),
    "PYO3_PYTHON": str(BIN / "python"),
    "VIRTUAL_ENV": str(ROOT / ".venv"),
}
STUBTEST_ALLOWLIST = ROOT / "tests" / "tools" / "stubtest-allowlist.txt"
CPYTHON_SUITE = ROOT / "tests" / "tools" / "cpython_suite.py"
PEERS = ["--manifest-path", ROOT / "tests" / "bench" / "peers" / "Cargo.toml"]
DEMO_NAMES = 40
CARGO_FLAGS = ["--workspace", "--all-targets", "--locked"]


def command(name: str, *words: str | Path) -> Step:
    """A step that runs a program with the environment of the checkout."""
    return Step(name, words, ENVIRONMENT)


def setup_steps() -> list[Step]:
    return [
        Step("rust", system.check_rust),
        Step("debian packages", system.install_packages),
        Step("virtual environment", lambda: system.make_environment(ROOT)),
    ]


def lint_steps() -> list[Step]:
    return [
        command("rustfmt", "cargo", "fmt", "--all", "--check"),
        # A workspace of its own, so that nobody who uses the package compiles its peers.
        command("bench peers' format", "cargo", "fmt", "--check", *PEERS),
        command("bench peers' lock", "cargo", "fetch", "-q", "--locked", *PEERS),
        command("clippy", "cargo", "clippy", *CARGO_FLAGS, "--all-features", "--", "-Dwarnings"),
        command("ruff format", BIN / "ruff", "format", "--check"),
        command("ruff", BIN / "ruff", "check"),
    ]


def wheel_steps() -> list[Step]:
    return [Step("wheel", build_wheel), Step("install the wheel", install_wheel)]


def test_steps() -> list[Step]:
    return [
        *setup_steps(),
        *lint_steps(),
        command("cargo test", "cargo", "test", "--workspace", "--locked"),
        *wheel_steps(),
        command("mypy", BIN / "mypy"),
        command("stubtest", BIN / "stubtest", "udpcore._core", "--allowlist", STUBTEST_ALLOWLIST),
        command("CPython's socket tests", BIN / "python", CPYTHON_SUITE),
        command("pytest", BIN / "pytest", "-n", "2", "--dist", "loadfile"),
        Step("source distribution", check_sdist),
    ]


def bench_steps(options: argparse.Namespace) -> list[Step]:
    run = [BIN / "python", ROOT / "tests" / "bench" / "run.py", "--only", options.only or ""]
    return [
        *setup_steps(),
        Step("debian peers", system.install_bench_packages),
        Step("python peers", lambda: system.install_bench_peers(ROOT)),
        *wheel_steps(),
        command("bench", *run),
    ]


def demo_steps(options: argparse.Namespace) -> list[Step]:
    return [*setup_steps(), *wheel_steps(), Step("demo", lambda: run_demo(options))]


def run_demo(options: argparse.Namespace) -> None:
    """Send the file, by default the wheel just built, through the bad link; then ask for names."""
    words = [str(BIN / "udpcore"), "demo", options.file or str(newest_wheel())]
    if options.seed is not None:
        words += ["--seed", options.seed]
    zone, hosts = nsd.zone_of_hosts("demo.test", DEMO_NAMES)
    with tempfile.TemporaryDirectory() as scratch, nsd.start_nsd(zone, "demo.test") as server:
        names = Path(scratch) / "names.txt"
        names.write_text("\n".join(hosts))
        host, port = server.address
        call([*words, "--name-server", f"{host}:{port}", "--names", names])


def call(words: Sequence[str | Path], directory: Path = ROOT, **variables: str) -> None:
    """Run a program of a step that needs more than one."""
    line = [str(word) for word in words]
    print("$", " ".join(line), flush=True)
    if code := subprocess.call(line, cwd=directory, env=ENVIRONMENT | variables):
        raise StepFailedError(f"exit code {code} of: {' '.join(line)}")


def build_wheel() -> str:
    """Build into an empty dist/, so that the newest wheel is the only one."""
    shutil.rmtree(DIST, ignore_errors=True)
    call([BIN / "maturin", "build", "--release", "--locked", "--quiet", "--out", DIST])
    wheel = newest_wheel()
    return f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB"


def newest_wheel() -> Path:
    wheels = sorted(DIST.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise StepFailedError(f"no wheel in {DIST}: run 'make wheel'")
    return wheels[-1]


def install_wheel() -> None:
    pip = [BIN / "python", "-m", "pip", "install", "-q"]
    call([*pip, "--no-deps", "--force-reinstall", newest_wheel()])


def check_sdist() -> str:
    """Install the source distribution into a fresh environment and import it there."""
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        python = here / "venv" / "bin" / "python"
        call([BIN / "maturin", "sdist", "--out", here])
        call([sys.executable, "-m", "venv", here / "venv"])
        call(
            [python, "-m", "pip", "install", "-q", next(here.glob("*.tar.gz"))],
            CARGO_TARGET_DIR=str(ROOT / "target" / "sdist"),
        )
        call([python, "-c", "import udpcore; print(udpcore.__version__)"], directory=here)
    return "installs from source"


def main() -> int:
    system.check_python()
    parser = argparse.ArgumentParser(prog="house", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("setup", "test", "lint", "wheel"):
        verbs.add_parser(verb)
    demo = verbs.add_parser("demo")
    demo.add_argument("--file")
    demo.add_argument("--seed")
    bench = verbs.add_parser("bench")
    bench.add_argument("--only")
    options = parser.parse_args()
    steps = {
        "setup": setup_steps,
        "test": test_steps,
        "lint": lambda: [*setup_steps(), *lint_steps()],
        "wheel": lambda: [*setup_steps(), *wheel_steps()],
        "bench": lambda: bench_steps(options),
        "demo": lambda: demo_steps(options),
    }[options.verb]()
    return run_steps(f"make {options.verb}", steps, ROOT)


if __name__ == "__main__":
    sys.exit(main())
