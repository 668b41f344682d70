"""NSD, Unbound, BIND, dnspython and we agree on generated zones with records of all types."""

from __future__ import annotations

import base64
import importlib.util
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import dns.message as peer_message
import pytest

from udpcore import dns

Address = tuple[str, int]
#: seed -> how the zone is signed
SEEDS = {1: "", 2: "", 3: "", 4: "nsec", 5: "nsec3"}
#: What belongs to the apex of a signed zone only, where the signer puts it.
APEX_ONLY = {"DNSKEY", "CDNSKEY", "CDS", "NSEC3PARAM"}
ORIGIN = "example.test"


def tool(name: str) -> ModuleType:
    tools = Path(__file__).parents[2] / "tools"
    if str(tools) not in sys.path:
        sys.path.insert(0, str(tools))
    spec = importlib.util.spec_from_file_location(name, tools / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Zone:
    """A zone made from a seed: some names for each type, each with one to three records."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.options: dict[str, bool] = {"dnssec_ok": bool(SEEDS[seed])}
        self.questions: list[tuple[str, str]] = []
        lines = ["$TTL 300", "@ SOA ns1 admin 1 7200 900 1209600 60", "@ NS ns1", "ns1 A 192.0.2.2"]
        for rdtype in sorted(self.makers().keys() - (APEX_ONLY if SEEDS[seed] else set())):
            for number in range(2):
                owner = f"{rdtype.lower()}{number}.{self.label()}"
                # Elsewhere NS is a delegation, which Unbound follows (RFC 1034 §4.2.1).
                owner = "@" if rdtype == "NS" else owner
                self.questions.append((ORIGIN if owner == "@" else f"{owner}.{ORIGIN}", rdtype))
                count = 1 if rdtype in ("CNAME", "DNAME") else self._random.randint(1, 3)
                data = {self.makers()[rdtype]() for _ in range(count)}
                lines += [f"{owner} {rdtype} {text}" for text in sorted(data)]
                if rdtype == "DS" and SEEDS[seed]:
                    # RFC 4035 §2.4: a DS stands at a delegation.
                    lines.append(f"{owner} NS ns1")
        self.questions += [("nope." + ORIGIN, "A"), ("ns1." + ORIGIN, "MX"), (ORIGIN, "SOA")]
        self.text = "\n".join([f"$ORIGIN {ORIGIN}.", *lines, ""])

    def sign(self, home: Path, how: str) -> None:
        """Sign with BIND's tools, and ask also for what that adds."""
        keys = []
        for flag in ([], ["-f", "KSK"]):
            words = ["dnssec-keygen", "-q", *flag, "-a", "ECDSAP256SHA256", ORIGIN]
            keys.append(run(home, *words).strip())
        self.text += "".join((home / f"{key}.key").read_text() for key in keys)
        (home / "zone").write_text(self.text)
        salted = ["-3", "aabb", "-H", "5"] if how == "nsec3" else []
        run(home, "dnssec-signzone", "-o", ORIGIN, *salted, "-f", "signed", "zone", *keys)
        self.text = (home / "signed").read_text()
        self.questions += [(ORIGIN, "DNSKEY"), (f"a.b.{ORIGIN}", "A"), (f"mx0.{ORIGIN}", "A")]
        self.questions += [(ORIGIN, "NSEC3PARAM" if how == "nsec3" else "NSEC")]

    def number(self, bits: int) -> int:
        return self._random.getrandbits(bits)

    def label(self) -> str:
        alphabet = "abcdefghijklmnopqrstuvwxyz0123456789-_"
        return "x" + "".join(self._random.choices(alphabet, k=self._random.randint(0, 20))) + "x"

    def name(self) -> str:
        return ".".join(self.label() for _ in range(self._random.randint(1, 4))) + "."

    def octets(self, least: int, most: int) -> bytes:
        return self._random.randbytes(self._random.randint(least, most))

    def text_(self) -> str:
        # Every octet of a string, as master files write it. RFC 1035 §5.1.
        return '"' + "".join(f"\\{octet:03}" for octet in self.octets(0, 40)) + '"'

    def word(self) -> str:
        return '"' + self.label() + '"'

    def hex(self, count: int) -> str:
        return self.octets(count, count).hex()

    def base64(self) -> str:
        return base64.b64encode(self.octets(3, 90)).decode()

    def ip4(self) -> str:
        return ".".join(str(self.number(8)) for _ in range(4))

    def ip6(self) -> str:
        return ":".join(f"{self.number(16):x}" for _ in range(8))

    def types(self) -> str:
        some = ["A", "NS", "MX", "TXT", "AAAA", "SRV", "DS", "RRSIG", "TLSA", "CAA", "TYPE1234"]
        return " ".join(self._random.sample(some, self._random.randint(1, 6)))

    def makers(self) -> dict[str, Callable[[], str]]:
        n, name, text = self.number, self.name, self.text_
        return {
            "A": self.ip4,
            "AAAA": self.ip6,
            "CNAME": name,
            "DNAME": name,
            "NS": name,
            "PTR": name,
            "MX": lambda: f"{n(16)} {name()}",
            "TXT": lambda: " ".join(text() for _ in range(1 + n(2))),
            "SPF": text,
            "HINFO": lambda: f"{text()} {text()}",
            "MINFO": lambda: f"{name()} {name()}",
            "RP": lambda: f"{name()} {name()}",
            "AFSDB": lambda: f"{n(16)} {name()}",
            "KX": lambda: f"{n(16)} {name()}",
            "SRV": lambda: f"{n(16)} {n(16)} {n(16)} {name()}",
            "NAPTR": lambda: f'{n(16)} {n(16)} "U" {self.word()} "!^.*$!x!" {name()}',
            "URI": lambda: f"{n(16)} {n(16)} {self.word()}",
            "CAA": lambda: f"{n(8)} issue {self.word()}",
            "SVCB": lambda: f"{1 + n(15)} {name()} alpn=h2,h3 port={n(16)} ipv4hint={self.ip4()}",
            "HTTPS": lambda: f"{1 + n(15)} . ipv6hint={self.ip6()} key65400=abc{n(16)}",
            "DS": lambda: f"{n(16)} 13 2 {self.hex(32)}",
            "CDS": lambda: f"{n(16)} 13 2 {self.hex(32)}",
            "DNSKEY": lambda: f"256 3 13 {self.base64()}",
            "CDNSKEY": lambda: f"257 3 13 {self.base64()}",
            "CSYNC": lambda: f"{n(32)} 3 {self.types()}",
            "TLSA": lambda: f"{n(2) % 4} {n(1)} {n(1)} {self.hex(32)}",
            "SMIMEA": lambda: f"{n(2) % 4} {n(1)} {n(1)} {self.hex(32)}",
            "SSHFP": lambda: f"4 2 {self.hex(32)}",
            "OPENPGPKEY": self.base64,
            "DHCID": self.base64,
            # BIND writes the words for others, which Unbound does not know.
            "CERT": lambda: f"{1 + n(3)} {n(16)} {(5, 8, 10, 13)[n(2)]} {self.base64()}",
            "EUI48": lambda: "-".join(self.hex(1) for _ in range(6)),
            "EUI64": lambda: "-".join(self.hex(1) for _ in range(8)),
            "DLV": lambda: f"{n(16)} 13 2 {self.hex(32)}",
            "NSEC3PARAM": lambda: f"1 0 {n(6)} {self.hex(1 + n(3))}",
            "ZONEMD": lambda: f"{n(32)} 1 1 {self.hex(48)}",
            "TYPE65280": lambda: f"\\# 7 {self.hex(7)}",
        }


def run(home: Path, *words: str) -> str:
    program = shutil.which(words[0], path="/usr/bin:/usr/sbin:/bin")
    assert program is not None, f"{words[0]} is missing; install bind9-utils"
    done = subprocess.run([program, *words[1:]], cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=SEEDS)
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Zone, dict[str, Address]]]:
    zone = Zone(request.param)
    if how := SEEDS[request.param]:
        zone.sign(tmp_path_factory.mktemp("signed"), how)
    nsd, others = tool("nsd"), tool("name_servers")
    with (
        nsd.start_nsd(zone.text) as first,
        others.start("unbound", zone.text) as unbound,
        others.start("named", zone.text) as named,
    ):
        yield zone, {"nsd": first.address, "unbound": unbound, "named": named}


def shape(message: dns.Message) -> tuple[object, ...]:
    """What must agree: a resolver counts TTLs down, and who is the authority says more."""
    answers = sorted((r.name.lower(), r.rdtype, r.to_text()) for r in message.answers)
    # RFC 2308 §3: the SOA of a negative answer may come with the TTL of either of its numbers.
    negative = (
        [] if message.answers else sorted(r.name for r in message.authorities if r.rdtype == "SOA")
    )
    return str(message.rcode), answers, negative, proof(message)


def proof(message: dns.Message) -> list[tuple[str, str, str]]:
    """What proves that a name or type is not there. RFC 4035 §3.1.3, RFC 5155 §7.2."""
    if message.answers:
        return []
    kinds = ("NSEC", "NSEC3")
    return sorted(
        (r.name.lower(), r.rdtype, r.to_text())
        for r in message.authorities
        if r.rdtype in kinds or (r.rdtype == "RRSIG" and r.data.type_covered in kinds)
    )


def test_the_servers_agree(world: tuple[Zone, dict[str, Address]]) -> None:
    zone, servers = world
    differences = []
    for name, rdtype in zone.questions:
        shapes = {
            server: shape(dns.query(name, rdtype, *address, edns=1232, **zone.options))
            for server, address in servers.items()
        }
        if len({repr(found) for found in shapes.values()}) > 1:
            differences.append((name, rdtype, shapes))
    assert not differences, differences[0]


def test_dnspython_reads_the_same(world: tuple[Zone, dict[str, Address]]) -> None:
    """Our bytes say the same to it as the server's, and its bytes the same to us."""
    zone, servers = world
    for name, rdtype in zone.questions:
        for address in servers.values():
            message = dns.query(name, rdtype, *address, mix_case=False, **zone.options)
            theirs = peer_message.from_wire(message.wire)
            ours = peer_message.from_wire(message.to_wire())
            for section in ("question", "answer", "authority"):
                assert getattr(ours, section) == getattr(theirs, section), (name, rdtype, section)
            assert ours.rcode() == theirs.rcode()
            back = dns.parse(theirs.to_wire())
            key = lambda r: (r.name.lower(), r.rdtype, r.ttl, r.to_text())  # noqa: E731
            assert sorted(map(key, back.answers)) == sorted(map(key, message.answers))


def test_every_record_comes_back(world: tuple[Zone, dict[str, Address]]) -> None:
    zone, servers = world
    for name, rdtype in zone.questions:
        message = dns.query(name, rdtype, *servers["nsd"], **zone.options)
        assert dns.parse(message.to_wire()) == message
        for record in message.answers:
            again = dns.Record(record.name, record.rdtype, record.ttl, record.data)
            assert again == record
            assert repr(again) == repr(record)


def test_all_types_are_there(world: tuple[Zone, dict[str, Address]]) -> None:
    """Every type that the schema knows comes in answers; some are made by signing only."""
    zone, servers = world
    seen = {"OPT"}
    for name, rdtype in zone.questions:
        message = dns.query(name, rdtype, *servers["named"], **zone.options)
        assert message.edns is not None
        seen |= {r.rdtype for r in (*message.answers, *message.authorities)}
    schema = (Path(__file__).parents[3] / "src/dns/schema.rs").read_text(encoding="utf-8")
    table = schema[schema.index("schema! {") :]
    known = set(re.findall(r"\b([A-Z][A-Z0-9]+)(?= \||:)", table)) - {"RRSIG", "NSEC", "NSEC3"}
    if zone.options["dnssec_ok"]:
        known |= {"RRSIG", "DNSKEY", "NSEC" if "NSEC" in seen else "NSEC3"}
        known -= APEX_ONLY - {"DNSKEY"}
    assert known <= seen, known - seen
    # Those that the project promises to type.
    promised = "A AAAA CNAME NS MX TXT SOA PTR SRV CAA SVCB HTTPS NAPTR DS DNSKEY TLSA SSHFP OPT"
    assert set(promised.split()) <= seen
