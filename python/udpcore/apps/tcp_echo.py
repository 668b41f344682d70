"""Echo over TCP, for comparison: the same texts, on connections that lose nothing."""

from __future__ import annotations

import contextlib
import threading

import udpcore as socket
from udpcore.apps._app import POLL_SECONDS, App, run_as_program

CONNECTIONS_MAX = 256
CHUNK_BYTES = 65536


class TCPEchoServer(App):
    """Sends back every byte, one thread a connection."""

    def __init__(self, host: str = "0.0.0.0", port: int = 9999, *, verbose: bool = False) -> None:
        super().__init__(verbose)
        self.stats = {"connections": 0, "received": 0, "errors": 0}
        self.sock = socket.create_server((host, port))
        self.port: int = self.sock.getsockname()[1]
        self._threads: set[threading.Thread] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve in a thread."""
        self._thread = threading.Thread(target=self.run, name="TCPEchoServer")
        self._thread.start()

    def run(self) -> None:
        """Serve until :meth:`shutdown` or Ctrl-C."""
        while self._thread and self._thread is not threading.current_thread():
            self._thread.join(POLL_SECONDS)
            if not self._thread.is_alive():
                return
        self.running = True
        self.sock.settimeout(POLL_SECONDS)
        self.say(f"listening on port {self.port}")
        while self.running:
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            with contextlib.suppress(TimeoutError):
                connection, address = self.sock.accept()
                self._accept(connection, address)

    def _accept(self, connection: socket.socket, address: object) -> None:
        if len(self._threads) >= CONNECTIONS_MAX:
            self.stats["errors"] += 1
            connection.close()
            return
        self.stats["connections"] += 1
        self.say(f"{address} connected")
        thread = threading.Thread(target=self._echo, args=(connection,))
        self._threads.add(thread)
        thread.start()

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(POLL_SECONDS)
            while self.running:
                try:
                    if not (data := connection.recv(CHUNK_BYTES)):
                        return
                    self.stats["received"] += len(data)
                    connection.settimeout(None)
                    connection.sendall(data)
                    connection.settimeout(POLL_SECONDS)
                except TimeoutError:
                    continue
                except OSError:
                    self.stats["errors"] += 1
                    return

    def shutdown(self) -> None:
        """Stop serving and close every connection."""
        self.running = False
        for thread in [self._thread, *self._threads]:
            if thread and thread is not threading.current_thread():
                thread.join()
        self.sock.close()

    close = shutdown


class TCPEchoClient(App):
    """Sends texts over one connection and returns what comes back."""

    def __init__(
        self, server_host: str = "127.0.0.1", server_port: int = 9999, *, timeout: float = 5.0
    ) -> None:
        super().__init__()
        try:
            self.sock = socket.create_connection((server_host, server_port), timeout)
        except ConnectionError as error:
            what = f"{error.strerror}: {server_host}, port {server_port}"
            raise OSError(error.errno, what) from error

    def send_message(self, message: str) -> str:
        """Send `message` and return its echo."""
        data = message.encode()
        self.sock.sendall(data)
        answer = b""
        while len(answer) < len(data):
            if not (part := self.sock.recv(CHUNK_BYTES)):
                raise ConnectionError(f"the server closed after {len(answer)} of {len(data)} bytes")
            answer += part
        return answer.decode()

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()


if __name__ == "__main__":
    run_as_program("echo", "--tcp")
