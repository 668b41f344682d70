"""The client of the echo: sends texts and returns what comes back."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable

from udpcore.apps._app import App, open_udp, receive


class UDPEchoClient(App):
    """Sends texts to an echo server and returns what comes back."""

    def __init__(
        self,
        server_host: str = "127.0.0.1",
        server_port: int = 9999,
        *,
        timeout: float = 2.0,
        retries: int = 0,
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        self.server, self.timeout, self.retries = (server_host, server_port), timeout, retries
        self.sock = open_udp("::" if ":" in server_host else "")
        self._earlier: deque[str] = deque(maxlen=64)

    def send_message(self, message: str) -> str | None:
        """Send `message` and return the answer; None when none came in time."""
        for _ in range(1 + self.retries):
            self.sock.sendto(message.encode(), self.server)
            if (answer := self._answer(message)) is not None:
                self._earlier.append(message)
                return answer
            self.say(f"no answer from {self.server} within {self.timeout} s")
        self._earlier.append(message)
        return None

    def _answer(self, message: str) -> str | None:
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline:
            if (reply := receive(self.sock)) is None:
                continue
            answer = reply[0].decode(errors="replace")
            # A late or doubled answer to an earlier message is not the answer to this one.
            late = any(old != message and answer.endswith(old) for old in self._earlier)
            if answer.endswith(message) or not late:
                return answer
        return None

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()


def udp_client(
    server_host: str = "127.0.0.1",
    server_port: int = 9999,
    messages: Iterable[str] | None = None,
    *,
    verbose: bool = False,
) -> list[str | None]:
    """Send `messages` (the lines of standard input when None) and return the answers."""
    lines = sys.stdin if messages is None else messages
    with UDPEchoClient(server_host, server_port, verbose=verbose) as client:
        return [client.send_message(line.rstrip("\n")) for line in lines]
