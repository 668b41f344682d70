"""Fixtures of the socket tests: every behaviour is checked on both modules."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

IMPLEMENTATIONS = ("socket", "udpcore")


@pytest.fixture(params=IMPLEMENTATIONS)
def sock(request: pytest.FixtureRequest) -> ModuleType:
    """The module under test: the standard library's, then ours."""
    return importlib.import_module(request.param)


@pytest.fixture
def make(sock: ModuleType) -> Iterator[Callable[..., Any]]:
    """Makes sockets of the module under test and closes them afterwards."""
    made: list[Any] = []

    def make_one(*args: Any, bind: Any = None, timeout: float | None = 10.0, **kw: Any) -> Any:
        one = sock.socket(*args, **kw)
        made.append(one)
        one.settimeout(timeout)
        if bind is not None:
            one.bind(bind)
        return one

    yield make_one
    for one in made:
        one.close()


@pytest.fixture
def udp(sock: ModuleType, make: Callable[..., Any]) -> tuple[Any, Any]:
    """Two IPv4 datagram sockets on loopback."""
    kind = (sock.AF_INET, sock.SOCK_DGRAM)
    return make(*kind, bind=("127.0.0.1", 0)), make(*kind, bind=("127.0.0.1", 0))


@pytest.fixture
def tcp(sock: ModuleType, make: Callable[..., Any]) -> Iterator[tuple[Any, Any]]:
    """A connected pair of IPv4 stream sockets on loopback."""
    server = make(bind=("127.0.0.1", 0))
    server.listen(1)
    client = make()
    client.connect(server.getsockname())
    peer, _ = server.accept()
    peer.settimeout(10)
    with peer:
        yield client, peer


def run_script(module: str, source: str, *args: str, timeout: float = 30) -> str:
    """Runs a script whose ``import socket`` means ``module``; gives back what it printed."""
    source = textwrap.dedent(source)
    if module != "socket":
        source = re.sub(r"\bimport socket\b", f"import {module} as socket", source)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source, *args],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def script(sock: ModuleType) -> Callable[..., str]:
    """Runs a script against the module under test."""
    return lambda source, *args, **options: run_script(sock.__name__, source, *args, **options)
