"""Files over a connection of the transport: resumed where they stopped, checked, placed whole.

One connection carries one file. The sender says what it has, the receiver how much of it it holds
already, then come the bytes from there on, then the receiver's verdict::

    sender                                    receiver
    {"file": 1, "name", "size", "sha256"} ->
                                           <- {"have": bytes}
    blocks of BLOCK_BYTES                  ->
                                           <- {"ok": true}  or  {"ok": false, "error", "again"}

What has arrived waits as ``.NAME.<start of the sha256>.part`` in the directory, so only the same
content is ever continued. The file appears under its name by one rename, when its SHA-256 is right.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from udpcore._transport import Address, Connection, Listener, Receipt, connect, listen

BLOCK_BYTES = 64 * 1024
#: A header or an answer is never longer.
TEXT_BYTES_MAX = 4096
NAME_BYTES_MAX = 200
#: A peer that says nothing for so long is gone (seconds).
PATIENCE_SECONDS = 15.0
#: Blocks on their way before the sender waits for room.
OPTIONS: dict[str, Any] = {
    "idle_timeout": PATIENCE_SECONDS,
    "keep_alive": 3.0,
    "send_buffer": 8 << 20,
    "receive_window": 8 << 20,
    "channel_window": 6 << 20,
    "message_len_max": 1 << 20,
}

#: Called with (name, bytes there, bytes in all).
Report = Callable[[str, int, int], None]


class TransferError(OSError):
    """The other end refused the file, or what arrived was not what was sent."""


def _ignore(name: str, done: int, total: int) -> None:
    pass


def send_file(
    path: Path,
    address: Address,
    secret: str | None = None,
    report: Report = _ignore,
    timeout: float = 10.0,
) -> str:
    """Send a file and return its SHA-256 once the receiver has confirmed it.

    Raises :class:`TransferError` if the receiver refuses it, TimeoutError if nobody answers,
    ConnectionError if the connection breaks; calling again continues where it stopped. `report`
    is told how much the other end has acknowledged.
    """
    digest = _digest(path)
    for attempt in (1, 2):
        with connect(address, secret=secret, timeout=timeout, **OPTIONS) as conn:
            answer = _send_over(conn, path, digest, report)
            if answer.get("ok") is True:
                return digest
            if not (answer.get("again") is True and attempt == 1):
                raise TransferError(str(answer.get("error", "the receiver did not say why")))
    raise TransferError("unreachable")  # pragma: no cover


def _send_over(conn: Connection, path: Path, digest: str, report: Report) -> dict[str, Any]:
    with path.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        header = {"file": 1, "name": path.name, "size": size, "sha256": digest}
        _send_block(conn, json.dumps(header).encode())
        answer = _read_text(conn)
        have = answer.get("have")
        if not isinstance(have, int) or not 0 <= have <= size:
            return answer
        source.seek(have)
        report(path.name, have, size)
        with suppress(ConnectionError):  # What the receiver said last tells why.
            for arrived in _send_blocks(conn, source, size - have):
                have += arrived
                report(path.name, have, size)
    return _read_text(conn)


def _send_blocks(conn: Connection, source: BinaryIO, left: int) -> Iterator[int]:
    """Send what is `left`; gives how many bytes were acknowledged, block by block."""
    under_way: deque[tuple[Receipt, int]] = deque()
    while left > 0:
        # What is appended meanwhile is not what was announced.
        block = source.read(min(left, BLOCK_BYTES))
        if not block:
            raise TransferError(f"the file became {left} bytes shorter while it was sent")
        left -= len(block)
        under_way.append((_send_block(conn, block), len(block)))
        while under_way and _has_arrived(under_way[0][0]):
            yield under_way.popleft()[1]
    for receipt, length in under_way:
        if receipt.wait() != "acked":
            return  # The connection is over.
        yield length


def _has_arrived(receipt: Receipt) -> bool:
    try:
        return receipt.wait(0) == "acked"
    except TimeoutError:
        return False


def _send_block(conn: Connection, block: bytes) -> Receipt:
    while True:
        try:
            return conn.send(block, timeout=PATIENCE_SECONDS)
        except BrokenPipeError:
            # To a command that would mean that nobody reads its output.
            raise ConnectionAbortedError(conn.closed) from None
        except TimeoutError:
            # A slow receiver is no error; one that is gone has ended the connection.
            if conn.closed is not None:
                raise ConnectionAbortedError(conn.closed) from None


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _read_text(conn: Connection) -> dict[str, Any]:
    try:
        text = conn.recv(timeout=None)
    except EOFError:
        raise ConnectionAbortedError("the receiver ended it without a word") from None
    try:
        value = _parse(text) if len(text) <= TEXT_BYTES_MAX else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise TransferError("the other end does not speak this protocol")
    return value


def _parse(text: bytes) -> Any:
    """The JSON value of what the peer sent; raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("brackets within brackets within brackets") from None


class FileReceiver:
    """Takes files into a directory until it is closed; a context manager.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as scratch:
    ...     here, there = Path(scratch, "a.txt"), Path(scratch, "in")
    ...     _ = here.write_text("hello")
    ...     with FileReceiver(there) as receiver:
    ...         _ = send_file(here, receiver.address)
    ...         receiver.wait(1)
    ...     (there / "a.txt").read_text()
    1
    'hello'
    """

    def __init__(
        self,
        directory: Path,
        address: Address = ("127.0.0.1", 0),
        secret: str | None = None,
        size_max: int | None = None,
        report: Report = _ignore,
        said: Callable[[str], None] = lambda text: None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory.resolve()
        self._size_max, self._report, self._said = size_max, report, said
        self._listener: Listener = listen(address, secret, **OPTIONS)
        self.address: Address = self._listener.address
        self._changed = threading.Condition()
        self._received = self._running = 0
        self._active: dict[Path, tuple[Connection, threading.Lock]] = {}
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def wait(self, count: int, timeout: float | None = None) -> int:
        """Wait until `count` files are there; return how many are."""
        with self._changed:
            self._changed.wait_for(lambda: self._received >= count, timeout)
            return self._received

    def close(self) -> None:
        """Take no more files; transfers under way stop and can be continued later."""
        self._listener.close()
        self._accepting.join()
        with self._changed:
            for connection, _ in self._active.values():
                connection.abort()
            self._changed.wait_for(lambda: self._running == 0)

    def __enter__(self) -> FileReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        for connection in self._listener:
            with self._changed:
                self._running += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        try:
            self._receive(connection)
            connection.close(PATIENCE_SECONDS)
        except (TransferError, ValueError) as error:
            self._said(f"refused: {error}")
            _answer(connection, {"ok": False, "error": str(error)})
            connection.close(PATIENCE_SECONDS)
        except (ConnectionError, TimeoutError, EOFError) as error:
            self._said(f"interrupted: {error}")
            connection.abort()
        except OSError as error:  # ours: no room, no right
            self._said(f"failed: {error}")
            _answer(connection, {"ok": False, "error": f"the receiver failed: {error.strerror}"})
            connection.close(PATIENCE_SECONDS)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _receive(self, connection: Connection) -> None:
        header = _parse(_first(connection))
        name, size, digest = self._checked(header)
        part = self._directory / f".{name}.{digest[:16]}.part"
        with self._turn(part, connection), _open_part(part) as target:
            hashed = hashlib.sha256()
            have = _hash_into(hashed, target, size)
            connection.send(json.dumps({"have": have}).encode())
            self._report(name, have, size)
            while have < size:
                block = connection.recv(timeout=None)
                if have + len(block) > size:
                    raise TransferError(f"{name} is longer than announced")
                target.write(block)
                hashed.update(block)
                have += len(block)
                self._report(name, have, size)
            target.flush()
            os.fsync(target.fileno())
            if hashed.hexdigest() != digest:
                part.unlink()
                wrong = f"the sha256 of {name} is wrong: it was thrown away"
                self._said(wrong)
                _answer(connection, {"ok": False, "error": wrong, "again": True})
                return
            part.replace(self._directory / name)
            _sync_directory(self._directory)
        _answer(connection, {"ok": True})
        with self._changed:
            self._received += 1
            self._changed.notify_all()

    def _checked(self, header: Any) -> tuple[str, int, str]:
        """The header's values, if they can be trusted with a path and a disk."""
        if not isinstance(header, dict) or header.get("file") != 1:
            raise TransferError("this is no file of version 1")
        name, size, digest = header.get("name"), header.get("size"), header.get("sha256")
        if not isinstance(name, str) or not is_plain_name(name):
            raise TransferError(f"{name!r} is not a plain file name")
        if not isinstance(size, int) or size < 0 or (self._size_max or size) < size:
            raise TransferError(f"a size of {size} is not taken (at most {self._size_max})")
        if not isinstance(digest, str) or not _is_digest(digest):
            raise TransferError("the sha256 is not 64 hexadecimal digits")
        if (self._directory / name).is_dir():
            raise TransferError(f"{name} is a directory here")
        return name, size, digest

    @contextmanager
    def _turn(self, part: Path, connection: Connection) -> Iterator[None]:
        """One at a time for a file: the newest connection ends the one before."""
        with self._changed:
            before, lock = self._active.get(part, (None, threading.Lock()))
            self._active[part] = (connection, lock)
            if before is not None:
                before.abort()
        try:
            with lock:
                yield
        finally:
            with self._changed:
                if self._active.get(part, (None,))[0] is connection:
                    del self._active[part]


def is_plain_name(name: str) -> bool:
    """Whether `name` can only mean a file of the directory itself.

    >>> [is_plain_name(name) for name in ("a.txt", "..", "../a", "/etc/passwd", "a\\\\0b", ".x")]
    [True, False, False, False, False, False]
    """
    return (
        0 < len(name.encode(errors="replace")) <= NAME_BYTES_MAX
        and name.isprintable()
        and not name.startswith(".")
        and not any(sign in name for sign in "/\\")
    )


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)


def _first(connection: Connection) -> bytes:
    text = connection.recv(timeout=PATIENCE_SECONDS)
    if len(text) > TEXT_BYTES_MAX:
        raise TransferError("the header is too long")
    return text


def _answer(connection: Connection, value: dict[str, Any]) -> None:
    try:
        connection.send(json.dumps(value).encode())
    except (OSError, ValueError):
        # Gone already: it will ask again.
        connection.abort()


def _open_part(part: Path) -> BinaryIO:
    # A link that somebody put there must not lead outside of the directory.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(part, flags, 0o644), "r+b")


def _hash_into(hashed: Any, target: BinaryIO, size: int) -> int:
    """Hash what is there; cut what is more than the file."""
    target.truncate(min(size, os.fstat(target.fileno()).st_size))
    have = 0
    while block := target.read(1 << 20):
        hashed.update(block)
        have += len(block)
    return have


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
