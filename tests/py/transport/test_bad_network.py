"""Connections through netem's relay: loss, duplication and reordering in both directions."""

from __future__ import annotations

import random

import pytest

from udpcore import netem
from udpcore.reliable import connect, listen


@pytest.mark.parametrize("seed", [1, 2])
def test_everything_arrives_once_and_in_order_through_a_bad_link(seed):
    draw = random.Random(seed)
    sent = [draw.randbytes(draw.randrange(5000)) for _ in range(300)]
    bad = {"loss": "10%", "delay": "5ms", "reorder": "5%", "duplicate": "5%", "seed": seed}
    with (
        listen(secret="s") as server,
        netem.Proxy(server.address, **bad) as proxy,
        connect(proxy.address, secret="s", timeout=30) as client,
    ):
        receipts = client.send_many(sent)
        there = server.accept(timeout=10)
        assert [there.recv(timeout=30) for _ in sent] == sent
        assert {receipt.wait(timeout=30) for receipt in receipts} == {"acked"}
        assert client.stats().packets_lost > 0


def test_a_sequenced_channel_ends_with_the_newest():
    bad = {"loss": "20%", "delay": "2ms", "seed": 3}
    with (
        listen() as server,
        netem.Proxy(server.address, **bad) as proxy,
        connect(proxy.address, timeout=30) as client,
    ):
        positions = client.channel(1, "sequenced")
        client.send(b"hello")
        there = server.accept(timeout=30)
        there.recv(timeout=30)
        states = there.channel(1, "sequenced")
        for number in range(200):
            last = positions.send(number.to_bytes(4))
        assert last.wait(timeout=30) == "acked"
        seen = [int.from_bytes(state) for state in states.recv_many(1000, timeout=10)]
        assert seen == sorted(seen)
        assert seen[-1] == 199
