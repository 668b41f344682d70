"""What the tests of netem share: servers on free ports, and waiting with an end."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The helper beside the tests is no package: put its folder on the path, for this folder's tests.
sys.path.insert(0, str(Path(__file__).parent))
from wire_support import Wire, two_namespaces

#: Long enough for a busy machine; no test waits so long unless it fails.
PATIENCE_S = 20.0


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A UDP socket on a free port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE_S)
        yield sock


@pytest.fixture
def client() -> Iterator[socket.socket]:
    """A UDP socket to send from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE_S)
        yield sock


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """The address of a UDP echo server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def work() -> None:
            while (message := sock.recvfrom(65535))[0] != b"stop":
                sock.sendto(*message)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        address = sock.getsockname()
        yield address
        sock.sendto(b"stop", address)
        thread.join(PATIENCE_S)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Call a condition until it holds."""

    def wait(condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.001)

    return wait


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Two namespaces with a gap between, removed whatever happens."""
    with two_namespaces() as wire:
        yield wire
