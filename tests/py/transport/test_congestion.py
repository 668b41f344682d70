"""The congestion controllers by name: each delivers, and says what it does."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from udpcore._qlog_plot import read_trace, to_svg
from udpcore.netem import Proxy
from udpcore.reliable import connect, listen

PHASES = {
    "cubic": {"slow_start", "congestion_avoidance"},
    "new_reno": {"slow_start", "congestion_avoidance"},
    "bbr": {
        "startup",
        "drain",
        "probe_bw_down",
        "probe_bw_cruise",
        "probe_bw_refill",
        "probe_bw_up",
        "probe_rtt",
    },
}


@pytest.mark.parametrize("congestion", sorted(PHASES))
def test_each_controller_delivers_over_a_lossy_link(congestion):
    link = {"delay": "5ms", "loss": "3%"}
    with (
        listen(congestion=congestion) as server,
        Proxy(server.address, up=link, down=link, seed=7) as proxy,
        connect(proxy.address, congestion=congestion) as client,
    ):
        there = server.accept(timeout=10)
        for number in range(30):
            client.send(bytes([number]) * 20_000)
        received = [there.recv(timeout=30) for _ in range(30)]
        assert received == [bytes([number]) * 20_000 for number in range(30)]
        stats = client.stats()
        assert stats.phase in PHASES[congestion]
        assert f" {stats.phase} cwnd=" in repr(stats)
        # Only BBR has a rate of its own.
        assert (stats.pacing_rate_bps is not None) == (congestion == "bbr")
        client.abort()
        there.abort()


def test_a_trace_of_bbr_tells_its_phases_and_becomes_a_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("QLOGDIR", str(tmp_path))
    with listen() as server, connect(server.address, congestion="bbr") as client:
        client.send(bytes(3_000_000)).wait(timeout=20)
    whole = next(tmp_path.glob("*_client.sqlog")).read_bytes().rpartition(b"\n")[0]
    path = tmp_path / "trace.sqlog"
    path.write_bytes(whole)
    records = [json.loads(text) for text in whole.decode().split("\x1e")[1:]]
    changes = [
        record["data"]
        for record in records
        if record.get("name") == "recovery:congestion_state_updated"
    ]
    assert changes[0] == {"new": "startup"}
    assert all(before["new"] == after["old"] for before, after in pairwise(changes))
    assert {change["new"] for change in changes} <= PHASES["bbr"]
    rates = [record["data"]["pacing_rate"] for record in records if "pacing_rate" in str(record)]
    assert rates
    assert min(rates) > 0
    trace = read_trace(path)
    assert trace.cwnd
    assert not trace.ssthresh
    assert "congestion window" in to_svg(trace)
