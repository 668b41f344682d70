"""Our own name server: the same answers as NSD for the same zone, and nothing shakes it."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from udpcore import dns

#: Types that the zone reader takes only in the form of RFC 3597.
RARE = ("AFSDB", "KX", "CERT", "DHCID", "EUI48", "EUI64", "URI", "CSYNC")
ZONE = "".join(
    line
    for line in (Path(__file__).parent / "zone.txt").read_text(encoding="utf-8").splitlines(True)
    if not re.search(rf" IN ({'|'.join(RARE)}) ", line)
)
Address = tuple[str, int]


@pytest.fixture(scope="module")
def server() -> Iterator[dns.Server]:
    with dns.Server(ZONE) as running:
        yield running


def questions() -> list[tuple[str, str]]:
    """Every name and type of the zone, and some that are not there."""
    found = {("nope", "A"), ("x.sub", "A"), ("a.b.wild", "TXT"), ("y.wild", "A"), ("wild", "A")}
    found |= {("a.tree", "A"), ("_tcp", "SRV"), ("sub", "DS"), ("sub", "NS"), ("tree", "DNAME")}
    owner = "@"
    for line in ZONE.splitlines():
        match = re.match(r"(\S*)\s+(?:\d+ +)?IN\s+(\S+)", line)
        if match and not line.startswith("$"):
            owner = match[1] or owner
            found |= {(owner, match[2]), (owner, "A"), (owner, "ANY")}
    # RFC 5155 §7.2.8: a name that has only NSEC3 does not exist; our server knows no DNSSEC.
    return sorted(
        (o.replace("@", "") + ("." if o != "@" else ""), t) for o, t in found if o != "n3"
    )


def shape(message: dns.Message) -> dict[str, object]:
    """What must agree: the order of records within a section is free (RFC 2181 §5.1)."""
    additionals = [r for r in message.additionals if r.rdtype != "OPT"]
    return {
        "rcode": message.rcode,
        "flags": str(message.flags),
        "answers": sorted(map(str, message.answers)),
        "authorities": sorted(map(str, message.authorities)) if not message.answers else [],
        "glue": sorted(map(str, additionals)) if not message.answers else [],
    }


@pytest.mark.parametrize(("owner", "rdtype"), questions())
def test_it_answers_as_nsd_does(nsd: Address, server: dns.Server, owner: str, rdtype: str) -> None:
    name = f"{owner}example.test"
    theirs = dns.query(name, rdtype, *nsd, tcp=True, recursion_desired=False)
    ours = dns.query(name, rdtype, *server.address, tcp=True, recursion_desired=False)
    if rdtype == "ANY":
        # RFC 8482 leaves open how much is told.
        assert ours.rcode == theirs.rcode
        return
    assert shape(ours) == shape(theirs)


def test_truncation_and_tcp(server: dns.Server) -> None:
    before = server.stats()
    message = dns.query("big.example.test", "TXT", *server.address)
    assert len(message.answers) == 41
    after = server.stats()
    assert after["tcp"] == before["tcp"] + 1
    cut = dns.query("big.example.test", "TXT", *server.address, ignore_truncation=True)
    assert (cut.answers, dns.Flags.TC in cut.flags) == ((), True)
    small = dns.query("big.example.test", "TXT", *server.address, edns=None)
    assert len(small.answers) == 41
    assert small.edns is None


def test_many_names(server: dns.Server) -> None:
    names = [f"x{i}.wild.example.test" for i in range(2000)]
    results = dict(dns.resolve_many(names, "TXT", *server.address))
    assert results == {name: ['"any"'] for name in names}


def test_what_is_no_question_is_refused(server: dns.Server) -> None:
    query = dns.build_query("example.test", id=1)
    cases = {
        "NOTIMP": query[:2] + b"\x28\0" + query[4:],
        "FORMERR": query[:20],
        "REFUSED": dns.build_query("other.test", id=1),
        # The second octet of the TTL of OPT is the version.
        "BADVERS": query[:-5] + b"\1" + query[-4:],
    }
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect(server.address)
        for word, wire in cases.items():
            client.send(wire)
            assert str(dns.parse(client.recv(4096)).rcode) == word
        ignored = server.stats()["ignored"]
        # A response, and three bytes: no answer, or two servers would never stop.
        client.send(query[:2] + b"\x80" + query[3:])
        client.send(b"abc")
        client.send(query)
        assert dns.parse(client.recv(4096)).rcode == 0
        assert server.stats()["ignored"] == ignored + 2


def test_several_queries_on_one_connection(server: dns.Server) -> None:
    frames = b""
    for number in range(50):
        wire = dns.build_query("www.example.test", id=number)
        frames += len(wire).to_bytes(2, "big") + wire
    with socket.create_connection(server.address, timeout=10) as client:
        client.sendall(frames)
        source = client.makefile("rb")
        for number in range(50):
            size = int.from_bytes(source.read(2), "big")
            assert dns.parse(source.read(size)).id == number
        source.close()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no SOA"),
        ("@ 60 IN A", "1:"),
        ("@ 60 IN SOA a. b. 1 2 3 4 5\nx 60 IN CNAME y\nx 60 IN A 192.0.2.1\n", "CNAME and other"),
        ("$ORIGIN a.\n@ 60 IN SOA a. b. 1 2 3 4 5\nx.b. 60 IN A 192.0.2.1\n", "not within"),
        ("$INCLUDE other.zone\n", "not supported"),
    ],
)
def test_text_that_is_no_zone(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        dns.Server(text)


def test_servers_come_and_go(server: dns.Server) -> None:
    with pytest.raises(OSError, match="in use"):
        dns.Server(ZONE, port=server.address[1])
    with pytest.raises(ValueError, match="nowhere"):
        dns.Server(ZONE, host="nowhere")
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        with dns.Server(ZONE) as running:
            assert dns.resolve("www.example.test", "A", *running.address)
        running.close()
        with contextlib.suppress(OSError):
            dns.query("www.example.test", "A", *running.address, timeout=0.1, retries=0)
    assert len(os.listdir("/proc/self/fd")) == before
