"""netem.Proxy: options, statistics, logs, bad input, resources."""

import doctest
import os
import socket
import threading
import time

import pytest

import udpcore.netem
from udpcore import netem
from udpcore.netem import Proxy

BAD = {
    "loss": "10%",
    "duplicate": "5%",
    "reorder": "5% flush 1ms",
    "delay": "1ms",
    "jitter": "1ms",
}


def test_the_examples_of_the_module_run_as_written():
    result = doctest.testmod(udpcore.netem)
    assert result.attempted > 10
    assert result.failed == 0


def test_a_clean_proxy_passes_datagrams_both_ways(echo, client):
    with Proxy(echo) as proxy:
        for size in (0, 1, 1400, 65507):
            client.sendto(bytes(size), proxy.address)
            assert client.recvfrom(65535) == (bytes(size), proxy.address)
    stats = proxy.stats()
    assert (stats.up.delivered, stats.down.delivered, stats.clients_total) == (4, 4, 1)
    assert stats.is_balanced


def test_options_hold_for_both_directions_unless_one_has_its_own(server, client):
    with Proxy(server.getsockname(), loss="100%", up={"loss": "0%"}, seed=1) as proxy:
        client.sendto(b"up", proxy.address)
        data, address = server.recvfrom(100)
        assert data == b"up"
        server.sendto(b"down", address)
    assert proxy.stats().up.dropped["loss"] == 0


def is_quiet(stats, sent):
    on_their_way = stats.up.queued + stats.down.queued
    answered = stats.down.received == stats.up.delivered
    return stats.up.received == sent and on_their_way == 0 and answered


def run_echo(echo, client, wait_until, seed, **options):
    with Proxy(echo, seed=seed, **options) as proxy:
        for number in range(300):
            client.sendto(number.to_bytes(2, "big"), proxy.address)
            if number % 20 == 19:
                # Quiet before more is sent, so that no buffer of the system overflows.
                wait_until(lambda sent=number + 1: is_quiet(proxy.stats(), sent))
        return proxy.log(), proxy.stats()


def test_the_same_seed_gives_the_same_log(echo, client, wait_until):
    first, stats = run_echo(echo, client, wait_until, 7, **BAD)
    second, _ = run_echo(echo, client, wait_until, 7, **BAD)
    assert first == second
    assert stats.is_balanced
    assert stats.up.dropped_total > 0
    assert len(first.splitlines()) == 2 + stats.up.received + stats.down.received


def test_duplicate_does_not_change_what_is_lost(echo, client, wait_until):
    def lost(log):
        lines = [line.split() for line in log.splitlines() if line.startswith("up")]
        return [words[2] for words in lines if words[4:6] == ["drop", "loss"]]

    without, _ = run_echo(echo, client, wait_until, 7, loss="10%")
    with_duplicate, stats = run_echo(echo, client, wait_until, 7, loss="10%", duplicate="30%")
    assert lost(without) == lost(with_duplicate) != []
    assert stats.up.duplicated > 0


def test_delay_is_never_short(echo, client):
    with Proxy(echo, delay="10ms") as proxy:
        start = time.monotonic()
        client.sendto(b"x", proxy.address)
        client.recv(100)
        assert time.monotonic() - start >= 0.020


def test_set_changes_what_it_names_and_keeps_the_rest(server, client, wait_until):
    with Proxy(server.getsockname(), delay="1ms") as proxy:
        proxy.set(up={"loss": "100%"})
        assert "'delay': '1ms'" in repr(proxy)
        client.sendto(b"lost", proxy.address)
        wait_until(lambda: proxy.stats().up.dropped["loss"] == 1)
        with pytest.raises(ValueError, match=r"loss: 200% is out of range"):
            proxy.set(up={"delay": "2ms"}, down={"loss": "200%"})
        assert "'2ms'" not in repr(proxy), "a refused value changes nothing"
        proxy.set(up={"loss": 0.0})
        client.sendto(b"passes", proxy.address)
        assert server.recv(100) == b"passes"


def test_an_upstream_that_is_down_is_counted(server, client, wait_until):
    address = server.getsockname()
    server.close()
    with Proxy(address) as proxy:
        client.sendto(b"anyone?", proxy.address)
        wait_until(lambda: proxy.stats().up.dropped["refused"] == 1)
        assert proxy.stats().is_balanced


def test_closing_counts_what_was_on_its_way(server, client, wait_until):
    proxy = Proxy(server.getsockname(), delay="1h")
    client.sendto(b"late", proxy.address)
    wait_until(lambda: proxy.stats().up.queued == 1)
    proxy.close()
    proxy.close()
    assert proxy.closed
    assert proxy.stats().up.dropped["closed"] == 1
    assert repr(proxy).endswith("closed>")


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_ipv6_and_names(host):
    """A name stands for the first address the system gives for it, here as there."""
    family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)[0]
    with (
        socket.socket(family, socket.SOCK_DGRAM) as upstream,
        socket.socket(family, socket.SOCK_DGRAM) as sender,
    ):
        upstream.bind(address)
        upstream.settimeout(20)
        with Proxy((host, upstream.getsockname()[1]), (host, 0)) as proxy:
            sender.sendto(b"hello", proxy.address)
            assert upstream.recv(100) == b"hello"
            assert proxy.address[0] == address[0]


def test_values_as_numbers_mean_seconds_and_fractions():
    by_text = Proxy(("127.0.0.1", 9), loss="10%", delay="20ms", jitter="5ms", seed=1)
    by_number = Proxy(("127.0.0.1", 9), loss=0.1, delay=0.02, jitter=0.005, seed=1)
    with by_text, by_number:
        assert by_number.seed == by_text.seed == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "120%"}, ValueError, "loss: 120% is out of range: give a value from 0% to 100%"),
        ({"loss": 1.5}, ValueError, "loss: 1.5 is out of range"),
        ({"loss": "-1%"}, ValueError, 'loss: "-1%" is not a number with a unit'),
        ({"delay": "5"}, ValueError, 'delay: "5" has no unit: write it like 5ms'),
        ({"delay": -1}, ValueError, "delay: -1s is out of range"),
        ({"delay": float("nan")}, ValueError, "delay: NaNs is out of range"),
        ({"jitter": "5ms"}, ValueError, "jitter 5ms is more than the delay"),
        ({"reorder": "2% distanc 3"}, ValueError, 'reorder: unexpected word "distanc"'),
        ({"reorder": "2% distance 0"}, ValueError, "reorder distance 0 is out of range"),
        ({"limit": 0}, ValueError, "limit: 0 is no number of packets"),
        ({"loss": [1]}, TypeError, "loss: expected a string with a unit or a number, not list"),
        ({"los": "1%"}, TypeError, "unknown option 'los'; did you mean 'loss'"),
        ({"up": {"dealy": "1ms"}}, TypeError, "up got an unknown option 'dealy'; did you mean"),
        ({"scenery": "x.toml"}, TypeError, "unknown option 'scenery'"),
        ({"seed": -1}, ValueError, "seed: -1 is no seed: give an integer"),
        ({"seed": 2**64}, ValueError, "seed: 18446744073709551616 is no seed"),
        ({"listen": ("127.0.0.1", 70000)}, OverflowError, "listen: port must be 0-65535"),
        ({"listen": "127.0.0.1"}, TypeError, "listen: expected"),
    ],
)
def test_bad_options_are_refused_by_name(options, error, message):
    with pytest.raises(error) as raised:
        Proxy(("127.0.0.1", 9), **options)
    assert message in str(raised.value)


def test_bad_addresses_raise_what_the_standard_library_raises(server):
    with pytest.raises(OverflowError, match="upstream: port must be 0-65535, not 70000"):
        Proxy(("127.0.0.1", 70000))
    with pytest.raises(ValueError, match="port 0"):
        Proxy(("127.0.0.1", 0))
    with pytest.raises(socket.gaierror, match="no-such-host"):
        Proxy(("no-such-host.invalid", 9))
    with pytest.raises(OSError, match="in use") as raised:
        Proxy(("127.0.0.1", 9), server.getsockname())
    assert raised.value.errno == 98


def test_statistics_are_one_readable_line():
    with Proxy(("127.0.0.1", 9)) as proxy:
        text = str(proxy.stats())
    assert text.startswith("up: received 0, duplicated 0, reordered 0, delivered 0, dropped 0")
    assert "\n" not in text


def test_opening_and_closing_leaks_nothing_and_is_quick(server):
    def resources():
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    Proxy(server.getsockname()).close()
    before, times = resources(), []
    for _ in range(1000):
        start = time.perf_counter()
        Proxy(server.getsockname(), loss="10%").close()
        times.append(time.perf_counter() - start)
    assert resources() == before
    assert sorted(times)[500] < 0.005, "start and stop take at most 5 ms"


def test_a_forgotten_proxy_closes_itself(server):
    before = len(os.listdir("/proc/self/task"))
    Proxy(server.getsockname())
    assert len(os.listdir("/proc/self/task")) == before


def test_the_relay_does_not_need_the_gil(echo, client, wait_until):
    """While a Python thread computes, datagrams pass: the statistics go on."""
    stop = threading.Event()

    def compute():
        while not stop.is_set():
            sum(range(10_000))

    thread = threading.Thread(target=compute)
    with Proxy(echo, duplicate="100%") as proxy:
        thread.start()
        try:
            client.sendto(b"x", proxy.address)
            wait_until(lambda: proxy.stats().up.delivered == 2)
        finally:
            stop.set()
            thread.join()


def test_all_is_what_the_module_offers():
    assert all(hasattr(netem, name) for name in netem.__all__)
