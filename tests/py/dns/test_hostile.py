"""Servers that lie, guess, truncate or say nothing: only the right answer is ever taken."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from udpcore import aio, dns

Client = tuple[str, int]
Sender = Callable[[bytes, Client, socket.socket], None]

RIGHT = "192.0.2.1"
WRONG = "203.0.113.66"


def answer(
    query: bytes,
    *,
    address: str = RIGHT,
    id: int | None = None,
    name: str | None = None,
    rdtype: str = "A",
    flags: int = 0x8180,
    rcode: int = 0,
) -> bytes:
    """An answer to `query`, wrong where an argument says so."""
    asked = dns.parse(query)
    question = asked.questions[0]
    owner = question.name if name is None else name
    record = dns.Record(owner, "A", 60, dns.A(address))
    message = dns.Message(
        asked.id if id is None else id, flags, rcode, [dns.Question(owner, rdtype)], [record]
    )
    return message.to_wire()


def bad_id(query: bytes) -> bytes:
    return answer(query, address=WRONG, id=dns.parse(query).id ^ 1)


def bad_case(query: bytes) -> bytes:
    return answer(query, address=WRONG, name=dns.parse(query).questions[0].name.swapcase())


def pointer_loop(query: bytes) -> bytes:
    header = query[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
    return header + b"\xc0\x0c" + b"\0\1\0\1" + b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\1\2\3\4"


def loop_in_record(query: bytes) -> bytes:
    end = 12 + len(dns.parse(query).questions[0].name) + 1 + 4
    header = query[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
    at = end.to_bytes(2, "big")
    return header + query[12:end] + bytes([0xC0 | at[0], at[1]]) + b"\0\1\0\1\0\0\0\0\0\4\1\2\3\4"


def pointer_chain(query: bytes) -> bytes:
    """A name that is 150 pointers long, each to the one before."""
    end = 12 + len(dns.parse(query).questions[0].name) + 1 + 4
    header = query[:2] + bytes.fromhex("8180 0001 0001 0000 0000")
    chain = bytes([1, 97, 0])
    for number in range(150):
        at = end + 11 + (number * 2 + 1 if number else 0)
        chain += (0xC000 | at).to_bytes(2, "big")
    opaque = b"\0\0\1\0\1\0\0\0\0" + len(chain).to_bytes(2, "big") + chain
    last = (0xC000 | end + 11 + 1 + 2 * 150).to_bytes(2, "big")
    return header + query[12:end] + opaque + last + b"\0\1\0\1\0\0\0\0\0\4\1\2\3\4"


def with_options(query: bytes, *options: tuple[int, bytes]) -> bytes:
    """A wrong answer with EDNS options."""
    asked = dns.parse(query)
    record = dns.Record(asked.questions[0].name, "A", 60, dns.A(WRONG))
    opt = dns.Record(".", "OPT", 0, dns.OPT(options=options))
    return dns.Message(asked.id, 0x8180, 0, asked.questions, [record], [], [opt]).to_wire()


#: What a server may send that is not the answer.
JUNK: dict[str, Callable[[bytes], bytes]] = {
    "wrong id": bad_id,
    "wrong question": lambda q: answer(q, address=WRONG, name="other.test."),
    "question for another type": lambda q: answer(q, address=WRONG, rdtype="AAAA"),
    "no question": lambda q: q[:2] + bytes.fromhex("8180 0000 0000 0000 0000"),
    "two questions": lambda q: q[:2] + bytes.fromhex("8180 0002") + q[6:],
    "the query itself": lambda q: q,
    "an update response": lambda q: (
        answer(q, address=WRONG, flags=0x8180)[:2] + b"\xa8\x00" + answer(q, address=WRONG)[4:]
    ),
    "three bytes": lambda q: q[:3],
    "nothing": lambda _: b"",
    "header only": lambda q: q[:2] + bytes.fromhex("8180 0001 0001 0000 0000"),
    "cut in the record": lambda q: answer(q, address=WRONG)[:-2],
    "bytes behind the end": lambda q: answer(q, address=WRONG) + b"x",
    "counts that lie": lambda q: q[:2] + bytes.fromhex("8180 0001 ffff ffff ffff") + q[12:],
    "pointer loop in the question": pointer_loop,
    "pointer loop in a record": loop_in_record,
    "address of three octets": lambda q: answer(q, address=WRONG)[:-6] + b"\0\3\1\2\3",
    "64 kilobytes": lambda q: answer(q, address=WRONG) + bytes(60_000),
    "a chain of pointers": pointer_chain,
    "a label of type 01": lambda q: (
        q[:2] + bytes.fromhex("8180 0001 0000 0000 0000 41 61 00 0001 0001")
    ),
    "a name of 300 octets": lambda q: (
        q[:2]
        + bytes.fromhex("8180 0001 0000 0000 0000")
        + (b"\x3b" + b"a" * 59) * 5
        + b"\0\0\1\0\1"
    ),
    "another class": lambda q: answer(q, address=WRONG).replace(b"\0\1\0\1", b"\0\1\0\3", 1),
    "the cookie of another": lambda q: with_options(q, (10, bytes(16))),
    "a cookie of three octets": lambda q: with_options(q, (10, bytes(3))),
    "an option that is cut": lambda q: (
        answer(q, address=WRONG)[:10]
        + b"\0\1"
        + answer(q, address=WRONG)[12:]
        + bytes.fromhex("00 0029 04d0 00000000 0004 000a 0008")
    ),
    "random bytes": lambda q: q[:2] + bytes(range(7, 250)),
}


@pytest.mark.parametrize("kind", JUNK)
def test_junk_is_ignored_while_the_answer_is_waited_for(
    udp_server: Callable[[Sender], object], kind: str
) -> None:
    def handler(query: bytes, client: Client, sock: socket.socket) -> None:
        for _ in range(3):
            sock.sendto(JUNK[kind](query), client)
        sock.sendto(answer(query), client)

    server = udp_server(handler)
    message = dns.query("name.test", "A", *server.address, retries=0)
    assert [record.data.address for record in message.answers] == [RIGHT]
    # One question went out: the junk did not make it ask again.
    assert len(server.queries) == 1


@pytest.mark.parametrize("kind", JUNK)
def test_many_at_once_and_await_ignore_it_too(
    udp_server: Callable[[Sender], object], kind: str
) -> None:
    def handler(query: bytes, client: Client, sock: socket.socket) -> None:
        for _ in range(3):
            sock.sendto(JUNK[kind](query), client)
        sock.sendto(answer(query), client)

    server = udp_server(handler)
    message = asyncio.run(aio.query("name.test", "A", *server.address, retries=0))
    assert [record.data.address for record in message.answers] == [RIGHT]
    names = [f"name{number}.test" for number in range(30)]
    found = dict(dns.resolve_many(names, "A", *server.address, timeout=20))
    # No cookie is sent there, so none can be wrong: what has its id, port and case is an answer.
    expected = WRONG if "cookie" in kind else RIGHT
    assert found == {name: [expected] for name in names}


def test_an_answer_from_another_port_is_ignored(udp_server: Callable[[Sender], object]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))

        def handler(query: bytes, client: Client, sock: socket.socket) -> None:
            other.sendto(answer(query, address=WRONG), client)
            sock.sendto(answer(query), client)

        server = udp_server(handler)
        message = dns.query("name.test", "A", *server.address, retries=0)
        assert message.answers[0].data.address == RIGHT


def test_a_flood_of_junk_does_not_move_the_deadline(udp_server: Callable[[Sender], object]) -> None:
    stop = threading.Event()

    def handler(query: bytes, client: Client, sock: socket.socket) -> None:
        while not stop.is_set():
            try:
                sock.sendto(bad_id(query), client)
            except ConnectionRefusedError:
                continue

    server = udp_server(handler)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="ignored: wrong id"):
        dns.query("name.test", "A", *server.address, timeout=0.3, retries=0)
    assert time.monotonic() - start < 2
    stop.set()


def test_silence_is_a_timeout_after_all_tries(udp_server: Callable[[Sender], object]) -> None:
    server = udp_server(lambda *_: None)
    with pytest.raises(dns.DnsTimeoutError, match="3 tries") as caught:
        dns.query("name.test", "A", *server.address, timeout=0.05, retries=2)
    assert isinstance(caught.value, TimeoutError)
    ids = {dns.parse(query).id for query, _ in server.queries}
    ports = {client[1] for _, client in server.queries}
    assert (len(server.queries), len(ids), len(ports)) == (3, 3, 3)
    with pytest.raises(TimeoutError):
        dns.resolve("name.test", "A", *server.address, timeout=0.05, retries=0)
    assert (
        dns.dns_query("name.test", "127.0.0.1", port=server.address[1], timeout=0.05, retries=0)
        is None
    )


def test_the_time_of_all_tries_has_an_end(udp_server: Callable[[Sender], object]) -> None:
    """Of one question, and of a chain of them that each would have its own time."""
    server = udp_server(lambda *_: None)
    start = time.monotonic()
    with pytest.raises(dns.DnsTimeoutError):
        dns.query("name.test", "A", *server.address, timeout=30, retries=20, lifetime=0.3)
    with pytest.raises(dns.DnsTimeoutError):
        dns.resolve("name.test", "A", *server.address, timeout=30, lifetime=0.3)
    assert time.monotonic() - start < 15
    with pytest.raises(ValueError, match="timeout"):
        dns.resolve("name.test", "A", *server.address, lifetime=0)


def test_the_answer_to_an_earlier_try_counts(udp_server: Callable[[Sender], object]) -> None:
    held: list[tuple[bytes, Client]] = []

    def handler(query: bytes, client: Client, sock: socket.socket) -> None:
        held.append((query, client))
        if len(held) == 2:
            sock.sendto(answer(held[0][0]), held[0][1])

    server = udp_server(handler)
    message = dns.query("name.test", "A", *server.address, timeout=0.2, retries=1)
    assert message.answers[0].data.address == RIGHT


def test_a_server_without_edns_is_asked_without(udp_server: Callable[[Sender], object]) -> None:
    def handler(query: bytes, client: Client, sock: socket.socket) -> None:
        if dns.parse(query).edns is not None:
            sock.sendto(query[:2] + bytes.fromhex("8181 0000 0000 0000 0000"), client)
        else:
            sock.sendto(answer(query), client)

    server = udp_server(handler)
    assert dns.resolve("name.test", "A", *server.address, retries=0) == [RIGHT]
    assert len(server.queries) == 2


def test_tc_without_tcp_is_told(udp_server: Callable[[Sender], object]) -> None:
    server = udp_server(lambda q, c, s: s.sendto(answer(q, flags=0x8380), c))
    with pytest.raises(ConnectionRefusedError):
        dns.query("name.test", "A", *server.address, retries=0)


def test_the_wrong_case_is_checked_over_tcp(udp_server: Callable[[Sender], object]) -> None:
    """Case is 0x20's proof; an answer without it is not believed, and TCP is asked."""
    # The port has to be free for TCP, too, and others use ports meanwhile.
    tcp = None
    while tcp is None:
        server = udp_server(lambda q, c, s: s.sendto(bad_case(q), c))
        with contextlib.suppress(OSError):
            tcp = socket.create_server(server.address)

    def serve() -> None:
        conn, _ = tcp.accept()
        with conn:
            query = conn.recv(65535)[2:]
            reply = answer(query)
            framed = len(reply).to_bytes(2, "big") + reply
            # One octet at a time: a stream has no messages.
            for octet in framed:
                conn.send(bytes([octet]))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        name = "name-with-many-letters.test"
        assert dns.resolve(name, "A", *server.address, retries=0) == [RIGHT]
    finally:
        thread.join()
        tcp.close()


@pytest.mark.parametrize(("rcode", "kind"), [(2, dns.ServFailError), (5, dns.RefusedError)])
def test_refusals_are_told_apart(
    udp_server: Callable[[Sender], object], rcode: int, kind: type[dns.ResolveError]
) -> None:
    server = udp_server(lambda q, c, s: s.sendto(answer(q, rcode=rcode), c))
    with pytest.raises(kind):
        dns.resolve("name.test", "A", *server.address)


def test_extended_errors_are_in_the_text(udp_server: Callable[[Sender], object]) -> None:
    """RFC 8914: why, in numbers and words; options of the query arrive."""

    def handler(query: bytes, client: Client, sock: socket.socket) -> None:
        asked = dns.parse(query)
        assert asked.edns is not None
        opt = dns.OPT(options=((15, b"\0\x0f" + b"on a list"), *asked.edns.options))
        reply = dns.Message(
            asked.id, 0x8180, 2, asked.questions, [], [], [dns.Record(".", "OPT", 0, opt)]
        )
        sock.sendto(reply.to_wire(), client)

    server = udp_server(handler)
    with pytest.raises(dns.ServFailError, match=r"SERVFAIL; Blocked \(on a list\)"):
        dns.resolve("name.test", "A", *server.address)
    message = dns.query("name.test", "A", *server.address, options=[(3, b""), (65001, b"x")])
    assert message.edns is not None
    assert message.edns.options[1:3] == ((3, b""), (65001, b"x"))


def test_cookies_are_sent_back(udp_server: Callable[[Sender], object]) -> None:
    """RFC 7873: a forged answer without our cookie is nothing; the server's comes back to it."""
    seen: list[bytes] = []

    def handler(query: bytes, client: Client, sock: socket.socket) -> None:
        asked = dns.parse(query)
        assert asked.edns is not None
        cookie = dict(asked.edns.options)[10]
        seen.append(cookie)
        for sent, rcode in ((bytes(16), 3), (cookie[:8] + b"serverco", 0)):
            opt = dns.Record(".", "OPT", 0, dns.OPT(options=((10, sent),)))
            reply = dns.Message(asked.id, 0x8180, rcode, asked.questions, [], [], [opt])
            sock.sendto(reply.to_wire(), client)

    server = udp_server(handler)
    for _ in range(2):
        assert dns.query("name.test", "A", *server.address).rcode == dns.Rcode.NOERROR
    assert seen[1] == seen[0][:8] + b"serverco"
    assert "; COOKIE: " in str(dns.query("name.test", "A", *server.address))


def test_a_chain_that_leaves_the_answer_is_asked_on(udp_server: Callable[[Sender], object]) -> None:
    def handler(query: bytes, client: Client, sock: socket.socket) -> None:
        asked = dns.parse(query)
        question = asked.questions[0]
        number = int(question.name[1])
        data = dns.A(RIGHT) if number == 3 else dns.CNAME(f"n{number + 1}.test")
        record = dns.Record(question.name, type(data).__name__, 60, data)
        message = dns.Message(asked.id, 0x8180, 0, [question], [record])
        sock.sendto(message.to_wire(), client)

    server = udp_server(handler)
    assert dns.resolve("n0.test", "A", *server.address) == [RIGHT]
    assert len(server.queries) == 4


def test_a_circle_over_several_answers_ends(udp_server: Callable[[Sender], object]) -> None:
    def handler(query: bytes, client: Client, sock: socket.socket) -> None:
        asked = dns.parse(query)
        name = asked.questions[0].name
        target = "b.test" if name.lower().startswith("a") else "a.test"
        record = dns.Record(name, "CNAME", 60, dns.CNAME(target))
        message = dns.Message(asked.id, 0x8180, 0, asked.questions, [record])
        sock.sendto(message.to_wire(), client)

    server = udp_server(handler)
    with pytest.raises(dns.ResolveError, match="circle"):
        dns.resolve("a.test", "A", *server.address)


def test_ids_and_ports_are_not_to_be_guessed(udp_server: Callable[[Sender], object]) -> None:
    server = udp_server(lambda q, c, s: s.sendto(answer(q), c))
    for _ in range(200):
        dns.query("name.test", "A", *server.address)
    ids = [dns.parse(query).id for query, _ in server.queries]
    # 200 draws of 65,536: fewer than 190 different ones has a probability below 1e-15.
    assert len(set(ids)) >= 190
    assert len({client[1] for _, client in server.queries}) >= 180
    steps = {(b - a) % 65536 for a, b in itertools.pairwise(ids)}
    assert len(steps) >= 180


def test_ctrl_c_interrupts_the_wait(udp_server: Callable[[Sender], object]) -> None:
    asked = threading.Event()
    server = udp_server(lambda *_: asked.set())
    host, port = server.address
    code = f"from udpcore import dns; dns.query('a', 'A', {host!r}, {port}, timeout=60)"
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert asked.wait(30)
    start = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, words = process.communicate(timeout=20)
    assert time.monotonic() - start < 2
    assert "KeyboardInterrupt" in words
