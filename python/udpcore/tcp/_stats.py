"""Counters of a server: how its connections began and ended."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ServerStats"]


@dataclass(slots=True)
class ServerStats:
    """How many connections there are, and how the others ended.

    ``accepted = open + finished + garbage + timeouts + broken + failed + aborted``.
    """

    #: Connections taken from the kernel.
    accepted: int = 0
    #: Those that are served now.
    open: int = 0
    #: Ended by the handler or by the client, between two messages.
    finished: int = 0
    #: What came was no frame (:class:`FrameError`).
    garbage: int = 0
    #: The client sent nothing, or read nothing, for too long.
    timeouts: int = 0
    #: The connection was reset, or the client vanished.
    broken: int = 0
    #: The handler raised something else; the exception is logged.
    failed: int = 0
    #: Still busy when the server had to stop.
    aborted: int = 0
