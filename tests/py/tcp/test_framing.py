"""Framings: what is composed is found again, however the stream is cut; bad streams end early."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udpcore.tcp import Delimiter, FrameError, LengthPrefix

FRAMINGS = [
    LengthPrefix(),
    LengthPrefix(1),
    LengthPrefix(2, byteorder="little"),
    LengthPrefix(8, max_size=300),
    Delimiter(b"\xff"),
    Delimiter(b"\r\n\r\n", max_size=300),
]


def parse_all(framing, stream, cuts):
    parser = framing.parser()
    messages = []
    position = 0
    for cut in [*sorted(cuts), len(stream)]:
        parser.feed(stream[position:cut])
        position = max(position, cut)
        while (message := parser.next_message()) is not None:
            messages.append(message)
    parser.finish()
    return messages


@pytest.mark.parametrize("framing", FRAMINGS, ids=repr)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_messages_are_found_again_however_the_stream_is_cut(framing, data):
    alphabet = st.binary(max_size=min(framing.max_size, 300)).map(
        lambda b: b.replace(b"\xff", b"\xfe").replace(b"\r", b"")
    )
    messages = data.draw(st.lists(alphabet, max_size=10))
    stream = b"".join(framing.compose(message) for message in messages)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    assert parse_all(framing, stream, cuts) == messages


@pytest.mark.parametrize("framing", FRAMINGS, ids=repr)
@settings(max_examples=100, deadline=None)
@given(stream=st.binary(max_size=2000), step=st.integers(1, 100))
def test_garbage_is_messages_or_an_error_and_stays_bounded(framing, stream, step):
    parser = framing.parser()
    try:
        for begin in range(0, len(stream), step):
            parser.feed(stream[begin : begin + step])
            while (message := parser.next_message()) is not None:
                assert len(message) <= framing.max_size
        parser.finish()
    except FrameError:
        pass


def test_a_length_too_large_is_refused_before_the_message_is_there():
    parser = LengthPrefix(4, max_size=1000).parser()
    parser.feed(b"\x00\x00\x00\x02ok" + b"\x00\x00\x03\xe9")
    assert parser.next_message() == b"ok"
    with pytest.raises(FrameError, match="1001 bytes exceeds max_size=1000"):
        parser.next_message()


def test_a_message_without_an_end_is_refused_at_the_limit():
    parser = Delimiter(b"\r\n", max_size=1000).parser()
    parser.feed(bytes(1000) + b"\r")
    assert parser.next_message() is None
    parser.feed(b"\n")
    assert parser.next_message() == bytes(1000)
    parser.feed(bytes(1001) + b"\r")
    with pytest.raises(FrameError, match="exceeds max_size=1000"):
        parser.next_message()


def test_a_slow_long_message_is_not_searched_again_and_again():
    # Quadratic searching of 4 MB fed in 40,000 pieces would take minutes.
    parser = Delimiter(b"\n", max_size=4 << 20).parser()
    for _ in range(40_000):
        parser.feed(b"x" * 100)
        assert parser.next_message() is None
    parser.feed(b"\n")
    assert parser.next_message() == b"x" * 4_000_000


def test_many_small_messages_do_not_move_the_rest_each_time():
    parser = LengthPrefix(4).parser()
    parser.feed(b"\x00\x00\x00\x01x" * 200_000)
    count = 0
    while parser.next_message() is not None:
        count += 1
    assert count == 200_000


def test_the_end_of_the_stream_within_a_message():
    for framing, begin in ((LengthPrefix(), b"\x00"), (Delimiter(), b"half")):
        parser = framing.parser()
        parser.finish()
        parser.feed(begin)
        assert parser.next_message() is None
        with pytest.raises(FrameError, match="ended"):
            parser.finish()


def test_carriage_returns_may_be_stripped():
    parser = Delimiter(b"\n", max_size=3, strip_cr=True).parser()
    parser.feed(b"one\r\ntwo\n\r\n")
    assert [parser.next_message() for _ in range(4)] == [b"one", b"two", b"", None]


def test_what_cannot_be_sent_is_refused():
    with pytest.raises(ValueError, match="exceeds max_size=255"):
        LengthPrefix(1).compose(bytes(256))
    with pytest.raises(ValueError, match="exceeds max_size=3"):
        Delimiter(max_size=3).compose(b"four")
    with pytest.raises(ValueError, match="contains the delimiter"):
        Delimiter().compose(b"two\nlines")
    with pytest.raises(ValueError, match="contains the delimiter"):
        Delimiter(b"aa").compose(b"begins with the mark's a: a")
    assert LengthPrefix(1).compose(memoryview(b"abcd").cast("H")) == b"\x04abcd"
    for make in (
        lambda: LengthPrefix(3),  # type: ignore[arg-type]
        lambda: LengthPrefix(max_size=0),
        lambda: LengthPrefix(byteorder="native"),  # type: ignore[arg-type]
        lambda: Delimiter(b""),
        lambda: Delimiter(max_size=0),
    ):
        with pytest.raises(ValueError, match="must"):
            make()


def test_what_is_no_message_is_a_type_error():
    for framing in (LengthPrefix(), Delimiter()):
        for wrong in ("text", 5, None, [1, 2]):
            with pytest.raises(TypeError, match="a message must be bytes"):
                framing.compose(wrong)
    with pytest.raises(TypeError, match="delimiter must be bytes, not"):
        Delimiter("\n")
    with pytest.raises(TypeError, match="max_size must be a number of bytes"):
        LengthPrefix(4, "1k")


def test_every_second_byte_of_a_buffer_is_a_message_too():
    view = memoryview(b"a-b-c-")[::2]
    assert LengthPrefix(1).compose(view) == b"\x03abc"
    assert Delimiter().compose(view) == b"abc\n"
