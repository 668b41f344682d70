"""The control of a running proxy: HTTP as programs use it, and the page as a browser shows it.

Needs chromium (Debian's) and playwright; a missing one is a failure.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import sync_playwright

from udpcore import netem

PATIENCE_MS = 30_000
METRIC = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)


def url(proxy, path):
    host, port = proxy.control
    return f"http://{host}:{port}{path}"


def ask(proxy, path, method="GET", body=None, kind="application/json", **headers):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": kind} | headers
    request = urllib.request.Request(url(proxy, path), data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


def refused(proxy, *args, **options):
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(proxy, *args, **options)
    with error.value as answer:
        return answer.code, json.loads(answer.read())["error"]


def metrics(proxy):
    """{(name, labels): value} as Prometheus reads it."""
    return {
        (name, tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels)))): float(value)
        for name, labels, value in METRIC.findall(ask(proxy, "/metrics"))
    }


def of(found, name, **labels):
    return found[name, tuple(sorted(labels.items()))]


@pytest.fixture
def proxy(echo):
    """A proxy with a control, before an echo server."""
    options = {"loss": "20%", "duplicate": "10%", "delay": "3ms", "jitter": "2ms"}
    with netem.Proxy(echo, control=("127.0.0.1", 0), seed=7, **options) as proxy:
        yield proxy


def send(proxy, client, count):
    for number in range(count):
        client.sendto(b"x" * (50 + number), proxy.address)


def test_programs_read_and_change_it(proxy, client, wait_until):
    send(proxy, client, 100)
    wait_until(lambda: proxy.stats().up.received == 100 and proxy.stats().up.queued == 0)
    stats, found = proxy.stats(), metrics(proxy)
    assert of(found, "netem_packets_received_total", direction="up") == 100
    lost = of(found, "netem_packets_dropped_total", direction="up", reason="loss")
    assert lost == stats.up.dropped["loss"] > 0
    count = of(found, "netem_delay_seconds_count", direction="up")
    assert count == stats.up.delivered
    mean = of(found, "netem_delay_seconds_sum", direction="up") / count
    assert 0.001 <= mean <= 0.005
    assert json.loads(ask(proxy, "/stats"))["up"]["received"] == 100
    assert ask(proxy, "/log") == proxy.log()

    changed = json.loads(ask(proxy, "/links/down", "PATCH", {"loss": "100%", "limit": 9}))
    assert changed["down"]["loss"] == "100%"
    assert changed["down"]["limit"] == "9"
    before = proxy.stats().down.dropped["loss"]

    def is_lost():
        send(proxy, client, 1)
        return proxy.stats().down.dropped["loss"] > before

    wait_until(is_lost)
    assert json.loads(ask(proxy, "/rebind", "POST", {})) == {"moved": 1}
    assert "loss" in json.loads(ask(proxy, "/reset", "POST", {}))["down"]


def test_what_is_wrong_is_said_and_strangers_are_refused(proxy):
    said = refused(proxy, "/links/up", "PATCH", {"lsos": "1%"})
    assert said == (400, 'unknown key "lsos" (did you mean "loss"?)')
    assert refused(proxy, "/links/up", "PATCH", {"loss": "1%"}, kind="text/plain")[0] == 415
    assert refused(proxy, "/metrics", Host="evil.example.org")[0] == 403
    assert refused(proxy, "/nothing")[0] == 404
    with pytest.raises(ValueError, match="other machines could change this network"):
        netem.Proxy(("127.0.0.1", 9), control=("0.0.0.0", 0))
    with pytest.raises(OSError, match="in use"):
        netem.Proxy(("127.0.0.1", 9), control=proxy.control)


def test_it_ends_with_the_proxy(echo):
    proxy = netem.Proxy(echo, control=("127.0.0.1", 0))
    where = url(proxy, "/metrics")
    proxy.close()
    assert proxy.control is None
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(where, timeout=20)


@pytest.fixture
def page(proxy):
    """The proxy's page in a browser; an error of its script fails the test."""
    chromium = shutil.which("chromium")
    assert chromium, "chromium is not installed: make setup"
    errors = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url(proxy, "/"))
        until(page, "document.body.dataset.looks >= 1")
        yield page
        browser.close()
    assert errors == []


def until(page, condition):
    """Wait for JavaScript to be true; asked from outside, which the page's policy allows."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"waited too long for {condition}"
        page.wait_for_timeout(20)


def look_again(page, times=2):
    looks = page.evaluate("Number(document.body.dataset.looks)")
    until(page, f"document.body.dataset.looks >= {looks + times}")


BARS = """id => [...document.querySelectorAll(`#${id} rect.bar`)].map(bar =>
    [bar.dataset.metric, bar.dataset.label, Number(bar.dataset.value), bar.width.baseVal.value])"""
LINE = """id => { const line = document.getElementById(id); return [
    [...line.points].map(point => point.y), Number(line.dataset.highest),
    line.dataset.times.split(" ").map(Number)] }"""


def test_the_page_plots_what_the_metrics_say(proxy, page, client, wait_until):
    stop = threading.Event()

    def traffic():
        while not stop.wait(0.005):
            send(proxy, client, 3)

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        look_again(page, 6)
    finally:
        stop.set()
        thread.join()

    def is_quiet():
        stats = proxy.stats()
        return stats.up.queued == stats.down.queued == 0

    wait_until(is_quiet)
    look_again(page, 3)
    found = metrics(proxy)
    for way in ("up", "down"):
        total = {
            "in": of(found, "netem_packets_received_total", direction=way),
            "out": of(found, "netem_packets_delivered_total", direction=way),
            "drop": of(found, "netem_packets_dropped_total", direction=way, reason="loss"),
        }
        assert min(total.values()) > 0
        for kind, expected in total.items():
            heights, highest, times = page.evaluate(LINE, f"{way}-{kind}")
            # The rates that the curve shows, times how long each held, are the packets.
            rates = [(120 - y) / 116 * highest for y in heights]
            spans = [(b - a) / 1000 for a, b in itertools.pairwise(times)]
            plotted = sum(rate * span for rate, span in zip(rates, spans, strict=True))
            assert plotted == pytest.approx(expected, abs=0.5), (way, kind)
        bars = page.evaluate(BARS, f"{way}-totals")
        shown = {(metric, label): (value, width) for metric, label, value, width in bars}
        assert shown["netem_packets_received_total", ""][0] == total["in"]
        assert shown["netem_packets_delivered_total", ""][0] == total["out"]
        assert shown["netem_packets_dropped_total", "loss"][0] == total["drop"]
        duplicated = of(found, "netem_packets_duplicated_total", direction=way)
        assert shown["netem_packets_duplicated_total", ""][0] == duplicated
        longest = max(value for value, _ in shown.values())
        for value, width in shown.values():
            assert width == pytest.approx(value / longest * 240, abs=0.01)
        delays = {label: value for _, label, value, _ in page.evaluate(BARS, f"{way}-delays")}
        below = 0
        for end, value in delays.items():
            below += value
            assert of(found, "netem_delay_seconds_bucket", direction=way, le=end) == below
        assert below == total["out"]


def test_the_page_changes_the_network(proxy, page):
    page.select_option("select[name=way]", "down")
    page.fill("input[name=setting]", "loss")
    page.fill("input[name=value]", "35%")
    page.click("text=set")
    until(page, "document.getElementById('down-config').textContent.includes('35%')")
    assert "20%" in page.text_content("#up-config")
    page.fill("input[name=value]", "lots")
    page.click("text=set")
    until(page, "document.getElementById('message').textContent.includes('not a num')")
    page.click("text=as at the start")
    until(page, "document.getElementById('down-config').textContent.includes('20%')")
    assert page.text_content("#seed") == "7"
    host, port = proxy.upstream
    assert page.title() == f"relay 127.0.0.1:{proxy.address[1]} -> {host}:{port}"
