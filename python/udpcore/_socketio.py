"""The raw file behind ``socket.makefile``: what :class:`io.RawIOBase` asks for, over a socket."""

from __future__ import annotations

import io

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take longer than everything else here
    from typing import Any

    from _typeshed import ReadableBuffer, WriteableBuffer

    from udpcore._face import socket


class SocketIO(io.RawIOBase):
    """The raw file behind :meth:`socket.makefile`.

    After a timeout nobody can know which bytes were lost to a buffer, so reading stays refused.
    """

    def __init__(self, sock: socket, mode: str) -> None:
        if mode not in ("r", "w", "rw", "rb", "wb", "rwb"):
            raise ValueError(f"invalid mode: {mode!r}")
        super().__init__()
        self._sock: Any = sock
        self._mode = mode if "b" in mode else mode + "b"
        self._reading = "r" in mode
        self._writing = "w" in mode
        self._timeout_occurred = False

    def _ready(self, allowed: bool, what: str) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if not allowed:
            raise io.UnsupportedOperation(f"File or stream is not {what}.")

    def readinto(self, b: WriteableBuffer) -> int | None:
        """Receives into ``b``: how many bytes, 0 at the end, None if nothing is there yet."""
        self._ready(self._reading, "readable")
        if self._timeout_occurred:
            raise OSError("cannot read from timed out object")
        try:
            return int(self._sock.recv_into(b))
        except TimeoutError:
            self._timeout_occurred = True
            raise
        except BlockingIOError:
            return None

    def write(self, b: ReadableBuffer) -> int | None:
        """Sends ``b``: how many bytes went out, None if there is no room yet."""
        self._ready(self._writing, "writable")
        try:
            return int(self._sock.send(b))
        except BlockingIOError:
            return None

    def _open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed socket.")

    def readable(self) -> bool:
        """Whether the file can be read."""
        self._open()
        return self._reading

    def writable(self) -> bool:
        """Whether the file can be written."""
        self._open()
        return self._writing

    def seekable(self) -> bool:
        """Never: a socket has no positions."""
        self._open()
        return super().seekable()

    def fileno(self) -> int:
        """The socket's descriptor."""
        self._open()
        return int(self._sock.fileno())

    @property
    def name(self) -> int:
        """The descriptor's number, -1 when closed."""
        return -1 if self.closed else self.fileno()

    @property
    def mode(self) -> str:
        """The mode, always with a b."""
        return self._mode

    def close(self) -> None:
        """Closes the file, and the socket if it was only waiting for this."""
        if self.closed:
            return
        super().close()
        self._sock._decref_socketios()
        self._sock = None


SocketIO.__module__ = "udpcore"
