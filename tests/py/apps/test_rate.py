"""The rate holds over time, a burst is bounded, and waiting costs no processor time."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time

import pytest

from udpcore.apps import RateLimitedUDPSender


def test_a_thousand_a_second_within_one_percent_over_ten_seconds_without_busy_waiting(plain):
    """Counts against the clock: what a stalled machine takes away is known, and only that.

    A pause of the machine longer than the burst (5 ms) loses what it was longer: the sender
    never catches up by more than its burst. On an idle machine nothing is lost.
    """
    rate, moments = 1000, []
    with RateLimitedUDPSender(rate) as sender:
        busy = time.process_time()
        deadline = time.monotonic() + 10
        while not moments or moments[-1] < deadline:
            sender.send(b"x" * 32, plain.getsockname())
            moments.append(time.monotonic())
        busy = time.process_time() - busy
    burst_s = sender.burst / rate
    seconds = moments[-1] - moments[0]
    stalled = sum(max(b - a - burst_s, 0) for a, b in itertools.pairwise(moments))
    assert len(moments) <= sender.burst + seconds * rate * 1.0001 + 1
    assert len(moments) >= (seconds - stalled) * rate * 0.99, f"stalled for {stalled:.3f} s"
    assert busy < seconds / 3


def test_a_burst_is_bounded_in_every_stretch_of_time(plain):
    rate, burst = 500, 10
    with RateLimitedUDPSender(rate, burst=burst) as sender:
        moments = []
        for _ in range(100):
            before = time.monotonic()
            sender.send(b"x", plain.getsockname())
            moments.append((before, time.monotonic()))
    # Whatever the first and the last: no more than the burst and what the time between gives.
    for first in range(100):
        for last in range(first, 100):
            at_most = burst + (moments[last][1] - moments[first][0]) * rate
            assert last - first + 1 <= at_most + 1


def test_through_the_bad_link_the_rate_is_what_was_sent_less_what_was_lost(plain, bad_link):
    """What the user sees: nine of ten come, some twice; the sender never knows."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    with bad_link(plain.getsockname()) as proxy, RateLimitedUDPSender(2000) as sender:
        for number in range(1000):
            sender.send(b"%d" % number, proxy.address)
        plain.settimeout(1.0)
        came = []
        with contextlib.suppress(TimeoutError):
            while True:
                came.append(int(plain.recv(100)))
    # 1,000 at 10 % loss: four deviations are 38.
    assert 862 <= len(set(came)) <= 938
    assert len(came) > len(set(came))


def test_slower_than_one_a_second(plain):
    with RateLimitedUDPSender(0.5) as sender:
        sender.send(b"x", plain.getsockname())
        sender._pacer.set_rate(10)
        began = time.monotonic()
        sender.send(b"y", plain.getsockname())
        assert time.monotonic() - began > 0.05


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match=r"at least 0\.001"):
        RateLimitedUDPSender(0)
