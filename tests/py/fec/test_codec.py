"""The codec: any m losses, any lengths, the bytes of the reference, bad input."""

from __future__ import annotations

import random

import gf256_reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udpcore.fec import Decoder, Encoder, SlidingDecoder, SlidingEncoder

chunk_lists = st.lists(st.binary(max_size=200), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(chunks=chunk_lists, m=st.integers(0, 10))
def test_repair_chunks_are_those_of_the_reference(chunks, m):
    assert Encoder(len(chunks), m).encode(chunks) == gf256_reference.encode(chunks, m)


@settings(max_examples=150, deadline=None)
@given(chunks=chunk_lists, m=st.integers(0, 12), seed=st.integers(0, 2**32))
def test_any_k_chunks_are_enough(chunks, m, seed):
    k = len(chunks)
    numbered = dict(enumerate(chunks + Encoder(k, m).encode(chunks)))
    kept = random.Random(seed).sample(sorted(numbered), k)
    assert Decoder(k, m).decode({index: numbered[index] for index in kept}) == chunks


@pytest.mark.parametrize(("k", "m"), [(10, 3), (50, 15), (100, 30), (128, 127), (300, 60)])
def test_full_erasure_of_the_usual_sizes(k, m):
    chunks = [random.Random(index).randbytes(1000) for index in range(k)]
    repairs = Encoder(k, m).encode(chunks)
    assert {len(repair) for repair in repairs} == {1004}
    lost = min(k, m)
    there = dict(enumerate(chunks[lost:], lost)) | dict(enumerate(repairs[:lost], k))
    assert Decoder(k, m).decode(there) == chunks


def test_bytes_like_chunks_of_any_kind():
    chunks = [b"bytes", bytearray(b"bytearray"), memoryview(b"-m-e-m-")[1::2]]
    repairs = Encoder(3, 3).encode(iter(chunks))
    assert Decoder(3, 3).decode(dict(enumerate(repairs, 3))) == [b"bytes", b"bytearray", b"mem"]


def test_source_chunks_come_back_as_the_same_objects():
    chunks = [b"one", b"two"]
    whole = Decoder(2, 1).decode({0: chunks[0], 1: chunks[1]})
    assert whole[0] is chunks[0]


@pytest.mark.parametrize("number", [-1, 1 << 80])
def test_numbers_no_type_holds_are_out_of_range_by_name(number):
    for make, name in (
        (lambda: Encoder(number, 1), "k"),
        (lambda: Decoder(1, number), "m"),
        (lambda: SlidingEncoder(number), "window"),
        (lambda: SlidingEncoder(5, density=number), "density"),
        (lambda: SlidingDecoder(5).source(number, b""), "number"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be .* not {number}"):
            make()


def test_bad_input_is_refused_with_words():
    for k, m in [(0, 1), (65_535, 1)]:
        with pytest.raises(ValueError, match="no code of"):
            Encoder(k, m)
    with pytest.raises(ValueError, match="2 source chunks given, the code has 3"):
        Encoder(3, 1).encode([b"a", b"b"])
    with pytest.raises(TypeError, match="bytes-like"):
        Encoder(1, 1).encode(["text"])
    with pytest.raises(ValueError, match="2 chunks given, at least 3"):
        Decoder(3, 2).decode({0: b"a", 4: b"12345"})
    with pytest.raises(ValueError, match="chunk 5 is not among the 5"):
        Decoder(3, 2).decode({5: b"a"})
    with pytest.raises(ValueError, match="does not fit"):
        Decoder(2, 1).decode({0: b"longer", 2: b"12345"})
    assert Encoder(2, 1).kernel in {
        "gfni-avx512",
        "gfni-avx2",
        "avx2",
        "ssse3",
        "neon",
        "scalar",
    }
