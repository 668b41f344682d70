"""The sliding window: what is lost is found, soon, and nothing wrong is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udpcore.fec import SlidingDecoder, SlidingEncoder


@settings(max_examples=80, deadline=None)
@given(
    messages=st.lists(st.binary(max_size=60), min_size=1, max_size=30),
    lost=st.sets(st.integers(0, 29)),
)
def test_one_repair_for_each_loss_finds_all(messages, lost):
    encoder, decoder = SlidingEncoder(window=32), SlidingDecoder(window=64)
    missing = {}
    for message in messages:
        number = encoder.push(message)
        if number in lost:
            missing[number] = message
        else:
            assert decoder.source(number, message) == []
    found = {}
    # Random equations may be dependent once in a while: two more than needed.
    for _ in range(len(missing) + 2):
        found.update(decoder.repair(encoder.repair()))
    assert found == missing


@pytest.mark.parametrize("seed", range(5))
def test_a_stream_with_losses_is_made_whole_within_a_few_messages(seed):
    numbers = random.Random(seed)
    encoder, decoder = SlidingEncoder(window=48), SlidingDecoder(window=96)
    sent, have, delays = {}, set(), []
    for step in range(3_000):
        message = numbers.randbytes(numbers.randint(0, 200))
        number = encoder.push(message)
        sent[number] = message
        found = []
        if numbers.random() >= 0.05:
            have.add(number)
            found += decoder.source(number, message)
        if step % 5 == 4 and numbers.random() >= 0.05:
            found += decoder.repair(encoder.repair())
        for other, whole in found:
            assert whole == sent[other], f"seed {seed}"
            assert other not in have, f"seed {seed}"
            have.add(other)
            delays.append(number - other)
    lost = sum(number not in have for number in sent if number < 2_900)
    assert lost == 0, f"seed {seed}: {lost} not repaired"
    assert sum(delays) / len(delays) < 10


def test_bad_input_is_refused_with_words():
    for window in (0, 4_096):
        with pytest.raises(ValueError, match="1 to 4095"):
            SlidingEncoder(window)
        with pytest.raises(ValueError, match="1 to 4095"):
            SlidingDecoder(window)
    with pytest.raises(ValueError, match="density"):
        SlidingEncoder(4, 16)
    with pytest.raises(ValueError, match="push a message"):
        SlidingEncoder().repair()
    with pytest.raises(ValueError, match="too long"):
        SlidingEncoder().push(bytes(65_001))
    with pytest.raises(ValueError, match=r"truncated.*byte 3"):
        SlidingDecoder().repair(b"abc")
    with pytest.raises(TypeError, match="bytes-like"):
        SlidingEncoder().push("text")
