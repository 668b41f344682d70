"""Sockets of both modules: what udpcore.batch does, it does on each."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(params=["socket", "udpcore"])
def sock(request: pytest.FixtureRequest) -> ModuleType:
    """The module whose sockets are used."""
    return importlib.import_module(request.param)


@pytest.fixture
def make(sock: ModuleType) -> Iterator[Callable[..., Any]]:
    """Makes bound datagram sockets and closes them afterwards."""
    made: list[Any] = []

    def make_one(host: str = "127.0.0.1", timeout: float | None = 20.0) -> Any:
        family = sock.AF_INET6 if ":" in host else sock.AF_INET
        one = sock.socket(family, sock.SOCK_DGRAM)
        made.append(one)
        one.settimeout(timeout)
        one.bind((host, 0))
        one.setsockopt(sock.SOL_SOCKET, sock.SO_RCVBUF, 4 << 20)
        return one

    yield make_one
    for one in made:
        one.close()


@pytest.fixture
def pair(make: Callable[..., Any]) -> tuple[Any, Any]:
    """A sender and a receiver on loopback."""
    return make(), make()
