"""The applications' pages: the examples run, both languages say the same, commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import udpcore.apps
from udpcore.cli._main import VERBS

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = [DOCS / "applications.md", DOCS / "applications.fr.md"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def code(page: Path) -> list[str]:
    """What stands between backticks on a line, in order."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`]+)`", text.replace("\n", " "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_example_runs(page):
    (example,) = blocks(page, "python")
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, timeout=50
    )
    assert run.returncode == 0, run.stderr
    answer, counted = run.stdout.splitlines()
    assert answer == "ECHO: bonjour"
    assert 5 <= int(counted.split()[0]) <= 20


def test_both_languages_name_the_same_things():
    english, french = (
        [word for word in code(page) if "chunk]" not in word and "parit" not in word]
        for page in PAGES
    )
    assert [word for word in english if "morceau" not in word] == [
        word for word in french if "morceau" not in word
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_named_exists(page):
    for word in code(page):
        if word.startswith("udpcore ") and word != "udpcore[media]":
            assert word.split()[1] in VERBS, word
        elif re.fullmatch(r"[A-Za-z_]+(\(\))?", word) and word[0].isupper() and word != "ECHO":
            assert hasattr(udpcore.apps, word.rstrip("()")), word
