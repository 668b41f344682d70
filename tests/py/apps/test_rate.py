"""The rate holds over time, a burst is bounded, and waiting costs no processor time."""

from __future__ import annotations

import time

import pytest

from udpcore.apps import RateLimitedUDPSender


def send_all(sender: RateLimitedUDPSender, count: int, port: int) -> float:
    began = time.monotonic()
    for _ in range(count):
        sender.send(b"x" * 32, ("127.0.0.1", port))
    return time.monotonic() - began


def test_a_thousand_a_second_within_one_percent_and_without_busy_waiting(plain):
    with RateLimitedUDPSender(1000) as sender:
        before = time.process_time()
        seconds = send_all(sender, 5005, plain.getsockname()[1])
        assert sender.stats["sent"] == 5005
    # The first five leave at once: the burst.
    assert 4.95 < seconds < 5.05
    assert time.process_time() - before < 1.5


def test_a_burst_is_bounded(plain):
    with RateLimitedUDPSender(100, burst=10) as sender:
        assert send_all(sender, 10, plain.getsockname()[1]) < 0.05
        assert send_all(sender, 5, plain.getsockname()[1]) > 0.045


def test_slower_than_one_a_second(plain):
    with RateLimitedUDPSender(0.5) as sender:
        sender.send(b"x", plain.getsockname())
        sender._pacer.set_rate(10)
        assert 0.05 < send_all(sender, 1, plain.getsockname()[1]) < 0.5


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match=r"at least 0\.001"):
        RateLimitedUDPSender(0)
