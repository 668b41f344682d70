"""A progress bar on standard error: redrawn on a terminal, one line at the end elsewhere."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TextIO

REDRAW_SECONDS_MIN = 0.05
BAR_COLUMNS = 24


class Progress:
    """Show how far a job is; a context manager that leaves one finished line behind."""

    def __init__(self, label: str, total: int, stream: TextIO | None = None) -> None:
        self.label, self.total, self.done = label, total, 0
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._began = self._drawn = time.monotonic()

    def update(self, done: int) -> None:
        """Say that `done` of the total are done."""
        self.done = done
        now = time.monotonic()
        if self._live and now - self._drawn >= REDRAW_SECONDS_MIN:
            self._drawn = now
            self._stream.write("\r" + self._line())
            self._stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        start = "\r" if self._live else ""
        self._stream.write(f"{start}{self._line()}\n")
        self._stream.flush()

    def _line(self) -> str:
        share = self.done / self.total if self.total else 1.0
        bar = "#" * round(share * BAR_COLUMNS)
        seconds = time.monotonic() - self._began
        return (
            f"{self.label:<22} [{bar:<{BAR_COLUMNS}}] {share:6.1%}"
            f"  {self.done}/{self.total}  {seconds:.1f} s"
        )
