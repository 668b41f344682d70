"""Echo over UDP: a server that answers ``ECHO: `` and the text, and a client that asks.

Bytes that are no text are counted as errors and not answered; ``raw=True`` echoes bytes untouched.
"""

from __future__ import annotations

import threading

import udpcore as socket
from udpcore import _core
from udpcore.apps._app import POLL_SECONDS, Address, App, open_udp, receive, run_as_program
from udpcore.apps._echo_client import UDPEchoClient, udp_client

__all__ = ["UDPEchoClient", "UDPEchoServer", "udp_client", "udp_server"]

ECHO, PLAIN_ECHO = b"ECHO: ", b"Echo: "


class UDPEchoServer(App):
    """Answers every text with ``ECHO: `` and the text.

    :meth:`start` binds and serves in a thread; :meth:`run` serves until :meth:`shutdown`.
    `stats` counts ``received``, ``sent`` and ``errors``.
    """

    def __init__(
        self,
        host: str = "0.0.0.0",
        port: int = 9999,
        buffer_size: int = 4096,
        *,
        raw: bool = False,
        prefix: bytes = ECHO,
        verbose: bool = False,
    ) -> None:
        super().__init__(verbose)
        self.host, self.port, self.buffer_size, self.raw = host, port, buffer_size, raw
        self.prefix = prefix
        self.stats = {"received": 0, "sent": 0, "errors": 0}
        self.sock: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind the port (raises :class:`OSError` when it is taken) and serve in a thread."""
        if self.sock is None:
            self._bind()
            self._thread = threading.Thread(target=self._serve, name="UDPEchoServer")
            self._thread.start()

    def run(self) -> None:
        """Serve until :meth:`shutdown` or Ctrl-C."""
        if self._thread is None:
            self._bind()
            self._serve()
        while self._thread and self._thread.is_alive():
            self._thread.join(POLL_SECONDS)

    def handle_datagram(self, data: bytes, client_addr: Address) -> None:
        """Answer one datagram; whatever is wrong with it, the server goes on."""
        self.stats["received"] += 1
        answer = data if self.raw else _core.echo_answer(data, self.prefix)
        if answer is None:
            self.stats["errors"] += 1
            self.say(f"{client_addr}: {len(data)} bytes that are no text")
            return
        try:
            if self.sock is not None:
                self.sock.sendto(answer, client_addr)
                self.stats["sent"] += 1
        except OSError as error:
            self.stats["errors"] += 1
            self.say(f"{client_addr}: {error}")

    def shutdown(self) -> None:
        """Stop serving and close the port."""
        self.running = False
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join()
        if self.sock is not None:
            self.sock.close()
        self.sock = self._thread = None

    close = shutdown

    def _bind(self) -> None:
        self.sock = open_udp(self.host, self.port)
        self.port = self.sock.getsockname()[1]
        self.running = True
        self.say(f"listening on {self.host}:{self.port}")

    def _serve(self) -> None:
        while self.running and self.sock is not None:
            if message := receive(self.sock, self.buffer_size):
                self.handle_datagram(*message)


def udp_server(host: str = "0.0.0.0", port: int = 9999, *, verbose: bool = False) -> None:
    """Answer ``Echo: `` and the text until Ctrl-C: the tutorial's first server."""
    with UDPEchoServer(host, port, prefix=PLAIN_ECHO, verbose=verbose) as server:
        server.run()


if __name__ == "__main__":
    run_as_program("echo")
