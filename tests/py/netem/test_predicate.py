"""Networks that ask a Python function what to drop: live, simulated, and when it misbehaves."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

from udpcore import netem


def test_a_proxy_drops_exactly_what_the_function_chooses(server, client):
    asked = []

    def choose(packet):
        asked.append((packet.direction, packet.flow, packet.ordinal, packet.size, packet.data))
        return packet.data == b"2"

    with netem.Proxy(server.getsockname(), up={"drop": choose}) as proxy:
        for number in range(5):
            client.sendto(b"%d" % number, proxy.address)
        assert [server.recv(100) for _ in range(4)] == [b"0", b"1", b"3", b"4"]
        assert proxy.stats().up.dropped["rule"] == 1
    assert asked == [("up", 0, number, 1, b"%d" % number) for number in range(5)]
    assert "up 0 2 1 drop rule 0" in proxy.log()


def test_a_rule_moves_no_other_decision():
    def verdicts(**options):
        sim = netem.Simulator(loss="30%", seed=7, **options)
        return [sim.send("up", b"x").dropped for _ in range(100)]

    plain = verdicts()
    ruled = verdicts(drop=lambda packet: packet.ordinal % 10 == 0)
    assert all(now == "rule" for now in ruled[::10])
    assert [now for n, now in enumerate(ruled) if n % 10] == [
        then for n, then in enumerate(plain) if n % 10
    ]


def test_a_link_asks_too_and_says_what_it_knows():
    packets = []
    link = netem.Link("down", drop=packets.append, seed=1)
    link.input(0.25, b"four", flow=3)
    (packet,) = packets
    assert (packet.direction, packet.flow, packet.ordinal, packet.size) == ("down", 3, 0, 4)
    assert (packet.time, packet.data) == (0.25, b"four")
    assert repr(packet) == "<netem.Packet down flow 3 packet 0, 4 bytes>"
    with pytest.raises(AttributeError):
        packet.flow = 1


def test_a_function_that_raises_chooses_nothing_and_is_told(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    sim = netem.Simulator(drop=lambda packet: packet.no_such_thing)
    assert sim.send("up", b"x").delivered
    (said,) = told
    assert "no_such_thing" in str(said.exc_value)


def test_a_function_may_not_use_a_network(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    sim = netem.Simulator(drop=lambda packet: sim.stats())
    assert sim.send("up", b"x").delivered
    assert isinstance(told[0].exc_value, RuntimeError)
    assert sim.stats().up.received == 1


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="drop: expected a function that takes a packet, not str"):
        netem.Simulator(drop="every second")


def test_two_threads_and_a_slow_function_do_not_wait_for_each_other(server, client):
    pause = threading.Event()

    def slow(packet):
        pause.wait(0.002)
        return False

    proxy = netem.Proxy(server.getsockname(), drop=slow)
    for _ in range(50):
        client.sendto(b"x", proxy.address)
    seen = [proxy.stats().up.received for _ in range(20)]
    assert seen == sorted(seen)
    # Collected, not closed, while its engine asks.
    del proxy
    gc.collect()

    link = netem.Link("up", drop=slow)
    threads = [threading.Thread(target=link.input, args=(0.0, b"x")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert link.stats().received == 8
