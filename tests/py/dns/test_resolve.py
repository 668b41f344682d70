"""Resolving through a real name server: aliases, negative answers, TCP, bad arguments."""

from __future__ import annotations

import pickle
import socket
import threading

import pytest
from lan import INTERFACE, Lan, run

from udpcore import dns

Address = tuple[str, int]


def test_aliases_are_followed(nsd: Address) -> None:
    addresses = ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
    assert dns.resolve("www.example.test", "A", *nsd) == addresses
    assert dns.resolve("CHAIN1.example.TEST.", server=nsd[0], port=nsd[1]) == addresses
    assert dns.dns_query("www.example.test", nsd[0], port=nsd[1]) == "192.0.2.10"


@pytest.mark.parametrize(
    ("name", "kind", "errno"),
    [
        ("nope.example.test", dns.NXDomainError, socket.EAI_NONAME),
        ("dangling.example.test", dns.NXDomainError, socket.EAI_NONAME),
        ("ns1.example.test", dns.NoDataError, socket.EAI_NODATA),
        ("elsewhere.invalid", dns.RefusedError, socket.EAI_FAIL),
        ("loop1.example.test", dns.ResolveError, socket.EAI_FAIL),
        ("x.sub.example.test", dns.ResolveError, socket.EAI_FAIL),
    ],
)
def test_negative_answers_are_told_apart(
    nsd: Address, name: str, kind: type[dns.ResolveError], errno: int
) -> None:
    with pytest.raises(kind) as caught:
        dns.resolve(name, "MX", *nsd)
    assert isinstance(caught.value, socket.gaierror)
    assert caught.value.errno == errno
    assert caught.value.response.questions[0].rdtype == "MX"
    assert name in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.response) == (
        type(caught.value),
        str(caught.value),
        caught.value.response,
    )
    if kind is not dns.NoDataError:
        assert dns.dns_query(name, nsd[0], port=nsd[1]) is None


def test_the_message_comes_whatever_its_code(nsd: Address) -> None:
    message = dns.query("nope.example.test", "A", *nsd)
    assert message.rcode == dns.Rcode.NXDOMAIN == 3
    assert str(message.rcode) == "NXDOMAIN"
    assert dns.Flags.AA in message.flags
    assert message.authorities[0].data.minimum == 60
    assert message.edns is not None
    assert message.edns.udp_size == 1232


def test_a_truncated_answer_is_fetched_over_tcp(nsd: Address) -> None:
    truncated = dns.query("big.example.test", "TXT", *nsd, ignore_truncation=True)
    assert dns.Flags.TC in truncated.flags
    whole = dns.query("big.example.test", "TXT", *nsd)
    assert dns.Flags.TC not in whole.flags
    assert len(whole.answers) == 41
    assert dns.query("big.example.test", "TXT", *nsd, tcp=True).answers == whole.answers


def test_the_name_is_shown_in_the_case_it_was_asked_in(nsd: Address) -> None:
    message = dns.query("wWw.Example.test", "A", *nsd)
    assert message.questions[0].name == "wWw.Example.test."
    assert message.answers[0].name == "wWw.Example.test."


def test_several_servers_are_asked_in_turn(nsd: Address) -> None:
    # Port 0 of the first address cannot answer, another address refuses: the second one does.
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.2", nsd[1]))
    with silent:
        servers = ["127.0.0.2", nsd[0]]
        message = dns.query("www.example.test", "A", servers, nsd[1], timeout=0.1, retries=1)
        assert len(message.answers) == 4


def test_a_server_of_the_link_is_asked_by_its_interface() -> None:
    """As a router says in resolv.conf: ``fe80::1%eth0``."""
    with Lan() as lan:
        shown = run("ip", "-n", lan.names["b"], "-6", "address", "show", "scope", "link")
        address = f"{shown.split('inet6 ')[1].split('/')[0]}%{INTERFACE}"

        def serve() -> socket.socket:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            sock.bind(("::", 5300))
            return sock

        def work() -> None:
            while (query := sock.recvfrom(4096))[0]:
                asked = dns.parse(query[0])
                record = dns.Record(asked.questions[0].name, "A", 60, dns.A("192.0.2.9"))
                reply = dns.Message(asked.id, 0x8180, 0, asked.questions, [record]).to_wire()
                sock.sendto(reply, query[1])

        def ask() -> tuple[list[str], object]:
            many = dns.resolve_many(["b.test"], "A", address, 5300, timeout=30)
            # The addresses of the link are proved to be ours alone in the first second or two.
            return dns.resolve("a.test", "A", address, 5300, retries=15), next(many)

        with lan.inside("b", serve) as sock:
            thread = threading.Thread(target=work)
            thread.start()
            try:
                found, many = lan.inside("a", ask)
            finally:
                sock.sendto(b"", ("::1", 5300))
                thread.join()
        assert found == ["192.0.2.9"]
        assert many == ("b.test", ["192.0.2.9"])


def test_local_faults_are_value_errors() -> None:
    cases = [
        (lambda: dns.query("a" * 64 + ".test", "A", "127.0.0.1"), "64 octets, the limit is 63"),
        (lambda: dns.query("a..b", "A", "127.0.0.1"), "empty label"),
        (lambda: dns.query("", "A", "127.0.0.1"), "empty domain name"),
        (lambda: dns.query(".".join(["a" * 60] * 5), "A", "127.0.0.1"), "limit is 255"),
        (lambda: dns.query("a.test", "AAAAA", "127.0.0.1"), 'did you mean "AAAA"'),
        (lambda: dns.query("a.test", "A", "127.0.0.1", port=70000), "70000"),
        (lambda: dns.query("a.test", "A", "127.0.0.1", timeout=0), "timeout"),
        (lambda: dns.query("a.test", "A", "127.0.0.1", retries=1000), "retries=1000 .* 0 to 20"),
        (lambda: dns.query("a.test", "A", "127.0.0.1", retries=-1), "retries=-1"),
        (lambda: dns.query("a.test", "A", "127.0.0.1", edns=70000), "edns=70000"),
        (lambda: dns.build_query("a.test", id=65536), "id=65536 .* 0 to 65535"),
        (lambda: dns.query("a.test", "A", []), "no name server"),
        (lambda: dns.query("a.test", "A", "127.0.0.1", edns=None, dnssec_ok=True), "EDNS"),
        (lambda: dns.query("a.test", "A", "127.0.0.1", options=[(1, bytes(5000))]), "4096"),
    ]
    for call, text in cases:
        with pytest.raises(ValueError, match=text):
            call()


def test_a_server_that_is_no_address_is_named() -> None:
    with pytest.raises(socket.gaierror, match=r"no\.such\.host\.invalid"):
        dns.query("a.test", "A", "no.such.host.invalid")


def test_nobody_listening_is_connection_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    for tcp in (False, True):
        with pytest.raises(ConnectionRefusedError, match=f"127.0.0.1#{port}"):
            dns.query("a.test", "A", "127.0.0.1", port, tcp=tcp)
