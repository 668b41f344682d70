"""Plots of a connection's trace: window, bytes in flight and round trip over time, as SVG.

Reads what ``QLOGDIR`` collects (and any qlog in JSON text sequences that has the same events).
The SVG is written by hand, so that a plot needs no other package.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

WIDTH, PANEL_HEIGHT, GAP = 900, 240, 50
LEFT, RIGHT, TOP = 80, 20, 40
POINTS_MAX = 4000
COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c")

Points = list[tuple[float, float]]


@dataclass
class Trace:
    """What a plot shows; times in seconds since the first event."""

    title: str = ""
    cwnd: Points = field(default_factory=list)
    in_flight: Points = field(default_factory=list)
    ssthresh: Points = field(default_factory=list)
    latest_rtt: Points = field(default_factory=list)
    smoothed_rtt: Points = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    sent: int = 0

    @property
    def seconds(self) -> float:
        """How long the trace is."""
        ends = [points[-1][0] for points in (self.cwnd, self.in_flight, self.latest_rtt) if points]
        return max([*ends, *self.lost[-1:]], default=0.0)


def read_trace(path: Path) -> Trace:
    """Read a trace; raises ValueError with the record's number for what is no qlog."""
    trace = Trace()
    first: float | None = None
    for record in _records(path):
        if "qlog_format" in record:
            trace.title = str(record.get("title", path.name))
            continue
        if not isinstance(record.get("time"), int | float):
            continue
        time = float(record["time"]) / 1000
        first = time if first is None else first
        _add(trace, time - first, str(record.get("name")), record.get("data") or {})
    if first is None:
        raise ValueError(f"{path} has no events: is it a qlog file (.sqlog)?")
    return trace


def _records(path: Path) -> Iterator[dict[str, Any]]:
    texts = path.read_text(encoding="utf-8", errors="replace").split("\x1e")
    for number, text in enumerate(texts[1:], 1):
        try:
            record = json.loads(text)
        except ValueError as error:
            if number == len(texts) - 1:
                # A program that was killed leaves half a record.
                return
            raise ValueError(f"{path}, record {number}: {error}") from error
        if isinstance(record, dict):
            yield record


def _add(trace: Trace, time: float, name: str, data: dict[str, Any]) -> None:
    if name == "recovery:packet_lost":
        trace.lost.append(time)
        return
    if name == "transport:packet_sent":
        trace.sent += 1
    series: tuple[tuple[Points, str, float], ...] = (
        (trace.cwnd, "congestion_window", 1 / 1024),
        (trace.in_flight, "bytes_in_flight", 1 / 1024),
        (trace.ssthresh, "ssthresh", 1 / 1024),
        (trace.latest_rtt, "latest_rtt", 1),
        (trace.smoothed_rtt, "smoothed_rtt", 1),
    )
    for points, key, unit in series:
        value = data.get(key)
        if isinstance(value, int | float):
            points.append((time, value * unit))


def to_svg(trace: Trace) -> str:
    """Draw two panels over one axis of time: bytes, and round trips."""
    span = trace.seconds or 1.0
    losses = f"{len(trace.lost)} of {trace.sent} packets lost"
    panels = [
        _panel(
            f"{trace.title}: window and bytes in flight, {losses}",
            "KiB",
            [
                ("congestion window", trace.cwnd),
                ("in flight", trace.in_flight),
                ("ssthresh", trace.ssthresh),
            ],
            span,
            trace.lost,
        ),
        _panel(
            "round trip",
            "ms",
            [("latest", trace.latest_rtt), ("smoothed", trace.smoothed_rtt)],
            span,
            [],
        ),
    ]
    height = TOP + len(panels) * (PANEL_HEIGHT + GAP)
    body = "".join(
        f'<g transform="translate(0,{TOP + index * (PANEL_HEIGHT + GAP)})">{panel}</g>'
        for index, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>{body}</svg>\n'
    )


def _panel(
    title: str,
    unit: str,
    series: Sequence[tuple[str, Points]],
    span: float,
    marks: Sequence[float],
) -> str:
    highest = max((value for _, points in series for _, value in points), default=0) or 1.0
    width = WIDTH - LEFT - RIGHT

    def at(time: float, value: float) -> str:
        x, y = LEFT + time / span * width, PANEL_HEIGHT * (1 - value / highest / 1.05)
        return f"{x:.1f},{y:.1f}"

    parts = [f'<text x="{LEFT}" y="-8" font-weight="bold">{escape(title)}</text>']
    parts += _axes(span, highest, unit, at)
    for time in _thin(list(marks)):
        x = LEFT + time / span * width
        parts.append(
            f'<path d="M{x:.1f} {PANEL_HEIGHT}v-6" stroke="#d62728"><title>lost</title></path>'
        )
    for (name, points), color, index in zip(series, COLORS, range(9), strict=False):
        line = " ".join(at(time, value) for time, value in _thin(points))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}"/>')
        x = LEFT + 8 + 150 * index
        parts.append(f'<text x="{x}" y="14" fill="{color}">{escape(name)}</text>')
    return "".join(parts)


def _axes(span: float, highest: float, unit: str, at: Callable[[float, float], str]) -> list[str]:
    right = WIDTH - RIGHT
    parts = [
        f'<path d="M{LEFT} 0V{PANEL_HEIGHT}H{right}" fill="none" stroke="#444"/>',
        f'<text x="{right}" y="{PANEL_HEIGHT + 32}" text-anchor="end">seconds</text>',
    ]
    for value in _ticks(highest):
        y = at(0, value).split(",")[1]
        label = f"{value:g} {unit}"
        parts.append(f'<text x="{LEFT - 6}" y="{y}" text-anchor="end">{label}</text>')
        parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="#ddd"/>')
    for time in _ticks(span):
        x = at(time, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{PANEL_HEIGHT + 16}" text-anchor="middle">{time:g}</text>')
    return parts


def _ticks(highest: float, count: int = 5) -> list[float]:
    """Round numbers from 0 to the highest.

    >>> _ticks(1234.0)
    [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0, 1200.0]
    """
    scale = 10.0 ** math.floor(math.log10(highest))
    steps = [scale * factor for factor in (0.1, 0.2, 0.5, 1.0)]
    step = min(steps, key=lambda one: abs(highest / one - count))
    return [index * step for index in range(int(highest / step) + 1)]


def _thin(points: list[Any]) -> list[Any]:
    """No more points than a screen shows."""
    return points[:: len(points) // POINTS_MAX + 1]
