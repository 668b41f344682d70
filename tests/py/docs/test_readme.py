"""The README's tour runs as written, in both languages, against the installed package."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", ROOT / "docs" / "README.fr.md"]
TOUR_LINES_MAX = 30


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tour_runs_as_written(page, tmp_path):
    (tour,) = python_blocks(page)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", tour],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    first, stats, message, repaired, question = run.stdout.splitlines()
    assert first == "bonjour"
    assert "drop" in stats
    assert "received 100" in stats
    assert "message" in message
    assert repaired == "True"
    assert "example.com" in question
    assert "AAAA" in question
    assert run.stderr == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tour_is_short(page):
    (tour,) = python_blocks(page)
    assert len(tour.splitlines()) <= TOUR_LINES_MAX


def test_both_languages_show_the_same_commands():
    blocks = [re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S) for page in PAGES]
    commands = [
        [line.split("#")[0].strip() for block in page for line in block.splitlines()]
        for page in blocks
    ]
    assert commands[0] == commands[1]
