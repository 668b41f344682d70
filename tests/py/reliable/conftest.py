"""Plain tutorial peers and silent sockets for the reliable tests."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from udpcore.reliable import UDPWithACK

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def pair() -> Iterator[tuple[UDPWithACK, UDPWithACK]]:
    """Two endpoints, closed at once at the end."""
    a, b = UDPWithACK(0), UDPWithACK(0)
    yield a, b
    a.close()
    b.close()


@pytest.fixture
def raw() -> Iterator[socket.socket]:
    """A plain socket on loopback: a peer that says only what the test makes it say."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock
