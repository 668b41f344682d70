"""The argument parser of every verb: suggests the word that was meant, exits with 2."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence
from typing import NoReturn

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


class Parser(argparse.ArgumentParser):
    """An :class:`argparse.ArgumentParser` without abbreviations, with "did you mean"."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Print `message` to standard error and exit with 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            words = [str(choice) for choice in action.choices]
            hint = did_you_mean(str(value), words)
            raise argparse.ArgumentError(
                action, f"{value!r} is not one of {', '.join(words)}{hint}"
            )

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse `args`; an unknown option is an error that names the nearest known one.

        Options may stand between the other words.
        """
        known, unknown = self.parse_known_intermixed_args(args, namespace)
        if unknown:
            options = [option for action in self._actions for option in action.option_strings]
            self.error(f"unknown argument {unknown[0]!r}{did_you_mean(unknown[0], options)}")
        return known


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the candidate nearest to `word`, or an empty string."""
    near = difflib.get_close_matches(word, list(candidates), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
