"""``udpcore dns --many``: a file of names in, a line for each out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any, TextIO

from udpcore.cli._parser import EXIT_FAILED, EXIT_OK
from udpcore.cli._progress import Progress
from udpcore.dns import ResolveError, resolve_many


def run(
    file: str,
    rdtype: str,
    servers: list[str],
    port: int,
    *,
    concurrency: int,
    rate: int | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Resolve the names in `file` (``-``: standard input); 1 if some got no answer at all.

    The `options` are those of :func:`resolve_many`.
    """
    with nullcontext(sys.stdin) if file == "-" else open(file, encoding="utf-8") as source:
        names: Iterable[str] = _names(source)
        total = 0
        if file != "-":
            names = list(names)
            total = len(names)
        answered = failed = 0
        try:
            with Progress("names", total) as progress:
                for name, result in resolve_many(
                    names,
                    rdtype,
                    servers,
                    port,
                    concurrency,
                    rate=rate,
                    progress=progress.update,
                    **options,
                ):
                    print(_line(name, result, as_json))
                    # A negative answer is an answer.
                    if isinstance(result, Exception) and not isinstance(result, ResolveError):
                        failed += 1
                    else:
                        answered += 1
        finally:
            print(f"{answered} answered, {failed} without an answer", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_OK


def _names(source: TextIO) -> Iterator[str]:
    for line in source:
        name = line.partition("#")[0].strip()
        if name:
            yield name


def _line(name: str, result: Any, as_json: bool) -> str:
    failed = isinstance(result, Exception)
    if as_json:
        key, value = ("error", str(result)) if failed else ("records", result)
        return json.dumps({"name": name, key: value}, ensure_ascii=False)
    return f"{name}\t{f'! {result}' if failed else ' | '.join(result)}"
