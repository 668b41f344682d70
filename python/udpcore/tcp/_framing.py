"""Framings: messages to bytes of a stream and back, without a socket.

A parser is fed whatever arrives and asked for messages; it holds at most one message that is not
complete, and refuses one that would be too long before it is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Delimiter", "FrameError", "FrameParser", "Framing", "LengthPrefix"]

Buffer = bytes | bytearray | memoryview

#: Bytes already dealt with that are kept before the rest moves up.
_COMPACT = 65_536


class FrameError(ValueError):
    """What the peer sent is no frame: too long, or cut off by the end of the stream."""


class FrameParser(Protocol):
    """Finds the messages in a stream; after a :class:`FrameError` it is of no more use."""

    def feed(self, data: Buffer) -> None:
        """Append what has arrived."""

    def next_message(self) -> bytes | None:
        """The next complete message, or None; raises :class:`FrameError`."""

    def finish(self) -> None:
        """The stream is over; raises :class:`FrameError` if that is within a message."""


class Framing(Protocol):
    """How messages become bytes of a stream."""

    @property
    def max_size(self) -> int:
        """The longest message, in bytes."""

    def compose(self, message: Buffer) -> bytes:
        """The frame of a message; raises ``ValueError`` if it cannot be sent."""

    def parser(self) -> FrameParser:
        """A parser for one stream."""


def framing_or_default(framing: Framing | None) -> Framing:
    """The framing; raises ``TypeError`` for what is none, before it costs a connection."""
    if framing is None:
        return LengthPrefix()
    if not (hasattr(framing, "compose") and hasattr(framing, "parser")):
        raise TypeError(f"framing must be a framing such as LengthPrefix(), not {framing!r}")
    return framing


def check_timeouts(**timeouts: float | None) -> None:
    """Raise for what is neither None nor a number of seconds above 0."""
    for name, seconds in timeouts.items():
        if seconds is None:
            continue
        if not isinstance(seconds, int | float):
            raise TypeError(f"{name} must be a number of seconds or None, not {seconds!r}")
        if not seconds > 0:
            raise ValueError(f"{name} must be above 0 seconds, or None for ever, not {seconds}")


def _check_size(message: Buffer, max_size: int) -> int:
    if not isinstance(message, Buffer):
        kind = type(message).__name__
        raise TypeError(f"a message must be bytes, bytearray or memoryview, not {kind}")
    size = message.nbytes if isinstance(message, memoryview) else len(message)
    if size > max_size:
        raise ValueError(f"a message of {size} bytes exceeds max_size={max_size}")
    return size


def _check_max_size(max_size: int) -> None:
    if not isinstance(max_size, int):
        raise TypeError(f"max_size must be a number of bytes, not {max_size!r}")
    if max_size < 1:
        raise ValueError(f"max_size must be at least 1, not {max_size}")


class _Stream:
    """Bytes that have arrived, with what is already dealt with in front."""

    __slots__ = ("_begin", "_data")

    def __init__(self) -> None:
        self._data = bytearray()
        self._begin = 0

    def feed(self, data: Buffer) -> None:
        if self._begin >= _COMPACT or self._begin == len(self._data):
            del self._data[: self._begin]
            self._begin = 0
        self._data += data

    def __len__(self) -> int:
        return len(self._data) - self._begin

    def find(self, mark: bytes, begin: int) -> int:
        found = self._data.find(mark, self._begin + begin)
        return found - self._begin if found >= 0 else -1

    def number(self, size: int, order: Literal["big", "little"]) -> int:
        return int.from_bytes(self._data[self._begin : self._begin + size], order)

    def take(self, size: int, after: int = 0, before: int = 0) -> bytes:
        """``size`` bytes, without ``before`` bytes in front of them and ``after`` behind."""
        begin = self._begin + before
        # One copy, not a bytearray and then bytes.
        with memoryview(self._data) as view:
            taken = bytes(view[begin : begin + size])
        self._begin = begin + size + after
        return taken


@dataclass(frozen=True, slots=True)
class LengthPrefix:
    """A number of ``size`` bytes (1, 2, 4 or 8) before each message says how long it is.

    ``max_size``: longer messages are neither sent nor accepted. Raises ``ValueError`` for sizes
    that make no sense.

    >>> framing = LengthPrefix(2)
    >>> framing.compose(b"hello")
    b'\\x00\\x05hello'
    >>> parser = framing.parser()
    >>> parser.feed(b"\\x00\\x05hello\\x00")
    >>> parser.next_message(), parser.next_message()
    (b'hello', None)
    """

    size: Literal[1, 2, 4, 8] = 4
    max_size: int = 1 << 20
    byteorder: Literal["big", "little"] = "big"

    def __post_init__(self) -> None:
        if self.size not in (1, 2, 4, 8):
            raise ValueError(f"size must be 1, 2, 4 or 8 bytes, not {self.size}")
        if self.byteorder not in ("big", "little"):
            raise ValueError(f"byteorder must be 'big' or 'little', not {self.byteorder!r}")
        _check_max_size(self.max_size)
        # What the number cannot say cannot be sent.
        largest = (1 << (8 * self.size)) - 1
        object.__setattr__(self, "max_size", min(self.max_size, largest))

    def compose(self, message: Buffer) -> bytes:
        """The frame of a message; raises ``ValueError`` if it is too long."""
        size = _check_size(message, self.max_size)
        if isinstance(message, memoryview) and not message.c_contiguous:
            message = bytes(message)
        return size.to_bytes(self.size, self.byteorder) + message

    def parser(self) -> FrameParser:
        """A parser for one stream."""
        return _LengthParser(self)


class _LengthParser:
    __slots__ = ("_framing", "_stream")

    def __init__(self, framing: LengthPrefix) -> None:
        self._framing = framing
        self._stream = _Stream()

    def feed(self, data: Buffer) -> None:
        self._stream.feed(data)

    def next_message(self) -> bytes | None:
        framing, stream = self._framing, self._stream
        if len(stream) < framing.size:
            return None
        size = stream.number(framing.size, framing.byteorder)
        if size > framing.max_size:
            raise FrameError(f"a message of {size} bytes exceeds max_size={framing.max_size}")
        if len(stream) < framing.size + size:
            return None
        return stream.take(size, before=framing.size)

    def finish(self) -> None:
        if len(self._stream):
            raise FrameError(f"the stream ended {len(self._stream)} bytes into a frame")


@dataclass(frozen=True, slots=True)
class Delimiter:
    """``delimiter`` ends each message; it cannot occur within one.

    ``max_size``: longer messages are neither sent nor accepted. ``strip_cr`` takes one carriage
    return off the end of what is received, for peers that end lines with CR LF.

    >>> framing = Delimiter()
    >>> framing.compose(b"hello")
    b'hello\\n'
    >>> parser = framing.parser()
    >>> parser.feed(b"one\\ntwo\\nthr")
    >>> parser.next_message(), parser.next_message(), parser.next_message()
    (b'one', b'two', None)
    """

    delimiter: bytes = b"\n"
    max_size: int = 65_536
    strip_cr: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.delimiter, bytes):
            raise TypeError(f"the delimiter must be bytes, not {self.delimiter!r}")
        if not self.delimiter:
            raise ValueError("the delimiter must not be empty")
        _check_max_size(self.max_size)

    def compose(self, message: Buffer) -> bytes:
        """The frame of a message; raises ``ValueError`` if it is too long or has the mark."""
        _check_size(message, self.max_size)
        frame = bytes(message) + self.delimiter
        # The mark may also begin within the message and end in the mark behind it.
        if frame.find(self.delimiter) != len(frame) - len(self.delimiter):
            raise ValueError(f"the message contains the delimiter {self.delimiter!r}")
        return frame

    def parser(self) -> FrameParser:
        """A parser for one stream."""
        return _DelimiterParser(self)


class _DelimiterParser:
    __slots__ = ("_framing", "_searched", "_stream")

    def __init__(self, framing: Delimiter) -> None:
        self._framing = framing
        self._stream = _Stream()
        # How much of the unfinished message was searched, so that none is searched twice.
        self._searched = 0

    def feed(self, data: Buffer) -> None:
        self._stream.feed(data)

    def next_message(self) -> bytes | None:
        framing, stream = self._framing, self._stream
        mark = framing.delimiter
        size = stream.find(mark, self._searched)
        if size < 0:
            # The mark's beginning may be at the very end.
            self._searched = max(0, len(stream) - len(mark) + 1)
            size = self._searched
            complete = False
        else:
            complete = True
        # The carriage return does not count.
        if size > framing.max_size + framing.strip_cr:
            raise FrameError(f"a message exceeds max_size={framing.max_size}")
        if not complete:
            return None
        self._searched = 0
        message = stream.take(size, after=len(mark))
        return message.removesuffix(b"\r") if framing.strip_cr else message

    def finish(self) -> None:
        if len(self._stream):
            raise FrameError(f"the stream ended {len(self._stream)} bytes into a message")
