"""What the machine must offer: Rust, a Python, Debian packages; and the virtual environment.

As root on Debian the missing packages are installed; otherwise they are named. A service that a
package brings is never started: the tests start the programs themselves, on free ports.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import cpython_suite
from steps import StepFailedError

#: command that must be there -> the Debian package that brings it
COMMANDS = {
    "cc": "gcc",
    "curl": "curl",
    "ip": "iproute2",
    "ping": "iputils-ping",
    "nsd": "nsd",
    "unbound": "unbound",
    "named": "bind9",
    "dnssec-signzone": "bind9-utils",
    "dig": "bind9-dnsutils",
    "openssl": "openssl",
    "iperf3": "iperf3",
    "tshark": "tshark",
    "chromium": "chromium",
    "tcpdump": "tcpdump",
    "dnsmasq": "dnsmasq-base",
    "ffmpeg": "ffmpeg",
}
#: what only the benchmarks need: the peers
BENCH_COMMANDS = {"nginx": "nginx-light", "socat": "socat", "dnsperf": "dnsperf"}
#: packages with no command of their own: a file that tells that they are there -> the package
BENCH_FILES = {"/usr/lib/nginx/modules/ngx_stream_module.so": "libnginx-mod-stream"}
#: services of those packages: masked before a first installation, so that nothing listens
SERVICES = {
    "nsd": "nsd.service",
    "unbound": "unbound.service",
    "bind9": "named.service",
    "iperf3": "iperf3.service",
    "nginx-light": "nginx.service",
}
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def check_rust() -> str:
    """Say which Rust is used."""
    if not shutil.which("cargo"):
        raise StepFailedError(
            "cargo is not installed: install Rust with rustup (https://rustup.rs)"
        )
    return subprocess.check_output(["rustc", "--version"], text=True).strip()


def install_packages() -> str:
    """Install the Debian packages of the tests that are missing, or name them."""
    return _install(_missing(COMMANDS) | _python_tests())


def install_bench_packages() -> str:
    """The same for the peers of the benchmarks."""
    files = {package for path, package in BENCH_FILES.items() if not Path(path).exists()}
    return _install(_missing(BENCH_COMMANDS) | files)


def _missing(commands: dict[str, str]) -> set[str]:
    return {p for c, p in commands.items() if not shutil.which(c, path=SYSTEM_PATH)}


def _python_tests() -> set[str]:
    """The system's Python with CPython's own tests, if no interpreter here has them."""
    if cpython_suite.find_interpreters():
        return set()
    probe = "import sys; print('{}.{}'.format(*sys.version_info))"
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    version = subprocess.check_output([python, "-c", probe], text=True).strip()
    return {f"python{version}", f"libpython{version}-testsuite"}


def _install(packages: set[str]) -> str:
    missing = sorted(packages)
    if not missing:
        return "nothing missing"
    line = "apt-get install " + " ".join(missing)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise StepFailedError(f"these programs are missing; as root: {line}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    if Path("/run/systemd/system").is_dir():
        for package in missing:
            if package in SERVICES:
                subprocess.call(["systemctl", "mask", SERVICES[package]])
    for command in (
        ["apt-get", "-q", "update"],
        ["apt-get", "-q", "-y", "--no-install-recommends", "install", *missing],
    ):
        if subprocess.call(command, env=environment):
            raise StepFailedError(f"{' '.join(command)} failed")
    return "installed " + " ".join(missing)


def make_environment(root: Path) -> str:
    """Make `.venv` with the development tools of pyproject.toml, when they changed."""
    directory, stamp = root / ".venv", root / ".venv" / "tools.sha256"
    requirements = _requirements(root, "dev")
    wanted = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return "up to date"
    print(f"making {directory.name} with {', '.join(requirements)}", flush=True)
    try:
        venv.create(directory, clear=True, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise StepFailedError("no pip for the new environment: install python3-venv") from error
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "-q", *requirements]
    if subprocess.call(pip):
        raise StepFailedError(f"{' '.join(pip)} failed")
    stamp.write_text(wanted)
    return "made"


def install_bench_peers(root: Path) -> str:
    """Install the Python packages that the benchmarks measure beside udpcore."""
    requirements = _requirements(root, "bench")
    python = str(root / ".venv" / "bin" / "python")
    if subprocess.call([python, "-m", "pip", "install", "-q", *requirements]):
        raise StepFailedError(f"pip could not install {', '.join(requirements)}")
    return ", ".join(requirements)


def _requirements(root: Path, extra: str) -> list[str]:
    import tomllib  # not at the top: check_python tells an old Python apart first

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return list(project["optional-dependencies"][extra])


def check_python() -> None:
    """Stop early on a Python that is too old; `tomllib` came with 3.11."""
    if importlib.util.find_spec("tomllib") is None:
        raise SystemExit(f"Python >= 3.11 is needed, {sys.executable} is {sys.version.split()[0]}")
