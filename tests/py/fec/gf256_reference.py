"""Reed-Solomon by the book, in a few lines: what the Rust code must agree with."""

from __future__ import annotations


def multiply(a: int, b: int) -> int:
    """Shift and add over x^8 + x^4 + x^3 + x^2 + 1."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11D
        b >>= 1
    return product


def inverse(a: int) -> int:
    """Try them all."""
    return next(b for b in range(1, 256) if multiply(a, b) == 1)


INVERSES = [0] + [inverse(a) for a in range(1, 256)]
PRODUCTS = [bytes(multiply(a, b) for b in range(256)) for a in range(256)]


def encode(chunks: list[bytes], m: int) -> list[bytes]:
    """The repair chunks: Cauchy rows over the padded chunks and over their lengths."""
    longest = max(map(len, chunks))
    symbols = [c.ljust(longest, b"\0") + len(c).to_bytes(4, "big") for c in chunks]
    repairs = []
    for row in range(m):
        repair = bytes(longest + 4)
        for column, symbol in enumerate(symbols):
            times = PRODUCTS[INVERSES[(255 - row) ^ column]]
            repair = bytes(a ^ times[b] for a, b in zip(repair, symbol, strict=True))
        repairs.append(repair)
    return repairs
