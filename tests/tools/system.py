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

from steps import StepFailedError

#: command that must be there -> the Debian package that brings it
COMMANDS = {
    "cc": "gcc",
    "ip": "iproute2",
    "ping": "iputils-ping",
    "nsd": "nsd",
    "dig": "bind9-dnsutils",
    "iperf3": "iperf3",
    "tshark": "tshark",
}
#: services of those packages: masked before a first installation, so that nothing listens
SERVICES = {"nsd": "nsd.service", "iperf3": "iperf3.service"}
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def check_rust() -> str:
    """Say which Rust is used."""
    if not shutil.which("cargo"):
        raise StepFailedError(
            "cargo is not installed: install Rust with rustup (https://rustup.rs)"
        )
    return subprocess.check_output(["rustc", "--version"], text=True).strip()


def install_packages() -> str:
    """Install the Debian packages of the commands that are missing, or name them."""
    missing = sorted({p for c, p in COMMANDS.items() if not shutil.which(c, path=SYSTEM_PATH)})
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
    requirements = _development_requirements(root)
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


def _development_requirements(root: Path) -> list[str]:
    import tomllib  # not at the top: check_python tells an old Python apart first

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return list(project["optional-dependencies"]["dev"])


def check_python() -> None:
    """Stop early on a Python that is too old; `tomllib` came with 3.11."""
    if importlib.util.find_spec("tomllib") is None:
        raise SystemExit(f"Python >= 3.11 is needed, {sys.executable} is {sys.version.split()[0]}")
