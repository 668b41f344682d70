"""The cache obeys TTLs, positive and negative, and its size."""

from __future__ import annotations

import pytest

from udpcore import dns

ZONE = """
$ORIGIN test.
@    300 SOA ns me 1 2 3 4 7
www  20  CNAME web
web  90  A 192.0.2.1
zero 0   A 192.0.2.2
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_kept_as_long_as_its_ttl() -> None:
    clock = Clock()
    cache = dns.Cache(clock=clock)
    with dns.Server(ZONE) as server:

        def asked(name: str) -> int:
            """How many queries one `resolve` costs."""
            before = server.stats()["udp"]
            records = dns.resolve(name, "A", *server.address, cache=cache)
            assert records == ["192.0.2.2" if name == "zero.test" else "192.0.2.1"]
            records.append("the caller's own")
            return server.stats()["udp"] - before

        assert [asked("www.test"), asked("WWW.test."), asked("web.test")] == [1, 0, 1]
        # The alias lives 20 s, its target 90 s.
        clock.now += 19
        assert asked("www.test") == 0
        clock.now += 1
        assert [asked("www.test"), asked("web.test")] == [1, 0]
        assert [asked("zero.test"), asked("zero.test")] == [1, 1]
        assert cache.stats()["hits"] == 3
        cache.clear()
        assert asked("web.test") == 1


@pytest.mark.parametrize(
    ("name", "rdtype", "kind"),
    [("no.test", "A", dns.NXDomainError), ("web.test", "MX", dns.NoDataError)],
)
def test_a_negative_answer_is_kept_as_the_soa_says(
    name: str, rdtype: str, kind: type[dns.ResolveError]
) -> None:
    clock = Clock()
    cache = dns.Cache(clock=clock)
    with dns.Server(ZONE) as server:
        for wait, total in ((0, 1), (6.9, 1), (0.1, 2)):
            clock.now += wait
            with pytest.raises(kind):
                dns.resolve(name, rdtype, *server.address, cache=cache)
            assert server.stats()["udp"] == total


def test_the_size_is_kept() -> None:
    cache = dns.Cache(size=3)
    for number in range(10):
        cache.put((number,), [str(number)], 100)
        cache.get((0,))
    assert cache.stats()["size"] == 3
    # What is used stays.
    assert cache.get((0,)) == ["0"]
    assert cache.get((7,)) is None
    cache.put(("bad",), [], 2**31)
    assert cache.get(("bad",)) is None
    with pytest.raises(ValueError, match="at least one"):
        dns.Cache(size=0)
