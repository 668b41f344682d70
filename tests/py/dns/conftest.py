"""The name servers of the DNS tests: one real (NSD), and hostile ones made of sockets."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def _tool(name: str) -> ModuleType:
    path = HERE.parents[1] / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"tests_tools_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def nsd() -> Iterator[tuple[str, int]]:
    """The address of an NSD that serves ``zone.txt`` as ``example.test``."""
    zone = (HERE / "zone.txt").read_text(encoding="utf-8")
    with _tool("nsd").start_nsd(zone) as server:
        yield server.address


Handler = Callable[[bytes, tuple[str, int], socket.socket], None]


class UdpServer:
    """Calls `handler` with each datagram; ends with the test."""

    def __init__(self, handler: Handler) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = self.sock.getsockname()
        self.queries: list[tuple[bytes, tuple[str, int]]] = []
        self._handler = handler
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            query, client = self.sock.recvfrom(65535)
            if not query:
                return
            self.queries.append((query, client))
            self._handler(query, client, self.sock)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"", self.address)
        self._thread.join()
        self.sock.close()


@pytest.fixture
def udp_server() -> Iterator[Callable[[Handler], UdpServer]]:
    """Start a UDP server around a handler."""
    servers: list[UdpServer] = []

    def start(handler: Handler) -> UdpServer:
        servers.append(UdpServer(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
