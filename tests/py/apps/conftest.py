"""What the tests of the applications share: servers in threads, bad links, plain peers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from lan import Lan

from udpcore import netem

#: Long enough for a busy machine; no test waits so long unless it fails.
PATIENCE_S = 20.0
#: What every application has to bear.
BAD_LINK = {"loss": "10%", "duplicate": "5%", "reorder": "5%", "delay": "10ms", "jitter": "3ms"}
SEED = 7


def _wait_until(condition: Callable[[], Any]) -> None:
    """Look until `condition` holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.002)


@contextmanager
def _serving(app: Any, work: Callable[[], object] | None = None) -> Iterator[Any]:
    """Run `app` in a thread for the length of a block."""
    thread = threading.Thread(target=work or app.run)
    thread.start()
    try:
        _wait_until(lambda: app.running)
        yield app
    finally:
        app.running = False
        thread.join(PATIENCE_S)
        app.close()
    assert not thread.is_alive()


@contextmanager
def _bad_link(upstream: tuple[str, int], **changes: object) -> Iterator[netem.Proxy]:
    """A proxy that loses, doubles, reorders and delays, both ways."""
    with netem.Proxy(upstream, seed=SEED, **{**BAD_LINK, **changes}) as proxy:
        yield proxy


@pytest.fixture
def plain() -> Iterator[socket.socket]:
    """A socket of the standard library on a free port: the tutorial's peer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE_S)
        yield sock


@pytest.fixture
def free_ports() -> Callable[[], int]:
    """Return a port that is free, and so are the next three."""

    def find() -> int:
        for _ in range(100):
            with ExitStack() as stack:
                port = 0
                try:
                    for n in range(4):
                        kind = socket.AF_INET, socket.SOCK_DGRAM
                        sock = stack.enter_context(socket.socket(*kind))
                        sock.bind(("127.0.0.1", port and port + n))
                        port = port or sock.getsockname()[1]
                except (OSError, OverflowError):
                    continue
                return port
        raise OSError("no four free ports in a row")

    return find


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Any]], None]:
    """Call a condition until it holds."""
    return _wait_until


@pytest.fixture
def serving() -> Callable[..., Any]:
    """``with serving(app):`` runs an application in a thread."""
    return _serving


@pytest.fixture
def bad_link() -> Callable[..., Any]:
    """``with bad_link(address) as proxy:`` puts the bad link before a server."""
    return _bad_link


@pytest.fixture
def lan() -> Iterator[Lan]:
    """Two network namespaces with a wire between."""
    with Lan() as network:
        yield network


@pytest.fixture
def bad_lan() -> Iterator[Lan]:
    """The same with a wire that loses, doubles and reorders packets of every kind."""
    with Lan(loss="10%", duplicate="5%", reorder="5%", seed=str(SEED)) as network:
        yield network
