"""Connections that are kept: pipelined, used again, encrypted, and only with a good certificate."""

from __future__ import annotations

import errno
import importlib.util
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from udpcore import dns

Address = tuple[str, int]


HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / "tools"


def _load(name: str, home: Path = HERE) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, home / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tls = _load("_tls")
Authority = tuple[Path, ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made: Authority = tls.make_authority(tmp_path_factory.mktemp("authority"))
    return made


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """Start a server around what it does with a connection."""
    servers: list[Any] = []

    def start(work: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Any:
        servers.append(tls.StreamServer(work, context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def reply(query: bytes) -> bytes:
    asked = dns.parse(query)
    record = dns.Record(asked.questions[0].name, "A", 60, dns.A("192.0.2.7"))
    return dns.Message(asked.id, 0x8180, 0, asked.questions, [record]).to_wire()


def addresses(message: dns.Message | Exception) -> list[str]:
    assert isinstance(message, dns.Message), message
    return [record.data.address for record in message.answers]


def test_questions_of_one_connection_do_not_wait_for_answers(nsd: Address) -> None:
    questions = [(f"x{i}.wild.example.test", "TXT") for i in range(1000)]
    with dns.Connection(*nsd) as connection:
        for _ in range(3):
            messages = connection.query_many(questions)
            assert [m.questions[0].name for m in messages] == [f"{n}." for n, _ in questions]
        assert connection.query("www.example.test").rcode == dns.Rcode.NOERROR
        assert connection.stats()["answered"] == 3001
        # NSD closes a connection after so many queries; we go on over the next.
        assert connection.stats()["opened"] < 40


def test_answers_may_come_in_any_order(serve: Callable[..., Any]) -> None:
    held: list[bytes] = []

    def work(conn: socket.socket) -> None:
        for _ in range(20):
            head = tls.read_exactly(conn, 2)
            held.append(reply(tls.read_exactly(conn, int.from_bytes(head, "big"))))
        # Not one is answered before all were asked; the last comes first.
        for message in reversed(held):
            conn.sendall(len(message).to_bytes(2, "big") + message)
        conn.recv(1)

    server = serve(work)
    with dns.Connection(*server.address) as connection:
        messages = connection.query_many([(f"n{i}.test", "A") for i in range(20)])
        names = [message.questions[0].name for message in messages]
    assert names == [f"n{i}.test." for i in range(20)]
    assert server.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_opened_again(serve: Callable[..., Any]) -> None:
    """The server takes five queries of a connection, and resets it when more are there."""
    server = serve(tls.over_stream(reply, 5))
    with dns.Connection(*server.address) as connection:
        for _ in range(12):
            assert addresses(connection.query("a.test")) == ["192.0.2.7"]
        results = connection.query_many([(f"n{i}.test", "A") for i in range(30)])
        assert [addresses(result) for result in results] == [["192.0.2.7"]] * 30


def test_threads_take_turns(nsd: Address) -> None:
    with dns.Connection(*nsd) as connection, ThreadPoolExecutor(4) as pool:
        names = ["web.example.test"] * 200
        messages = list(pool.map(connection.query, names))
    assert all(message.answers for message in messages)


@pytest.mark.parametrize("transport", ["tls", "https"])
@pytest.mark.parametrize("name", ["dns.test", None])
def test_encrypted(
    serve: Callable[..., Any], authority: Authority, transport: str, name: str | None
) -> None:
    """The certificate is for the name and for the address; queries have one length."""
    cafile, good, _ = authority
    lengths: set[int] = set()

    def answer(query: bytes) -> bytes:
        lengths.add(len(query))
        assert transport == "tls" or query[:2] == b"\0\0"
        return reply(query)

    work = tls.over_stream(answer) if transport == "tls" else tls.over_http(answer)
    server = serve(work, good)
    options: Any = {"server_name": name, "cafile": cafile}
    with dns.Connection(*server.address, transport, **options) as connection:
        for _ in range(3):
            messages = connection.query_many([(f"n{i}.test", "A") for i in range(10)])
            assert [addresses(message) for message in messages] == [["192.0.2.7"]] * 10
    assert (server.connections, lengths) == (1, {128})
    for host in (server.address[0], ["127.0.0.1"]):
        port = server.address[1]
        found = dns.resolve("a.test", "A", host, port, transport=transport, **options)
        assert found == ["192.0.2.7"]


def test_unbound_over_tls(authority: Authority) -> None:
    """A real resolver: a thousand questions over one connection, in whatever order it answers."""
    cafile, home = authority[0], authority[0].parent
    if str(TOOLS) not in sys.path:
        sys.path.insert(0, str(TOOLS))
    servers = _load("name_servers", TOOLS)
    port = _load("nsd", TOOLS).free_port()
    extra = (
        f"    interface: 127.0.0.1@{port}\n    tls-port: {port}\n"
        f'    tls-service-key: "{home}/good.key"\n    tls-service-pem: "{home}/good.pem"\n'
    )
    zone = (HERE / "zone.txt").read_text(encoding="utf-8")
    with (
        servers.start("unbound", zone, extra=extra),
        dns.Connection("127.0.0.1", port, "tls", cafile=cafile, timeout=30) as connection,
    ):
        questions = [(f"x{i}.wild.example.test", "TXT") for i in range(1000)]
        messages = connection.query_many(questions)
        assert [len(message.answers) for message in messages] == [1] * 1000
        assert connection.stats()["answered"] == 1000


def test_chunked_https(serve: Callable[..., Any], authority: Authority) -> None:
    cafile, good, _ = authority
    server = serve(tls.over_http(reply, chunked=True), good)
    with dns.Connection(*server.address, "https", cafile=cafile) as connection:
        assert addresses(connection.query("a.test")) == ["192.0.2.7"]
        assert addresses(connection.query("b.test")) == ["192.0.2.7"]


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("unknown authority", "UnknownIssuer|BadSignature"),
        ("another name", "not valid for name"),
        ("expired", "expired"),
        ("no TLS", "corrupt message|InvalidContentType|InvalidMessage"),
    ],
)
def test_a_certificate_that_is_not_good_is_an_error(
    serve: Callable[..., Any], authority: Authority, case: str, text: str, tmp_path: Path
) -> None:
    cafile, good, old = authority

    def greet(conn: socket.socket) -> None:
        conn.recv(4096)
        conn.sendall(b"220 mail.test ESMTP\r\n")
        conn.recv(1)

    if case == "no TLS":
        server = serve(greet)
    else:
        server = serve(tls.over_stream(reply), old if case == "expired" else good)
    if case == "unknown authority":
        cafile = tls.make_authority(tmp_path)[0]
    name = "other.test" if case == "another name" else "dns.test"
    with (
        dns.Connection(*server.address, "tls", server_name=name, cafile=cafile) as connection,
        pytest.raises(OSError, match=text) as caught,
    ):
        connection.query("a.test")
    assert caught.value.errno == errno.EPROTO


def test_http_without_success_is_an_error(serve: Callable[..., Any], authority: Authority) -> None:
    cafile, good, _ = authority
    server = serve(tls.over_http(lambda _: None), good)
    with (
        dns.Connection(*server.address, "https", cafile=cafile) as connection,
        pytest.raises(OSError, match="HTTP status 503"),
    ):
        connection.query("a.test")


def test_a_server_of_http_2_only_is_told(serve: Callable[..., Any], authority: Authority) -> None:
    """It begins with its SETTINGS; or refuses the handshake, as openssl's server does."""
    cafile, good, _ = authority

    def settings(conn: socket.socket) -> None:
        conn.sendall(b"\0\0\0\4\0\0\0\0\0")
        conn.recv(9999)

    server = serve(settings, good)
    words = ["openssl", "s_server", "-alpn", "h2", "-accept", "127.0.0.1:0", "-naccept", "1"]
    words += ["-key", str(cafile.with_name("good.key")), "-cert", str(cafile.with_name("good.pem"))]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(words, **pipes) as strict:
        try:
            assert strict.stdout
            while not (line := strict.stdout.readline()).startswith(b"ACCEPT"):
                assert line
            port = int(line.rpartition(b":")[2])
            for address in (server.address, ("127.0.0.1", port)):
                with (
                    dns.Connection(*address, "https", cafile=cafile) as connection,
                    pytest.raises(OSError, match=r"HTTP/2 only.*TLS") as caught,
                ):
                    connection.query("a.test")
                assert caught.value.errno == errno.EPROTO
        finally:
            strict.kill()


def test_an_answer_to_another_question_ends_the_connection(serve: Callable[..., Any]) -> None:
    def other(query: bytes) -> bytes:
        return reply(dns.build_query("other.test", id=int.from_bytes(query[:2], "big")))

    server = serve(tls.over_stream(other))
    with (
        dns.Connection(*server.address) as connection,
        pytest.raises(OSError, match="question that was not asked"),
    ):
        connection.query("a.test")


def test_silence_and_a_closed_door(serve: Callable[..., Any]) -> None:
    server = serve(lambda conn: conn.recv(9999) and conn.recv(1))
    with dns.Connection(*server.address, timeout=0.2) as connection:
        with pytest.raises(dns.DnsTimeoutError, match="no answer in time"):
            connection.query("a.test")
        results = connection.query_many([("a.test", "A"), ("b.test", "A")])
        assert [type(result) for result in results] == [dns.DnsTimeoutError] * 2
    shut = serve(lambda conn: conn.recv(2))
    with (
        dns.Connection(*shut.address) as connection,
        pytest.raises(ConnectionResetError),
    ):
        connection.query("a.test")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        dns.Connection("127.0.0.1", port).query("a.test")


def test_a_child_process_opens_its_own(nsd: Address) -> None:
    connection = dns.Connection(*nsd)
    connection.query("www.example.test")
    child = os.fork()
    if child == 0:
        ok = connection.query("www.example.test").answers and connection.stats()["opened"] == 2
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    connection.query("www.example.test")
    assert connection.stats()["opened"] == 1
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"transport": "quic"}, "transport 'quic'"),
        ({"transport": "tls", "cafile": "/dev/null"}, "no certificates in /dev/null"),
        ({"transport": "tls", "server_name": "not a name"}, "no host name|path"),
        ({"transport": "https", "path": "dns query"}, "path"),
        ({"port": 0}, "port 0"),
    ],
)
def test_what_cannot_be_is_told_at_once(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        dns.Connection("127.0.0.1", **arguments)
