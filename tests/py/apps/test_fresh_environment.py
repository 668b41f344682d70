"""Only the wheel in a fresh virtual environment: everything starts, what is missing is named.

The wheel is that of dist/, as a user gets it: `make wheel` builds it, and so does `make test`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "python" / "udpcore"
APPS = sorted(path.stem for path in (SOURCE / "apps").glob("*.py") if not path.stem.startswith("_"))
PIP = 'pip install "udpcore[media]"'
INSTALL_SECONDS_MAX = 60


def the_wheel() -> Path:
    """The wheel of dist/, made from the Python files that are here now."""
    wheels = sorted((ROOT / "dist").glob("udpcore-*.whl"), key=lambda path: path.stat().st_mtime)
    assert wheels, f"no wheel in {ROOT / 'dist'}: run 'make wheel' first"
    with zipfile.ZipFile(wheels[-1]) as wheel:
        for name in (one for one in wheel.namelist() if one.startswith("udpcore/")):
            here = SOURCE.parent / name
            same = not name.endswith(".py") or (
                here.is_file() and here.read_bytes() == wheel.read(name)
            )
            assert same, f"{wheels[-1].name} has another {name} than {here}: run 'make wheel' again"
    return wheels[-1]


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> str:
    """The Python of an environment into which pip put the wheel, and nothing else."""
    wheel, began = the_wheel(), time.monotonic()
    directory = tmp_path_factory.mktemp("fresh")
    venv.create(directory, with_pip=False)
    python = str(directory / "bin" / "python")
    # The pip of the tests installs for the other Python: a pip of its own would take seconds more.
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True, timeout=50)
    took = time.monotonic() - began
    assert took < INSTALL_SECONDS_MAX, f"the installation took {took:.1f} s"
    return python


def run(python: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-W", "error", *words], capture_output=True, text=True, timeout=50
    )


def test_nothing_else_is_there(python):
    code = "import importlib.util as u; print([n for n in {} if u.find_spec(n)])"
    names = ["numpy", "av", "cv2", "PIL", "sounddevice", "pywebrtc_audio", "pytest"]
    assert run(python, "-c", code.format(names)).stdout == "[]\n"


def test_it_is_the_wheel_that_runs(python):
    code = "import udpcore, udpcore._core as core; print(udpcore.__file__, core.__file__)"
    files = run(python, "-c", code).stdout.split()
    home = Path(python).parents[1]
    assert len(files) == 2
    assert all(Path(file).is_relative_to(home) for file in files), files
    assert not any(Path(file).is_symlink() for file in files)


@pytest.mark.parametrize("name", APPS)
def test_each_application_starts(name, python):
    done = run(python, "-m", f"udpcore.apps.{name}", "--help")
    assert done.returncode == 0, done.stderr
    assert "examples:" in done.stdout
    command = [str(Path(python).with_name("udpcore")), name, "--help"]
    by_command = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert by_command.stdout == done.stdout, by_command.stderr


def test_echo_answers_at_once(python):
    began = time.monotonic()
    command = str(Path(python).with_name("udpcore"))
    with subprocess.Popen(
        [command, "echo", "--port", "0"], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr
        port = server.stderr.readline().split("port ")[1].partition(";")[0]
        done = run(python, "-m", "udpcore.apps.echo", "--to", f"127.0.0.1:{port}", "salut")
        server.terminate()
    assert done.stdout == "ECHO: salut\n"
    assert time.monotonic() - began < 50


NOBODY = "127.0.0.1:9"


@pytest.mark.parametrize(
    "words",
    [
        ["video", "send", NOBODY, "--source", "test", "-c", "2", "--fps", "100"],
        ["voip", NOBODY, "--port", "0", "--seconds", "0.2"],
        ["rate", NOBODY, "-c", "3"],
        ["send", NOBODY, "hello"],
        ["multicast", "send", "hello", "--interface", "lo"],
        ["game", "--join", NOBODY, "--steps", "2"],
        ["discover", "--port", "0", "--timeout", "0.2"],
        ["doctor"],
        ["packet", "--first", "udp", "--hex", "14e9 0035 000a 0000 6869"],
    ],
)
def test_it_works_without_any_extra_and_without_any_right(words, python):
    """Nothing needs root unless it says so: all capabilities are taken away."""
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", python]
    done = subprocess.run(
        [*unprivileged, "-m", "udpcore", *words, "--json"],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    json.loads(done.stdout.splitlines()[0] if words[0] == "multicast" else done.stdout)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["voip", NOBODY, "--port", "0", "--codec", "opus"], "Opus needs PyAV"),
        (["voip", NOBODY, "--port", "0", "--source", "mic"], "microphone and speaker need"),
        (["voip", NOBODY, "--port", "0", "--sink", "speaker"], "microphone and speaker need"),
        (["voip", NOBODY, "--port", "0", "--cancel-echo"], "echo cancellation needs"),
        (["video", "send", NOBODY, "--source", "camera"], "needs OpenCV"),
        (["video", "send", NOBODY, "--source", __file__], "needs OpenCV"),
    ],
)
def test_a_missing_extra_names_the_exact_pip_command(words, what, python):
    done = run(python, "-m", "udpcore", *words)
    assert done.returncode == 1
    assert what in done.stderr
    assert PIP in done.stderr
    assert "Traceback" not in done.stderr


def test_a_window_without_opencv_is_said_before_anything_is_received(python):
    done = run(python, "-m", "udpcore", "video", "recv", "0", "--window")
    assert done.returncode == 1
    assert f"a window needs OpenCV: {PIP}" in done.stderr
