"""The examples run as they are and show what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "python" / "examples"
#: example -> what it has to say
SAYS = {
    "call_with_loss": ["concealed", "mos"],
    "echo_through_loss": ["ECHO: message 0", "ECHO: message 19", "asked"],
    "find_services": ["127.0.0.1 {'name': 'web', 'port': 80}", "printer"],
    "game_of_two": ["anna sees {'bert'", "bert sees {'anna'"],
    "metrics_of_a_program": ["'demo.requests|#code:500': 10", "'demo.queue': 99", "'count': 100"],
    "stream_with_repair": ["fec=0: lost", "repaired 0", "fec=4: lost"],
}


def test_every_example_is_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} >= set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_it_runs(name, free_ports):
    arguments = [str(free_ports())] if "[PORT]" in (EXAMPLES / f"{name}.py").read_text() else []
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    for text in SAYS[name]:
        assert text in done.stdout, done.stdout
