"""Parity over chunks: of k chunks and their XOR, any one that is missing can be computed.

The parity of a block is ``[lengths xored u16][bytes xored]``, so that the last, shorter chunk of a
file comes back in its own length.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from udpcore import _core

LENGTH_BYTES = 2


def _xor(chunks: list[bytes]) -> bytes:
    size = max(map(len, chunks))
    total = 0
    for chunk in chunks:
        total ^= int.from_bytes(chunk.ljust(size, b"\0"))
    return total.to_bytes(size)


def _with_length(chunk: bytes) -> bytes:
    return len(chunk).to_bytes(LENGTH_BYTES) + chunk


class Parity:
    """The sender's side: collects k chunks, gives their repair datagram. ``k=0`` gives none."""

    def __init__(self, k: int) -> None:
        if not 0 <= k < 255:
            raise ValueError(f"fec={k}: give 0 (none) to 254 chunks a block")
        self.k = k
        self._first = 0
        self._chunks: list[bytes] = []

    def add(self, sequence: int, chunk: bytes) -> bytes | None:
        """Take a chunk; return the repair datagram when the block is full."""
        if not self.k:
            return None
        if not self._chunks:
            self._first = sequence
        self._chunks.append(_with_length(chunk))
        return self.rest() if len(self._chunks) == self.k else None

    def rest(self) -> bytes | None:
        """Return the repair datagram of the block that is not full."""
        if not self._chunks:
            return None
        chunks, self._chunks = self._chunks, []
        count = len(chunks)
        return _core.repair_compose(self._first % 2**32, count, count, _xor(chunks))


class Repairer:
    """The receiver's side: keeps the last chunks, computes a missing one when it can."""

    def __init__(self, chunks_max: int) -> None:
        self._max = chunks_max
        self._chunks: OrderedDict[int, bytes] = OrderedDict()
        self._blocks: OrderedDict[int, tuple[int, bytes]] = OrderedDict()

    def chunk(self, sequence: int, data: bytes) -> None:
        """Remember a chunk that came."""
        self._chunks[sequence] = data
        while len(self._chunks) > self._max:
            self._chunks.popitem(last=False)

    def repair(self, first: int, k: int, index: int, parity: bytes) -> None:
        """Remember a parity that came."""
        if index == k and len(parity) >= LENGTH_BYTES:
            self._blocks[first] = (k, parity)
            while len(self._blocks) > self._max:
                self._blocks.popitem(last=False)

    def repaired(self) -> Iterator[tuple[int, bytes]]:
        """Yield the chunks that can be computed now; blocks that are whole are forgotten."""
        for first, (k, parity) in list(self._blocks.items()):
            numbers = [(first + n) % 2**32 for n in range(k)]
            missing = [number for number in numbers if number not in self._chunks]
            if len(missing) <= 1:
                del self._blocks[first]
            if len(missing) == 1:
                known = [_with_length(self._chunks[n]) for n in numbers if n in self._chunks]
                whole = _xor([parity, *known])
                length = int.from_bytes(whole[:LENGTH_BYTES])
                data = whole[LENGTH_BYTES : LENGTH_BYTES + length]
                self.chunk(missing[0], data)
                yield missing[0], data
