"""``udpcore dns`` with dig's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from udpcore.cli import main

Address = tuple[str, int]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(["dns", *words])
    except SystemExit as leave:
        code = int(leave.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_it_prints_the_answer(nsd: Address, capsys: pytest.CaptureFixture[str]) -> None:
    server, port = f"@{nsd[0]}", str(nsd[1])
    code, out, err = run(capsys, "www.example.test", server, "-p", port)
    assert (code, err) == (0, "")
    assert "www.example.test.\t60\tIN\tCNAME\tweb.example.test.\n" in out
    assert f";; SERVER: {nsd[0]}#{port}({nsd[0]}) (UDP)" in out
    code, out, _ = run(capsys, "+short", server, "web.example.test", "A", "-p", port)
    assert (code, out) == (0, "192.0.2.10\n192.0.2.11\n192.0.2.12\n")
    code, out, _ = run(capsys, "big.example.test", "-t", "txt", server, "-p", port, "+json")
    found = json.loads(out)
    assert (code, len(found["answers"]), found["transport"]) == (0, 41, "tcp")
    code, out, _ = run(capsys, "nope.example.test", server, "-p", port, "+json", "+tcp")
    assert (code, json.loads(out)["rcode"]) == (0, "NXDOMAIN")


def test_many_names(nsd: Address, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("web.example.test\n# nothing\nnope.example.test\na..b\n", encoding="utf-8")
    server = [f"@{nsd[0]}", "-p", str(nsd[1])]
    code, out, err = run(capsys, "--many", str(names), *server)
    assert code == 1
    assert sorted(out.splitlines()) == [
        'a..b\t! empty label in domain name "a..b" (two dots in a row, or one in front)',
        "nope.example.test\t! nope.example.test.: no such name",
        "web.example.test\t192.0.2.10 | 192.0.2.11 | 192.0.2.12",
    ]
    assert "2 answered, 1 without an answer" in err
    names.write_text("web.example.test\n", encoding="utf-8")
    code, out, _ = run(capsys, "--many", str(names), *server, "+json", "--rate", "100")
    assert (code, json.loads(out)["records"][0]) == (0, "192.0.2.10")
    assert run(capsys, "x", "--many", str(names))[0] == 2
    code, _, err = run(capsys, "--many", str(tmp_path / "none"), *server)
    assert (code, "there is no file" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["a" * 64 + ".test"], "has 64 octets, the limit is 63"),
        (["x", "AAAAA"], 'did you mean "AAAA"'),
        (["x", "+shrt"], "did you mean '+short'"),
        (["x", "--prot", "3"], "did you mean '--port'"),
        (["x", "-p", "70000"], "70000"),
        (["x", "+time=never"], "give a number"),
        (["x", "A", "IN", "more"], "one question at a time"),
        (["x", "@"], "needs the name or address"),
        (["-x", "not-an-address"], "give an IPv4 or IPv6 address"),
        (["x", "+dnssec", "+noedns"], "need EDNS"),
    ],
)
def test_bad_words_are_usage(
    capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    code, out, err = run(capsys, *words)
    assert (code, out) == (2, "")
    assert text in err
    assert "Traceback" not in err


def test_no_server_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "x", "@127.0.0.1", "-p", "1")
    assert (code, "refused" in err) == (1, True)
    code, _, err = run(capsys, "x", "@no.such.host.invalid")
    assert (code, "no.such.host.invalid" in err) == (1, True)


def test_a_bogus_answer_is_shown_with_its_reason(
    nsd: Address, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The zone of the tests is not signed, so below any anchor of its own it is bogus."""
    anchor = tmp_path / "anchor"
    anchor.write_text(f"example.test. IN DS 1 13 2 {'AB' * 32}\n", encoding="utf-8")
    words = ("www.example.test", f"@{nsd[0]}", "-p", str(nsd[1]), "+validate", f"+anchor={anchor}")
    code, out, _ = run(capsys, *words)
    assert (code, ";; DNSSEC: bogus (" in out) == (0, True)
    code, out, _ = run(capsys, *words, "+json")
    assert (code, json.loads(out)["security"]["state"]) == (0, "bogus")
    assert run(capsys, *words, "+noedns")[0] == 2


def test_tls_words(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nobody listens: what is told is who was asked; without roots it is what is missing."""
    for word in ("+tls", "+https", "+https=/query", "+tls-hostname=dns.test"):
        words = ("x.test", "@127.0.0.1", "-p", "1", word, "+tries=1")
        code, _, err = run(capsys, *words, f"+tls-ca={tmp_path / 'none'}", "+tls")
        assert (code, "no certificates in" in err) == (1, True), err
