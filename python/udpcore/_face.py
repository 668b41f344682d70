"""The ``socket`` class: the Rust core with files, context manager, enums and clean closing.

Behaves as the standard library's class in all that a program can observe. The methods that make
system calls are inherited from the core unchanged.
"""

from __future__ import annotations

import array
import io
import os
import sys
import warnings

from udpcore import _batch, _core, _sendfile
from udpcore._constants import CONSTANTS, AddressFamily, SocketKind
from udpcore._socketio import SocketIO

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take longer than everything else here
    from collections.abc import Iterable
    from typing import Any, Literal, NoReturn, Self, SupportsIndex, overload

    _Binary = Literal["b", "rb", "br", "wb", "bw", "rwb", "rbw", "wrb", "wbr", "brw", "bwr"]

_AF_UNIX: int = CONSTANTS["AF_UNIX"]
_SOCK_STREAM: int = CONSTANTS["SOCK_STREAM"]
_SOL_SOCKET: int = CONSTANTS["SOL_SOCKET"]
_SCM_RIGHTS: int = CONSTANTS["SCM_RIGHTS"]

# Calling an enum with a number takes four times as long as the rest of the property.
_FAMILIES = {int(family): family for family in AddressFamily}
_KINDS = {int(kind): kind for kind in SocketKind}

# linux/if_alg.h; interpreters built without that header do not name them.
_AF_ALG = 38
_SOL_ALG = 279
_ALG_SET_IV = 2
_ALG_SET_OP = 3
_ALG_SET_AEAD_ASSOCLEN = 4


class socket(_core.socket):  # noqa: N801 - the standard name
    """A network endpoint: ``socket(family=AF_INET, type=SOCK_STREAM, proto=0, fileno=None)``.

    With ``fileno`` it takes over an open descriptor, and asks the kernel for what is not said.
    Raises ``OSError`` with the kernel's number, ``TimeoutError`` after ``settimeout``,
    ``gaierror`` for unknown host names.
    """

    __slots__ = ["__weakref__", "_closed", "_io_refs"]

    def __init__(
        self,
        family: int = -1,
        type: int = -1,
        proto: int = -1,
        fileno: int | None = None,
    ) -> None:
        _core.socket.__init__(self, family, type, proto, fileno)
        self._io_refs = 0
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        if not self._closed:
            self.close()

    def __repr__(self) -> str:
        closed = getattr(self, "_closed", False)
        kind = self.__class__
        text = (
            f"<{kind.__module__}.{kind.__qualname__}{' [closed]' if closed else ''}"
            f" fd={self.fileno()}, family={self.family!s}, type={self.type!s}, proto={self.proto}"
        )
        if not closed:
            for label, ask in (("laddr", self.getsockname), ("raddr", self.getpeername)):
                try:
                    address = ask()
                except (OSError, AttributeError):
                    continue
                if address:
                    text += f", {label}={address!s}"
        return text + ">"

    def __del__(self) -> None:
        # The core's descriptor outlives its Python object only if nobody closed it.
        if self.fileno() != -1:
            _warn(f"unclosed {self!r}", ResourceWarning, source=self)
            _core.socket.close(self)

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {self.__class__.__name__!r} object")

    # Functions of udpcore.batch, as methods.
    sendmmsg = _batch.sendmmsg
    recvmmsg = _batch.recvmmsg
    recvmmsg_into = _batch.recvmmsg_into

    def dup(self) -> Self:
        """A second object for the same socket; not inherited by child programs."""
        twin = self.__class__(self.family, self.type, self.proto, _core.dup(self.fileno()))
        twin.settimeout(self.gettimeout())
        return twin

    def accept(self) -> tuple[socket, Any]:
        """Waits for a connection: ``(socket, address of the client)``."""
        number, address = self._accept()
        connection = socket(self.family, self.type, self.proto, number)
        # A listener's timeout is not the connection's, unless it is everybody's.
        if _core.getdefaulttimeout() is None and self.gettimeout():
            connection.setblocking(True)
        return connection, address

    if TYPE_CHECKING:  # the combinations of typeshed

        @overload
        def makefile(
            self,
            mode: _Binary,
            buffering: Literal[0],
            *,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
        ) -> SocketIO: ...
        @overload
        def makefile(
            self,
            mode: Literal["rwb", "rbw", "wrb", "wbr", "brw", "bwr"],
            buffering: Literal[-1, 1] | None = None,
            *,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
        ) -> io.BufferedRWPair: ...
        @overload
        def makefile(
            self,
            mode: Literal["rb", "br"],
            buffering: Literal[-1, 1] | None = None,
            *,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
        ) -> io.BufferedReader: ...
        @overload
        def makefile(
            self,
            mode: Literal["wb", "bw"],
            buffering: Literal[-1, 1] | None = None,
            *,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
        ) -> io.BufferedWriter: ...
        @overload
        def makefile(
            self,
            mode: _Binary,
            buffering: int,
            *,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
        ) -> io.IOBase: ...
        @overload
        def makefile(
            self,
            mode: Literal["r", "w", "rw", "wr", ""] = "r",
            buffering: int | None = None,
            *,
            encoding: str | None = None,
            errors: str | None = None,
            newline: str | None = None,
        ) -> io.TextIOWrapper: ...

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """A file object over the socket; ``mode`` of r, w and b, the rest as for :func:`open`.

        The descriptor stays open until the socket and all its files are closed.
        """
        if set(mode) - set("rwb"):
            raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
        writing = "w" in mode
        reading = "r" in mode or not writing
        binary = "b" in mode
        raw = SocketIO(self, ("r" if reading else "") + ("w" if writing else ""))
        self._io_refs += 1
        if buffering is None or buffering < 0:
            buffering = io.DEFAULT_BUFFER_SIZE
        if buffering == 0:
            if not binary:
                raise ValueError("unbuffered streams must be binary")
            return raw
        buffer: Any
        if reading and writing:
            buffer = io.BufferedRWPair(raw, raw, buffering)
        elif reading:
            buffer = io.BufferedReader(raw, buffering)
        else:
            buffer = io.BufferedWriter(raw, buffering)
        if binary:
            return buffer
        text = io.TextIOWrapper(buffer, io.text_encoding(encoding), errors, newline)
        text.mode = mode  # type: ignore[misc]
        return text

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Sends a binary file from ``offset`` to its end, or ``count`` bytes; returns how many.

        The kernel copies when it can (sendfile(2)). Only for blocking stream sockets.
        """
        try:
            return self._sendfile_use_sendfile(file, offset, count)
        except _sendfile.GiveUpOnSendfile:
            return self._sendfile_use_send(file, offset, count)

    def sendmsg_afalg(
        self,
        msg: Iterable[Any] = (),
        *,
        op: int,
        iv: Any = None,
        assoclen: int | None = None,
        flags: int = 0,
    ) -> int:
        """Sends ``msg`` to the kernel's cipher of an AF_ALG socket, with the operation to do."""
        if super().family != _AF_ALG:
            raise OSError("algset is only supported for AF_ALG")
        settings = [(_SOL_ALG, _ALG_SET_OP, _u32(op))]
        if iv is not None:
            settings.append((_SOL_ALG, _ALG_SET_IV, _u32(len(iv)) + bytes(iv)))
        if assoclen is not None:
            if assoclen < 0:
                raise TypeError("assoclen must be positive")
            settings.append((_SOL_ALG, _ALG_SET_AEAD_ASSOCLEN, _u32(assoclen)))
        return self.sendmsg(msg, settings, flags)

    def _sendfile_use_sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        return _sendfile.by_kernel(self, file, offset, count)

    def _sendfile_use_send(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        return _sendfile.by_reading(self, file, offset, count)

    def _check_sendfile_params(self, file: Any, offset: int, count: int | None) -> None:
        _sendfile.check_parameters(self, file, offset, count)

    def _decref_socketios(self) -> None:
        if self._io_refs > 0:
            self._io_refs -= 1
        if self._closed:
            self.close()

    def _real_close(self) -> None:
        _core.socket.close(self)

    def close(self) -> None:
        """Closes the socket; the descriptor goes when the last file of ``makefile`` does."""
        self._closed = True
        if self._io_refs <= 0:
            self._real_close()

    def detach(self) -> int:
        """Gives the descriptor away without closing it; this object cannot be used any more."""
        self._closed = True
        return super().detach()

    @property
    def family(self) -> AddressFamily:
        """The address family, an :class:`AddressFamily` if it has a name."""
        number = super().family
        # A number without a name stays a number, as in the standard module.
        return _FAMILIES.get(number, number)  # type: ignore[arg-type]

    @property
    def type(self) -> SocketKind:
        """The kind of socket, a :class:`SocketKind` if it has a name."""
        number = super().type
        return _KINDS.get(number, number)  # type: ignore[arg-type]

    def get_inheritable(self) -> bool:
        """Whether programs started later inherit the descriptor."""
        return os.get_inheritable(self.fileno())

    def set_inheritable(self, inheritable: bool) -> None:
        """Sets whether programs started later inherit the descriptor."""
        os.set_inheritable(self.fileno(), inheritable)


# Bound once: at the end of the interpreter's life module globals may be gone.
_warn = warnings.warn
socket.__module__ = "udpcore"


def _u32(number: int) -> bytes:
    """A number as the kernel reads an unsigned int."""
    return number.to_bytes(4, sys.byteorder)


def fromfd(fd: SupportsIndex, family: int, type: int, proto: int = 0) -> socket:
    """A socket object over a duplicate of the descriptor ``fd``."""
    return socket(family, type, proto, _core.dup(fd))


def socketpair(
    family: int | None = None,
    type: int = _SOCK_STREAM,
    proto: int = 0,
) -> tuple[socket, socket]:
    """Two sockets connected to each other, of family AF_UNIX unless told otherwise."""
    family = _AF_UNIX if family is None else family
    left, right = _core.socketpair(family, type, proto)
    return (
        socket(family, type, proto, left.detach()),
        socket(family, type, proto, right.detach()),
    )


def send_fds(
    sock: Any, buffers: Iterable[Any], fds: Iterable[int], flags: int = 0, address: Any = None
) -> int:
    """Sends ``buffers`` and open descriptors over a UNIX socket; returns the bytes sent."""
    rights = (_SOL_SOCKET, _SCM_RIGHTS, array.array("i", fds))
    return int(sock.sendmsg(buffers, [rights], flags, address))


def recv_fds(
    sock: Any, bufsize: int, maxfds: int, flags: int = 0
) -> tuple[bytes, list[int], int, Any]:
    """Receives up to ``maxfds`` descriptors: ``(data, descriptors, flags, address)``."""
    fds = array.array("i")
    room = _core.CMSG_LEN(maxfds * fds.itemsize)
    data, ancillary, flags, address = sock.recvmsg(bufsize, room, flags)
    for level, kind, content in ancillary:
        if level == _SOL_SOCKET and kind == _SCM_RIGHTS:
            whole = len(content) - len(content) % fds.itemsize
            fds.frombytes(content[:whole])
    return data, list(fds), flags, address
