"""What NSD sends is read as dig reads it: every type of the zone, every line of the output."""

from __future__ import annotations

import re
import subprocess

import pytest

from udpcore import dns

QUESTIONS = [
    ("example.test", t) for t in ("A", "AAAA", "NS", "SOA", "MX", "TXT", "CAA", "NAPTR", "ANY")
] + [
    ("www.example.test", "A"),
    ("chain1.example.test", "AAAA"),
    ("chain1.example.test", "A"),
    ("loop1.example.test", "A"),
    ("dangling.example.test", "A"),
    ("outside.example.test", "A"),
    ("_sip._tcp.example.test", "SRV"),
    ("svc.example.test", "HTTPS"),
    ("svc2.example.test", "SVCB"),
    ("svc3.example.test", "SVCB"),
    ("key.example.test", "DNSKEY"),
    ("key.example.test", "RRSIG"),
    ("sub.example.test", "DS"),
    ("x.sub.example.test", "A"),
    ("tlsa.example.test", "TLSA"),
    *(
        ("host.example.test", t)
        for t in ("SSHFP", "HINFO", "RP", "AFSDB", "KX", "CERT", "DHCID", "EUI48", "EUI64")
    ),
    ("host.example.test", "URI"),
    ("host.example.test", "OPENPGPKEY"),
    ("nsec.example.test", "NSEC"),
    ("n3.example.test", "NSEC3"),
    ("n3p.example.test", "NSEC3PARAM"),
    ("csync.example.test", "CSYNC"),
    ("a.tree.example.test", "A"),
    ("tree.example.test", "DNAME"),
    ("unknown.example.test", "TYPE65280"),
    ("empty.example.test", "TYPE65281"),
    (r"we\.ird\".example.test", "A"),
    (r"tab\009.example.test", "A"),
    ("anything.wild.example.test", "TXT"),
    ("10.example.test", "PTR"),
    ("big.example.test", "TXT"),
    ("nope.example.test", "A"),
    ("ns1.example.test", "MX"),
    ("elsewhere.invalid", "A"),
]


def body(text: str) -> list[str]:
    """The lines from the flags on, without what differs from run to run and without blanks."""
    kept = text[text.index(";; flags:") :].split(";; Query time")[0]
    return [re.sub(r"[ \t]+$", "", line) for line in kept.splitlines() if line.strip()]


@pytest.mark.parametrize(("name", "rdtype"), QUESTIONS)
def test_the_text_is_that_of_dig(nsd: tuple[str, int], name: str, rdtype: str) -> None:
    host, port = nsd
    words = ["dig", f"@{host}", "-p", str(port), name, rdtype, "+norec", "+noad", "+nocookie"]
    expected = subprocess.run([*words, "+noidnin"], capture_output=True, text=True, check=True)
    message = dns.query(name, rdtype, host, port, recursion_desired=False)
    assert body(str(message)) == body(expected.stdout)


@pytest.mark.parametrize(("name", "rdtype"), QUESTIONS)
def test_every_answer_comes_back_from_its_values(
    nsd: tuple[str, int], name: str, rdtype: str
) -> None:
    message = dns.query(name, rdtype, *nsd)
    assert dns.parse(message.to_wire()) == message
    rebuilt = [
        dns.Record(r.name, r.rdtype, r.ttl, r.data, r.rdclass if r.rdtype != "OPT" else "IN")
        for r in (*message.answers, *message.authorities, *message.additionals)
    ]
    assert rebuilt == [*message.answers, *message.authorities, *message.additionals]
    again = dns.Message(
        message.id,
        message.flags,
        message.rcode,
        message.questions,
        message.answers,
        message.authorities,
        message.additionals,
    )
    assert again.to_wire() == message.to_wire()
    assert str(again) == str(message)


def test_resolve_shows_what_dig_short_shows(nsd: tuple[str, int]) -> None:
    host, port = nsd
    for name, rdtype in (
        ("example.test", "MX"),
        ("web.example.test", "A"),
        ("example.test", "TXT"),
    ):
        words = ["dig", f"@{host}", "-p", str(port), name, rdtype, "+short"]
        expected = subprocess.run(words, capture_output=True, text=True, check=True)
        assert dns.resolve(name, rdtype, host, port) == expected.stdout.splitlines()
