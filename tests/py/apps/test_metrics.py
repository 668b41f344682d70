"""StatsD: two client libraries as peers, the bad link, Prometheus and Graphite."""

from __future__ import annotations

import socket
import urllib.request

import pytest
import statsd
from datadog.dogstatsd import DogStatsd

from udpcore import _core
from udpcore.apps import MetricsClient, MetricsServer


@pytest.fixture
def server(serving):
    with serving(MetricsServer(0, host="127.0.0.1", prometheus_port=0)) as server:
        yield server


def test_our_client(server, wait_until):
    with MetricsClient("127.0.0.1", server.port) as client:
        client.increment("hits")
        client.increment("hits", 2)
        client.decrement("hits")
        client.gauge("temperature", -4.5)
        client.change_gauge("temperature", 1)
        client.timing("load", 320)
        client.unique("users", "anna")
        wait_until(lambda: server.stats["lines"] == 8)
    assert server.counters == {"hits": 2}
    assert server.gauges == {"temperature": -3.5}
    assert server.timers == {"load": [320]}


def test_our_client_speaks_the_tutorials_text(plain):
    with MetricsClient("127.0.0.1", plain.getsockname()[1]) as client:
        client.increment("hits")
        client.gauge("load", 0.5)
        client.timing("query", 12)
    lines = [plain.recv(100) for _ in range(3)]
    assert lines == [b"hits:1|c", b"load:0.5|g", b"query:12|ms"]


def test_an_absent_server_disturbs_nobody(free_ports):
    with MetricsClient("127.0.0.1", free_ports()) as client:
        for _ in range(10):
            client.increment("x")


def test_the_statsd_library(server, wait_until):
    client = statsd.StatsClient("127.0.0.1", server.port, prefix="app")
    client.incr("hits", 3)
    client.decr("hits")
    client.gauge("depth", 10)
    client.gauge("depth", -4, delta=True)
    client.timing("query", 320)
    client.set("users", "anna")
    client.set("users", "bert")
    with client.pipeline() as pipe:
        pipe.incr("batched")
        pipe.timing("query", 100)
    wait_until(lambda: server.stats["lines"] == 9)
    assert server.counters == {"app.hits": 2, "app.batched": 1}
    assert server.gauges == {"app.depth": 6}
    assert server.timers == {"app.query": [320, 100]}
    assert server.flush()["sets"] == {"app.users": 2}
    client.close()


def test_the_datadog_library(server, wait_until):
    client = DogStatsd("127.0.0.1", server.port, disable_telemetry=True, disable_buffering=True)
    client.increment("hits", 5, tags=["env:prod", "az:1"])
    client.gauge("depth", 7.5)
    client.histogram("size", 42)
    client.distribution("latency", 3)
    client.timing("query", 12, tags=["env:prod"])
    client.set("users", "anna")
    client.event("title", "text")
    client.service_check("db", 0)
    wait_until(lambda: sum(server.stats[name] for name in ("lines", "other")) == 8)
    assert server.counters == {"hits|#az:1,env:prod": 5}
    assert server.timers == {"size": [42], "latency": [3], "query|#env:prod": [12]}
    client.close_socket()
    assert server.stats["malformed"] == 0
    assert server.stats["other"] == 2


def test_sample_rates_are_made_up_for(server, wait_until):
    with MetricsClient("127.0.0.1", server.port, sample_rate=0.25) as client:
        for _ in range(4000):
            client.increment("sampled")
        sent = client.stats["sent"]
        wait_until(lambda: server.stats["lines"] == sent)
    # Binomial, 4000 at 0.25: four deviations are 110 of 1000.
    assert 890 < sent < 1110
    assert server.counters["sampled"] == 4 * sent


def test_malformed_lines_are_counted_by_reason(server, plain, wait_until):
    plain.sendto(b"ok:1|c\nnonsense\nbad:x|c\nbad:1|q\n", ("127.0.0.1", server.port))
    wait_until(lambda: server.stats["malformed"] == 3)
    assert server.counters == {"ok": 1}
    assert sum(server._metrics.malformed().values()) == 3


def test_prometheus_scrapes(server, wait_until):
    with MetricsClient("127.0.0.1", server.port) as client:
        client.increment("web.hits", tags={"code": "200"})
        client.timing("load", 10)
        wait_until(lambda: server.stats["lines"] == 2)
    server.flush()
    url = f"http://127.0.0.1:{server.prometheus_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    assert '# TYPE web_hits_total counter\nweb_hits_total{code="200"} 1\n' in text
    assert 'load_ms{quantile="0.5"} 10\n' in text


def test_graphite_gets_each_flush(serving, wait_until):
    with socket.create_server(("127.0.0.1", 0)) as graphite:
        server = MetricsServer(
            0, host="127.0.0.1", flush_interval=0.2, graphite=graphite.getsockname()
        )
        with serving(server), MetricsClient("127.0.0.1", server.port) as client:
            client.increment("hits", 4)
            wait_until(lambda: server.last_flush.get("counters") or server.counters)
            graphite.settimeout(5)
            lines = ""
            while "hits" not in lines:
                with graphite.accept()[0] as connection:
                    lines = connection.makefile().read()
    assert "stats.counters.hits.count 4 " in lines
    assert "stats.counters.hits.rate 20 " in lines


def test_through_the_bad_link_a_counter_misses_what_was_lost_and_nothing_more(
    server, bad_link, wait_until
):
    with bad_link(("127.0.0.1", server.port)) as proxy, MetricsClient(*proxy.address) as client:
        for _ in range(1000):
            client.increment("hits")
        wait_until(lambda: proxy.stats().up.received == 1000 and not proxy.stats().up.queued)
        wait_until(lambda: server.stats["lines"] == proxy.stats().up.delivered)
    counted = server.counters["hits"]
    # 10 % lost and 5 % doubled of a thousand: about 945.
    assert 880 < counted < 1010


def test_what_waits_on_a_socket_is_taken_at_once(plain):
    metrics = _core.AppMetrics()
    for datagram in (b"a:1|c", b"", b"a:2|c\nb:1|g"):
        plain.sendto(datagram, plain.getsockname())
    assert metrics.drain(plain.fileno(), 2) == 2
    assert metrics.drain(plain.fileno(), 100) == 1
    assert metrics.counters() == {"a": 3}
    with pytest.raises(OSError, match="Bad file descriptor"):
        metrics.drain(-1, 1)
