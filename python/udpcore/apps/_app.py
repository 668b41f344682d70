"""What the applications share: a voice, a stop, a `with` block. Nothing of any protocol."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from typing import Self

import udpcore as socket

Address = tuple[str, int]

#: How often a loop that waits for datagrams looks whether it shall stop.
POLL_SECONDS = 0.1
#: The largest UDP datagram.
DATAGRAM_BYTES_MAX = 65535


class App:
    """The base of the applications."""

    def __init__(self, verbose: bool = False) -> None:
        self.verbose = verbose
        self.running = False
        self.logger = logging.getLogger(type(self).__module__)

    def say(self, text: str) -> None:
        """Log `text`, and print it when the user asked for it."""
        self.logger.info(text)
        if self.verbose:
            print(text, flush=True)

    def close(self) -> None:
        """Stop, and give back what is held. May be called twice."""
        self.running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_udp(
    host: str = "", port: int = 0, *, share: bool = False, scope: int = 0
) -> socket.socket:
    """Open a bound UDP socket that wakes up every `POLL_SECONDS`.

    With ``share=True`` several programs may have the same port, as for multicast; `scope` is the
    index of the interface an IPv6 group lives on.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port, 0, scope) if scope else (host, port))
    except OSError as error:
        sock.close()
        if error.errno is None or isinstance(error, socket.gaierror):
            raise
        raise OSError(error.errno, f"{error.strerror}: {host or '*'}, port {port}") from error
    sock.settimeout(POLL_SECONDS)
    return sock


def receive(sock: socket.socket, size: int = DATAGRAM_BYTES_MAX) -> tuple[bytes, Address] | None:
    """Receive a datagram, or return None when none came for a moment.

    An error that an earlier send left on the socket (nobody listens there) is not ours.
    """
    try:
        data, address = sock.recvfrom(size)
    except (TimeoutError, ConnectionRefusedError):
        return None
    return data, address


def every(seconds: float, going: Callable[[], bool]) -> Iterator[None]:
    """Yield at an even pace while `going()`; a late tick does not delay the later ones."""
    began, count = time.monotonic(), 0
    while going():
        yield
        count += 1
        time.sleep(max(began + count * seconds - time.monotonic(), 0))


def run_as_program(*words: str) -> None:
    """Run the command with these words first: what `python -m udpcore.apps.NAME` does."""
    from udpcore.cli import main

    sys.exit(main([*words, *sys.argv[1:]]))
