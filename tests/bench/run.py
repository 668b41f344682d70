"""Run the benchmarks and write docs/benchmarks.md.

``make bench`` runs every subject, ``make bench ONLY=dns_bench`` some of them. Each subject is a
program of its own that interleaves udpcore with its peers and, given ``--json``, prints one JSON
object on its last line: ``{"subject": title, "notes": [...], "rows": [{"work", "ours", "peer",
"unit", "ratio", "bar", ...}]}``. The last result of every subject is kept in docs/benchmarks/,
with its date and machine, and the page is written from all of them: a subject measured again
replaces itself only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "benchmarks"
PAGE = ROOT / "docs" / "benchmarks.md"
SUBJECT_SECONDS_MAX = 1800
COLUMNS = ("work", "ours", "peer", "unit", "ratio", "bar")
HEAD = """# Benchmarks

Every figure was measured beside its peer in the same run on the same machine, in interleaved
rounds; medians. `make bench` repeats them all, `make bench ONLY=name` one. A ratio says how many
times better udpcore is; the bar is what we want of it. A bar that is missed stays on the page.
"""


@dataclass(frozen=True)
class Subject:
    """A benchmark program: its name and the command that runs it."""

    name: str
    command: tuple[str, ...]

    def run(self) -> dict[str, Any]:
        """Run it; its words go to the terminal, its last line is the result."""
        started = time.monotonic()
        process = subprocess.run(
            [*self.command, "--json"],
            cwd=ROOT,
            env=os.environ | {"PYO3_PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            text=True,
            timeout=SUBJECT_SECONDS_MAX,
            check=True,
        )
        lines = process.stdout.rstrip().splitlines()
        print("\n".join(lines[:-1]), flush=True)
        result: dict[str, Any] = json.loads(lines[-1])
        result["date"] = datetime.now(UTC).date().isoformat()
        result["machine"] = machine()
        result["seconds"] = round(time.monotonic() - started)
        return result


def subjects() -> list[Subject]:
    """Every script beside this file but those with an underscore, and the programs in Rust."""
    here = Path(__file__).parent
    scripts = sorted(set(here.glob("[!_]*.py")) - {Path(__file__)})
    found = [Subject(path.stem, (sys.executable, str(path))) for path in scripts]
    cargo = ("cargo", "bench", "-q", "--locked", "-p", "netem", "--bench")
    found += [Subject(path.stem, (*cargo, path.stem, "--")) for path in sorted(here.glob("*.rs"))]
    return found


def machine() -> str:
    """Processor, cores, kernel and interpreter in one line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, Linux {platform.release()}, Python {sys.version.split()[0]}"


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A Markdown table; columns beyond the usual ones follow them."""
    keys = [key for key in COLUMNS if any(key in row for row in rows)]
    keys += [key for row in rows for key in row if key not in COLUMNS and key not in keys]
    keys = list(dict.fromkeys(keys))
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    cells = (" | ".join(text(row.get(key, "")) for key in keys) for row in rows)
    return lines + [f"| {line} |" for line in cells]


def text(value: object) -> str:
    """A figure as people read it: three digits, thousands apart."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else ("yes" if value else "no")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value).replace("|", "\\|")


def write_page() -> None:
    """Compose the page from every result that is kept."""
    parts = [HEAD]
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        parts.append(f"## {result['subject']}\n")
        parts.append(f"`make bench ONLY={path.stem}`, {result['date']}: {result['machine']}.\n")
        parts.append("\n".join(table(result["rows"])) + "\n")
        if notes := result.get("notes"):
            parts.append("\n".join(f"* {note}" for note in notes) + "\n")
    PAGE.write_text("\n".join(parts), encoding="utf-8")


def main() -> int:
    """Run what was asked for, keep each result, write the page."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", default="", help="names of subjects, with commas between")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    options = parser.parse_args()
    known = {subject.name: subject for subject in subjects()}
    wanted = [name for name in options.only.split(",") if name] or list(known)
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"{', '.join(unknown)}: no such subject; there are {', '.join(known)}")
    # A shell starts background jobs with SIGINT ignored, and programs that the subjects end with it
    # would inherit that and never stop.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for number, name in enumerate([] if options.page else wanted, 1):
        print(f"=== [{number}/{len(wanted)}] {name}", flush=True)
        try:
            result = known[name].run()
        except (subprocess.SubprocessError, ValueError, IndexError) as error:
            failed.append(name)
            print(f"{name} failed: {error}", file=sys.stderr)
            continue
        print("\n".join(table(result["rows"])), flush=True)
        path = RESULTS / f"{name}.json"
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        write_page()
    write_page()
    print(f"wrote {PAGE.relative_to(ROOT)}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
