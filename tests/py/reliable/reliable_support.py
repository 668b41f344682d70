"""Small helpers of the reliable tests."""

from __future__ import annotations

import time
from collections.abc import Callable

from udpcore.reliable import ReliableUDPReceiver, UDPWithACK


def at(endpoint: UDPWithACK | ReliableUDPReceiver) -> tuple[str, int]:
    """The loopback address of an endpoint bound to every address."""
    return ("127.0.0.1", endpoint.local_address[1])


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until `condition()` holds; it is a failure if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.001)
