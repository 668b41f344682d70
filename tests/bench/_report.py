"""How a benchmark says what it found: lines for people, one JSON object for the runner."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence


def say(subject: str, rows: Sequence[Mapping[str, object]], notes: Sequence[str] = ()) -> None:
    """Print each row, then with ``--json`` the object that tests/bench/run.py keeps.

    A row has *work*, *ours*, *peer*, *unit*, *ratio* and *bar*; more keys become more columns.
    """
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    if "--json" in sys.argv:
        print(json.dumps({"subject": subject, "notes": list(notes), "rows": list(rows)}))
