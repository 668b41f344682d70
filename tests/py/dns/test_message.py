"""Messages as Python values: building, reading, comparing, refusing."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udpcore import dns
from udpcore.dns import _records

ROOT = Path(__file__).parents[3]


def test_a_query_is_the_bytes_of_the_rfc() -> None:
    wire = dns.build_query("example.com", id=0xBEEF, edns=None)
    assert wire.hex() == "beef01000001000000000000" + "076578616d706c6503636f6d00" + "00010001"
    with_edns = dns.build_query("example.com", id=0xBEEF, dnssec_ok=True)
    assert with_edns[12:29] == wire[12:]
    assert with_edns[29:].hex() == "00" + "0029" + "04d0" + "00008000" + "0000"
    assert dns.build_query("x", recursion_desired=False)[2:4] == b"\0\0"
    assert dns.build_query("x", 28)[-15:-11] == b"\0\x1c\0\1"


def test_without_an_id_it_is_drawn() -> None:
    assert len({dns.build_query("x")[:2] for _ in range(100)}) > 90


def test_names_are_idna() -> None:
    assert b"\x0exn--mnchen-3ya" in dns.build_query("münchen.de")
    assert dns.Question("straße.de").name == "xn--strae-oqa.de."
    with pytest.raises(ValueError, match="IDNA"):
        dns.build_query("xn--a\u0301\u2028.de")


def test_a_message_reads_and_prints() -> None:
    message = dns.Message(
        7,
        dns.Flags.QR | dns.Flags.RD,
        dns.Rcode.NOERROR,
        [dns.Question("example.com")],
        [
            dns.Record("example.com", "CNAME", 60, dns.CNAME("www.example.com")),
            dns.Record("www.example.com", "A", 60, dns.A("192.0.2.1")),
        ],
        [],
        [dns.Record(".", "OPT", 0, dns.OPT(options=((15, b"\0\x12no"),)))],
    )
    assert str(message).splitlines() == [
        ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 7",
        ";; flags: qr rd; QUERY: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 1",
        "",
        ";; OPT PSEUDOSECTION:",
        "; EDNS: version: 0, flags:; udp: 1232",
        "; EDE: 18 (Prohibited): (no)",
        ";; QUESTION SECTION:",
        ";example.com.\t\t\tIN\tA",
        "",
        ";; ANSWER SECTION:",
        "example.com.\t\t60\tIN\tCNAME\twww.example.com.",
        "www.example.com.\t60\tIN\tA\t192.0.2.1",
    ]
    assert repr(message).startswith('<Message id=7 NOERROR flags="qr rd" [example.com. A]')
    assert repr(message.answers[1]) == (
        "Record('www.example.com.', 'A', ttl=60, data=A(address='192.0.2.1'))"
    )
    match message.answers[0].data:
        case dns.CNAME(target):
            assert target == "www.example.com."
    assert eval(repr(message.answers[0]), vars(dns)) == message.answers[0]
    assert eval(repr(message.questions[0]), vars(dns)) == message.questions[0]
    # The owner of the second record is a pointer into the data of the first.
    assert message.to_wire().count(b"example") == 1
    assert pickle.loads(pickle.dumps(message)) == message
    assert len({message, dns.parse(message.to_wire())}) == 1


def test_extended_codes_live_in_opt() -> None:
    opt = dns.Record(".", "OPT", 0, dns.OPT(extended_rcode=1))
    message = dns.Message(rcode=23, additionals=[opt])
    assert message.rcode == dns.Rcode.BADCOOKIE
    with pytest.raises(ValueError, match="OPT"):
        dns.Message(rcode=23)
    with pytest.raises(ValueError, match="misplaced"):
        dns.Message(answers=[opt])


@pytest.mark.parametrize(
    ("wire", "offset", "text"),
    [
        (b"", 0, "header needs 12 bytes, 0 left"),
        (b"abc", 0, "header needs 12 bytes, 3 left"),
        (bytes(12) + b"x", 12, "1 bytes after the last record"),
        (bytes(5) + b"\1" + bytes(6) + b"\xc0\x0c\0\1\0\1", 12, "pointer to byte 12"),
        (bytes(5) + b"\1" + bytes(6) + b"\x80\0\1\0\1", 12, "label octet 0x80"),
        (bytes(5) + b"\1" + bytes(6) + b"\x05abc", 13, "label needs 5 bytes, 3 left"),
        (bytes(7) + b"\1" + bytes(4) + b"\0\0\1\0\1\0\0\0\0\0\3abc", 23, "IPv4 address needs 4"),
        (bytes(7) + b"\1" + bytes(4) + b"\0\0\1\0\1\0\0\0\0\0\5abcde", 27, "1 octets left over"),
        (bytes(7) + b"\1" + bytes(4) + b"\0\0\1\0\1\0\0\0\0\0\4ab", 23, "record data needs 4"),
    ],
)
def test_a_malformed_message_tells_where(wire: bytes, offset: int, text: str) -> None:
    with pytest.raises(dns.ParseError, match=text) as caught:
        dns.parse(wire)
    assert caught.value.offset == offset
    assert f"byte {offset}:" in str(caught.value)


def test_parse_takes_bytes_like_and_nothing_else() -> None:
    wire = dns.build_query("a", id=1)
    assert dns.parse(bytearray(wire)) == dns.parse(memoryview(wire)) == dns.parse(wire)
    for wrong in ("text", 12, None):
        with pytest.raises(TypeError):
            dns.parse(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rdtype", "data", "text"),
    [
        ("A", dns.A("999.0.0.1"), 'field "address" of A'),
        ("MX", dns.MX(70000, "a"), 'field "preference" of MX'),
        ("MX", (1,), "MX has 2 fields, 1 given"),
        ("MX", dns.MX(1, "a..b"), "empty label"),
        ("TXT", dns.TXT((b"x" * 256,)), "256 octets, the limit is 255"),
        ("TXT", dns.TXT(()), "give one string or more"),
        ("TYPE65280", (1, 2), "give bytes"),
        ("A", b"abc", "IPv4 address needs 4"),
    ],
)
def test_wrong_data_names_the_field(rdtype: str, data: tuple[object, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        dns.Record("a", rdtype, 1, data)


def test_classes_and_schema_have_the_same_fields() -> None:
    source = (ROOT / "src/dns/schema.rs").read_text(encoding="utf-8")
    table = source[source.index("schema! {") :]
    for words, fields in re.findall(r"^    ((?:\w+ \| )*\w+): \[([^\]]*)\]", table, re.M | re.S):
        names = tuple(field.split()[0] for field in fields.split(","))
        for word in words.split(" | "):
            cls = _records.CLASSES.get(word)
            if cls is not None and word != "OPT":
                assert cls._fields == names, word  # type: ignore[attr-defined]


octet_labels = st.lists(st.binary(min_size=1, max_size=63), max_size=6).filter(
    lambda labels: sum(len(label) + 1 for label in labels) < 255
)
names = octet_labels.map(
    lambda labels: "".join("".join(f"\\{o:03}" for o in label) + "." for label in labels) or "."
)
u8, u16, u32 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32))
short = st.binary(max_size=255)
types = st.lists(u16.map("TYPE{}".format), unique=True).map(tuple)
datas = st.one_of(
    st.builds(dns.A, st.ip_addresses(v=4).map(str)),
    st.builds(dns.AAAA, st.ip_addresses(v=6).map(str)),
    st.builds(dns.CNAME, names),
    st.builds(dns.MX, u16, names),
    st.builds(dns.TXT, st.lists(short, min_size=1, max_size=5).map(tuple)),
    st.builds(dns.SOA, names, names, u32, u32, u32, u32, u32),
    st.builds(dns.SRV, u16, u16, u16, names),
    st.builds(dns.CAA, u8, short, short),
    st.builds(dns.NAPTR, u16, u16, short, short, short, names),
    st.builds(dns.DS, u16, u8, u8, short),
    st.builds(dns.NSEC3, u8, u8, u16, short, short, types),
    st.builds(
        dns.HTTPS,
        u16,
        names,
        st.dictionaries(st.integers(8, 65535), short).map(
            lambda d: tuple((f"key{k}", d[k]) for k in sorted(d))
        ),
    ),
)


@given(st.lists(st.tuples(names, u32, datas), max_size=5), u16)
def test_what_was_built_is_read(rows: list[tuple[str, int, tuple[object, ...]]], id: int) -> None:
    records = [dns.Record(n, type(data).__name__, ttl, data) for n, ttl, data in rows]
    message = dns.parse(dns.Message(id, answers=records).to_wire())
    assert list(message.answers) == records
    for record, (_, ttl, data) in zip(message.answers, rows, strict=True):
        assert (record.ttl, record.rdtype) == (ttl, type(data).__name__)
        assert dns.Record(record.name, record.rdtype, ttl, record.data) == record


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(wire: bytes) -> None:
    message, offset = None, 0
    try:
        message = dns.parse(wire)
    except dns.ParseError as error:
        offset = error.offset
    assert 0 <= offset <= len(wire)
    if message is not None:
        assert dns.parse(message.to_wire()) == message
        assert str(message)


def test_a_txt_without_strings_is_read() -> None:
    """Some responders of the local network send it. RFC 6763 §6.1."""
    made = dns.Message(1, 0x8180, 0, [], [dns.Record("a.test", "TXT", 60, dns.TXT([b""]))])
    wire = made.to_wire()
    assert wire.endswith(b"\0\1\0")
    [record] = dns.parse(wire[:-3] + b"\0\0").answers
    assert (record.data.strings, record.to_text()) == ((), '""')
