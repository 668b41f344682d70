"""Pairs of connections over loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from udpcore.reliable import Connection, connect, listen

Pair = tuple[Connection, Connection]


@pytest.fixture
def pair_of() -> Iterator[Callable[..., Pair]]:
    """Make (client, server side) with any options; closed at the end."""
    with ExitStack() as stack:

        def make(**options: Any) -> Pair:
            server = stack.enter_context(listen(**options))
            client = connect(server.address, **options)
            there = server.accept(timeout=10)
            stack.callback(there.abort)
            stack.callback(client.abort)
            return client, there

        yield make


@pytest.fixture
def pair(pair_of: Callable[..., Pair]) -> Pair:
    return pair_of()
