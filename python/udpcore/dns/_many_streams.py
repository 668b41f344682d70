"""Many names over kept connections: TCP, TLS or HTTPS, validated if that is wanted.

The work of :func:`udpcore.dns.resolve_many` where it does not ask over UDP: names are asked in
rounds, all of a round at once, and come back in the order given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from udpcore import _core
from udpcore._core import Message
from udpcore.dns._connection import Connection, StreamOptions
from udpcore.dns._resolving import Question, Steps, resolving

#: Names of one round; over HTTPS one waits for the other.
ROUND_MAX = {"tcp": 1000, "tls": 1000, "https": 50}


class Way(NamedTuple):
    """How to ask: servers in turn, options, and whether to validate from which anchor."""

    connections: list[Connection]
    options: StreamOptions
    dnssec: bool
    trust_anchor: str | None

    def ask(self, questions: list[Question]) -> list[Message | Exception]:
        """Ask all; what one server does not answer, the next is asked."""
        answers: list[Message | Exception] = []
        for connection in self.connections:
            wanted = [n for n in range(len(questions)) if not answers or _failed(answers[n])]
            if not wanted:
                break
            found = connection.query_many([questions[n][:2] for n in wanted], **self.options)
            answers = answers or list(found)
            for n, answer in zip(wanted, found, strict=True):
                if self.dnssec and isinstance(answer, Message):
                    connection.validate(answer, self.trust_anchor)
                answers[n] = answer
        return answers


def _failed(answer: Message | Exception) -> bool:
    return isinstance(answer, OSError)


def over_connections(
    way: Way,
    names: Iterator[str],
    rdtype: str | int,
    concurrency: int,
    rate: int | None,
    progress: Callable[[int], object] | None,
    messages: bool,
) -> Iterator[tuple[str, Any]]:
    """Yield each name with its result, round by round."""
    transport = way.connections[0].transport
    size = min(concurrency, ROUND_MAX[transport], max(1, (rate or 10**9) // 10))
    began, done = time.monotonic(), 0
    try:
        while taken := list(islice(names, size)):
            results = _round(way, taken, rdtype, messages)
            done += len(taken)
            if progress is not None:
                progress(done)
            yield from zip(taken, results, strict=True)
            if rate:
                time.sleep(max(0.0, began + done / rate - time.monotonic()))
    finally:
        for connection in way.connections:
            connection.close()


def _round(way: Way, names: list[str], rdtype: str | int, messages: bool) -> list[Any]:
    """Ask for all `names`, and for where their aliases lead, until each has its result."""
    results: list[Any] = [None] * len(names)
    waiting: dict[int, tuple[Steps, Question]] = {}
    for place, name in enumerate(names):
        try:
            _core.dns_normalise(name)
        except ValueError as error:
            results[place] = error
            continue
        steps = resolving(name, rdtype, "", 0, None, {})
        waiting[place] = steps, next(steps)
    while waiting:
        answers = way.ask([question for _, question in waiting.values()])
        for (place, (steps, _)), answer in zip(list(waiting.items()), answers, strict=True):
            del waiting[place]
            if messages or not isinstance(answer, Message):
                results[place] = answer
                continue
            try:
                waiting[place] = steps, steps.send(answer)
            except StopIteration as stop:
                results[place] = stop.value
            except OSError as error:
                results[place] = error
    return results
