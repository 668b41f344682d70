"""DNSSEC: zones signed with BIND's tools, served by NSD; every verdict has its reason."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from udpcore import aio, dns

HERE = Path(__file__).parent
Address = tuple[str, int]

#: origin -> how it is signed, and what is in it beside SOA and NS
ZONES: dict[str, tuple[str, str]] = {
    "good.test": ("nsec", "www A 192.0.2.1\n*.wild TXT any\nalias CNAME www\n"),
    "three.test": ("nsec3", "www A 192.0.2.2\n*.wild TXT any\n"),
    "plain.test": ("", "www A 192.0.2.3\n"),
    "expired.test": ("expired", "www A 192.0.2.4\n"),
    "rsa.test": ("rsa", "www A 192.0.2.5\n"),
}


@dataclass(frozen=True)
class World:
    """A parent that is the anchor, its children, and the server of them all."""

    address: Address
    anchor: str


@dataclass(frozen=True)
class Doors:
    """Where the same server is, by transport."""

    addresses: dict[str, Address]
    cafile: Path
    servers: dict[str, Any]


def tool(name: str, home: Path = HERE.parents[1] / "tools") -> ModuleType:
    path = home / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"tests_tools_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def run(home: Path, *words: str) -> str:
    program = shutil.which(words[0], path="/usr/bin:/usr/sbin:/bin")
    assert program is not None, f"{words[0]} is missing; install bind9-utils"
    done = subprocess.run([program, *words[1:]], cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sign(home: Path, origin: str, how: str, text: str) -> tuple[str, str]:
    """Return the signed zone and its DS records."""
    algorithm = ("-a", "RSASHA256", "-b", "2048") if how == "rsa" else ("-a", "ECDSAP256SHA256")
    zone_key = run(home, "dnssec-keygen", "-q", *algorithm, origin).strip()
    key_key = run(home, "dnssec-keygen", "-q", "-f", "KSK", *algorithm, origin).strip()
    keys = "".join((home / f"{key}.key").read_text() for key in (zone_key, key_key))
    (home / f"{origin}.zone").write_text(f"$ORIGIN {origin}.\n$TTL 60\n{text}\n{keys}")
    words = ["-o", origin, "-k", key_key, "-f", f"{origin}.signed"]
    if how == "nsec3":
        words += ["-3", "aabb", "-H", "0"]
    if how == "expired":
        words += ["-P", "-s", "20200101000000", "-e", "20200201000000"]
    run(home, "dnssec-signzone", *words, f"{origin}.zone", zone_key)
    delegation = run(home, "dnssec-dsfromkey", "-2", f"{key_key}.key")
    return (home / f"{origin}.signed").read_text(), delegation


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("zones")
    head = "@ SOA ns me 1 2 3 4 5\n@ NS ns\nns A 192.0.2.53\n"
    texts, parent = {}, head
    for origin, (how, text) in ZONES.items():
        texts[origin] = f"$TTL 60\n{head}{text}"
        parent += f"{origin}. NS ns.{origin}.\nns.{origin}. A 192.0.2.53\n"
        if how:
            texts[origin], delegation = sign(home, origin, how, head + text)
            parent += delegation
    texts["test"], anchor = sign(home, "test", "nsec", parent)
    with tool("nsd").start_nsd(texts) as nsd:
        yield World(nsd.address, anchor)


def ask(world: World, name: str, rdtype: str = "A") -> dns.Message:
    return dns.query(name, rdtype, *world.address, dnssec=True, trust_anchor=world.anchor)


@pytest.mark.parametrize(
    ("name", "rdtype", "state"),
    [
        ("www.good.test", "A", "secure"),
        ("good.test", "SOA", "secure"),
        ("good.test", "DNSKEY", "secure"),
        ("alias.good.test", "A", "secure"),
        ("x.wild.good.test", "TXT", "secure"),
        ("nope.good.test", "A", "secure"),
        ("www.good.test", "MX", "secure"),
        ("www.three.test", "A", "secure"),
        ("x.wild.three.test", "TXT", "secure"),
        ("nope.three.test", "A", "secure"),
        ("www.three.test", "MX", "secure"),
        ("www.rsa.test", "A", "secure"),
        ("good.test", "DS", "secure"),
        ("nope.test", "A", "secure"),
        ("www.plain.test", "A", "insecure"),
        ("plain.test", "DS", "secure"),
        ("nope.plain.test", "A", "insecure"),
        ("www.expired.test", "A", "bogus"),
    ],
)
def test_the_chain_is_followed(world: World, name: str, rdtype: str, state: str) -> None:
    message = ask(world, name, rdtype)
    assert message.security is not None
    assert message.security.state == state, message.security
    assert message.security.reason


def test_without_an_anchor_for_it_nothing_is_secure(world: World) -> None:
    other = world.anchor.replace("test.", "other.", 1)
    message = dns.query("www.good.test", "A", *world.address, dnssec=True, trust_anchor=other)
    assert message.security == ("insecure", "No trust anchor for root.")


def test_another_key_makes_all_bogus(world: World) -> None:
    digest = re.search(r"([0-9A-F]{64})", world.anchor)
    assert digest is not None
    other = world.anchor.replace(digest[1], digest[1][::-1])
    message = dns.query("www.good.test", "A", *world.address, dnssec=True, trust_anchor=other)
    assert message.security is not None
    assert message.security.state == "bogus"


Change = Callable[[dns.Message], list[dns.Record]]


def other_address(message: dns.Message) -> list[dns.Record]:
    return [
        dns.Record(r.name, "A", r.ttl, dns.A("192.0.2.66")) if r.rdtype == "A" else r
        for r in message.answers
    ]


@pytest.mark.parametrize(
    ("change", "of"),
    [
        (other_address, "another address"),
        (lambda m: [r for r in m.answers if r.rdtype != "RRSIG"], "no signature"),
        (lambda m: [r for r in m.answers if r.rdtype == "RRSIG"], "only the signature"),
        (lambda m: [], "nothing"),
    ],
)
def test_a_forger_between_is_found_out(world: World, change: Change, of: str) -> None:
    """The message is changed on its way; the chain is asked for as it is."""
    honest = dns.query("www.good.test", "A", *world.address, dnssec_ok=True, checking_disabled=True)
    opt = [r for r in honest.additionals if r.rdtype == "OPT"]
    forged = dns.Message(honest.id, honest.flags, 0, honest.questions, change(honest), [], opt)
    from udpcore import _core

    for message, state in ((forged, "bogus"), (dns.parse(honest.wire), "secure")):
        _core.dns_validate(message, [world.address], timeout=2, retries=2, anchor=world.anchor)
        assert message.security is not None
        assert message.security.state == state, (of, message.security)


def test_resolve_refuses_what_is_bogus(world: World) -> None:
    options: Any = {"dnssec": True, "trust_anchor": world.anchor}
    assert dns.resolve("www.good.test", "A", *world.address, **options) == ["192.0.2.1"]
    assert dns.resolve("www.plain.test", "A", *world.address, **options) == ["192.0.2.3"]
    with pytest.raises(dns.BogusError, match="bogus") as caught:
        dns.resolve("www.expired.test", "A", *world.address, **options)
    assert caught.value.response.answers
    with pytest.raises(dns.NXDomainError):
        dns.resolve("nope.good.test", "A", *world.address, **options)


def test_keys_that_cannot_be_had_are_no_proof(world: World) -> None:
    """Who answers the question but not for the keys has not proven anything; not for long."""
    from udpcore import _core

    message = dns.query("www.good.test", "A", *world.address, dnssec_ok=True)
    _core.dns_validate(message, [("127.0.0.1", 1)], timeout=0.2, retries=0, anchor=world.anchor)
    assert message.security is not None
    assert message.security.state == "bogus"
    assert "could not be asked for" in message.security.reason
    assert ask(world, "www.good.test").security == dns.Security("secure", SIGNED)


SIGNED = "signed by a chain from the anchor"


@pytest.mark.parametrize("anchor", ["", "test. A 192.0.2.1", "rubbish ( DS"])
def test_an_anchor_that_is_none(world: World, anchor: str) -> None:
    with pytest.raises(ValueError, match="trust anchor"):
        dns.query("www.good.test", "A", *world.address, dnssec=True, trust_anchor=anchor)


@pytest.fixture(scope="module")
def doors(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    """The same server over TLS and HTTPS: what comes is handed on to it over TCP."""
    tls = tool("_tls", HERE)
    cafile, context, _ = tls.make_authority(tmp_path_factory.mktemp("authority"))

    def hand_on(query: bytes) -> bytes:
        with socket.create_connection(world.address, 10) as conn:
            conn.sendall(len(query).to_bytes(2, "big") + query)
            length = int.from_bytes(tls.read_exactly(conn, 2), "big")
            reply: bytes = tls.read_exactly(conn, length)
            return reply

    servers = {
        "tls": tls.StreamServer(tls.over_stream(hand_on), context),
        "https": tls.StreamServer(tls.over_http(hand_on), context),
    }
    yield Doors(
        {"tcp": world.address} | {n: s.address for n, s in servers.items()}, cafile, servers
    )
    for server in servers.values():
        server.close()


@pytest.mark.parametrize("transport", ["tcp", "tls", "https"])
@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("www.good.test", "secure"),
        ("www.three.test", "secure"),
        ("nope.good.test", "secure"),
        ("www.plain.test", "insecure"),
        ("www.expired.test", "bogus"),
    ],
)
def test_over_every_transport(
    world: World, doors: Doors, transport: str, name: str, state: str
) -> None:
    """The keys come the same way as the answer: nothing is asked for in the open."""
    options: Any = {"dnssec": True, "trust_anchor": world.anchor, "transport": transport}
    options |= {"server_name": "dns.test", "cafile": doors.cafile, "timeout": 20}
    server = doors.servers.get(transport)
    before = server.connections if server else 0
    message = dns.query(name, "A", *doors.addresses[transport], **options)
    assert message.security is not None
    assert message.security.state == state, message.security
    # One connection for the answer and all keys.
    assert server is None or server.connections == before + 1
    found = asyncio.run(aio.query(name, "A", *doors.addresses[transport], **options))
    assert found.security == message.security


@pytest.mark.parametrize("transport", ["tcp", "tls", "https"])
def test_many_names_are_validated(world: World, doors: Doors, transport: Any) -> None:
    options: Any = {"dnssec": True, "trust_anchor": world.anchor, "transport": transport}
    options |= {"server_name": "dns.test", "cafile": doors.cafile, "timeout": 20}
    names = ["www.good.test", "www.expired.test", "alias.good.test", "nope.good.test"] * 20
    server = doors.servers.get(transport)
    before = server.connections if server else 0
    found = list(dns.resolve_many(names, "A", *doors.addresses[transport], **options))
    assert [name for name, _ in found] == names
    kinds = [result if isinstance(result, list) else type(result) for _, result in found[:4]]
    assert kinds == [["192.0.2.1"], dns.BogusError, ["192.0.2.1"], dns.NXDomainError]
    assert server is None or server.connections == before + 1


def test_the_command_asks_for_many_over_tls_too(
    world: World, doors: Doors, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from udpcore.cli import main

    names, anchor = tmp_path / "names", tmp_path / "anchor"
    names.write_text("www.good.test\nwww.expired.test\n", encoding="utf-8")
    anchor.write_text(world.anchor, encoding="utf-8")
    host, port = doors.addresses["tls"]
    words = ["dns", "--many", str(names), f"@{host}", "-p", str(port), "+tls", "+validate"]
    words += [f"+tls-ca={doors.cafile}", "+tls-hostname=dns.test", f"+anchor={anchor}"]
    before = doors.servers["tls"].connections
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "www.good.test\t192.0.2.1\n" in out
    assert "www.expired.test\t! www.expired.test: bogus" in out
    assert doors.servers["tls"].connections == before + 1


def test_resolve_and_a_kept_connection_over_tls(world: World, doors: Doors) -> None:
    address, cafile = doors.addresses["tls"], doors.cafile
    options: Any = {"dnssec": True, "trust_anchor": world.anchor, "transport": "tls"}
    options |= {"server_name": "dns.test", "cafile": cafile, "timeout": 20}
    assert dns.resolve("www.good.test", "A", *address, **options) == ["192.0.2.1"]
    with pytest.raises(dns.BogusError):
        dns.resolve("www.expired.test", "A", *address, **options)
    with dns.Connection(*address, "tls", server_name="dns.test", cafile=cafile) as connection:
        message = connection.query("www.good.test", dnssec_ok=True, checking_disabled=True)
        assert message.security is None
        connection.validate(message, world.anchor)
        assert message.security == dns.Security("secure", SIGNED)
        assert connection.stats()["opened"] == 1
        with pytest.raises(ValueError, match="trust anchor"):
            connection.validate(message, "nothing")


def test_a_connection_that_breaks_gives_no_keys(world: World, doors: Doors) -> None:
    tls = tool("_tls", HERE)
    honest = dns.query("www.good.test", "A", *world.address, dnssec_ok=True)
    server = tls.StreamServer(tls.over_stream(lambda _: None), None)
    try:
        with dns.Connection(*server.address) as connection:
            connection.validate(honest, world.anchor)
    finally:
        server.close()
    assert honest.security is not None
    assert honest.security.state == "bogus"
    assert "could not be asked for" in honest.security.reason


def test_it_needs_edns(world: World) -> None:
    with pytest.raises(ValueError, match="EDNS"):
        dns.query("www.good.test", "A", *world.address, dnssec=True, edns=None)


def test_unvalidated_messages_say_nothing(world: World) -> None:
    assert dns.query("www.good.test", "A", *world.address).security is None
