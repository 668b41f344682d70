"""``udpcore plot``: what QLOGDIR collects becomes a picture."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from udpcore._qlog_plot import read_trace, to_svg
from udpcore.reliable import connect, listen


def test_a_trace_becomes_a_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("QLOGDIR", str(tmp_path))
    with listen() as server, connect(server.address) as client:
        client.send(bytes(500_000)).wait(timeout=10)
    # The endpoint closes in the background and still writes: what is there so far, whole lines.
    lines_there = next(tmp_path.glob("*_client.sqlog")).read_bytes().rpartition(b"\n")[0]
    path = tmp_path / "trace.sqlog"
    path.write_bytes(lines_there)
    trace = read_trace(path)
    assert trace.sent > 300
    assert trace.seconds > 0
    assert trace.cwnd
    assert trace.smoothed_rtt
    command = [sys.executable, "-m", "udpcore", "plot", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    picture = path.with_suffix(".svg")
    assert done.stdout == f"{picture}\n"
    root = ET.parse(picture).getroot()
    lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 5
    assert picture.read_text() == to_svg(trace)


def test_what_is_no_trace_is_refused(tmp_path):
    path = tmp_path / "x.sqlog"
    path.write_text("nothing of the kind")
    with pytest.raises(ValueError, match="has no events"):
        read_trace(path)
    path.write_text('\x1e{"time": 1, "name": "a", "data": {}}\n\x1e{broken}\n\x1e{}\n')
    with pytest.raises(ValueError, match="record 2"):
        read_trace(path)
