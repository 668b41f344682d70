"""Streams: connecting, accepting, sending everything, files, closing."""

from __future__ import annotations

import errno
import io
import os
import threading
from typing import Any

import pytest


def receive_all(peer: Any) -> bytes:
    parts = []
    while part := peer.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_both_directions(tcp: tuple[Any, Any]) -> None:
    client, peer = tcp
    assert client.send(b"ping") == 4
    assert peer.recv(100) == b"ping"
    assert peer.sendall(b"pong") is None
    assert client.recvfrom(100) == (b"pong", None)
    assert client.getpeername() == peer.getsockname()


@pytest.mark.parametrize("timeout", [None, 20.0])
@pytest.mark.parametrize("size", [1, 4096, 16385, 3_000_000])
def test_sendall_sends_all(tcp: tuple[Any, Any], size: int, timeout: float | None) -> None:
    client, peer = tcp
    client.settimeout(timeout)
    data = os.urandom(size)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(receive_all(peer)))
    reader.start()
    client.sendall(data)
    client.shutdown(1)
    reader.join()
    assert received == [data]


def test_a_blocking_send_takes_everything(sock: Any, tcp: tuple[Any, Any]) -> None:
    client, peer = tcp
    client.settimeout(None)
    client.setsockopt(sock.SOL_SOCKET, sock.SO_SNDBUF, 4096)
    data = os.urandom(300_000)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(receive_all(peer)))
    reader.start()
    for begin in range(0, len(data), 12_000):
        part = data[begin : begin + 12_000]
        assert client.send(part) == len(part)
    client.shutdown(sock.SHUT_WR)
    reader.join()
    assert received == [data]


def test_waitall(sock: Any, tcp: tuple[Any, Any]) -> None:
    client, peer = tcp
    client.settimeout(None)
    peer.sendall(b"ab")
    helper = threading.Timer(0.05, peer.sendall, [b"cd"])
    helper.start()
    assert client.recv(4, sock.MSG_WAITALL) == b"abcd"
    helper.join()


def test_end_of_stream_and_reset(sock: Any, tcp: tuple[Any, Any]) -> None:
    client, peer = tcp
    peer.shutdown(sock.SHUT_WR)
    assert client.recv(10) == b""
    client.close()
    # The answer to the first bytes is a reset; sendall sends until it has come.
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        peer.sendall(bytes(50_000_000))


def test_nobody_listens(make: Any) -> None:
    dead = make(bind=("127.0.0.1", 0))
    address = dead.getsockname()
    dead.close()
    with pytest.raises(ConnectionRefusedError) as caught:
        make().connect(address)
    assert caught.value.errno == errno.ECONNREFUSED
    assert make().connect_ex(address) == errno.ECONNREFUSED
    assert make(timeout=None).connect_ex(address) == errno.ECONNREFUSED


def test_non_blocking_connect(sock: Any, make: Any) -> None:
    server = make(bind=("127.0.0.1", 0))
    server.listen()
    client = make(timeout=0.0)
    assert client.connect_ex(server.getsockname()) in (0, errno.EINPROGRESS)
    connection, address = server.accept()
    with connection:
        assert address == client.getsockname()
        assert connection.gettimeout() == sock.getdefaulttimeout()
        assert connection.family == sock.AF_INET
        assert connection.get_inheritable() is False


def test_create_connection_and_server(sock: Any) -> None:
    with sock.create_server(("localhost", 0), backlog=1) as server:
        server.settimeout(10)
        address = server.getsockname()
        with sock.create_connection(("localhost", address[1]), timeout=5) as client:
            assert client.gettimeout() == 5
            connection, _ = server.accept()
            connection.close()
    with pytest.raises(ConnectionRefusedError):
        sock.create_connection(address)
    with pytest.raises(ExceptionGroup, match="create_connection failed"):
        sock.create_connection(address, all_errors=True)
    with pytest.raises(OSError, match="while attempting to bind on address") as caught:
        sock.create_server(("203.0.113.1", 0))
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_dual_stack(sock: Any) -> None:
    assert sock.has_dualstack_ipv6() is True
    family = sock.AF_INET6
    with sock.create_server(("", 0), family=family, dualstack_ipv6=True) as server:
        server.settimeout(10)
        with sock.create_connection(("127.0.0.1", server.getsockname()[1])):
            connection, address = server.accept()
            connection.close()
            assert address[0] == "::ffff:127.0.0.1"


@pytest.mark.parametrize(("mode", "text"), [("rw", "line\n"), ("rwb", b"line\n")])
def test_files(tcp: tuple[Any, Any], mode: str, text: Any) -> None:
    client, peer = tcp
    with client.makefile(mode) as left, peer.makefile(mode) as right:
        left.write(text * 2)
        left.flush()
        assert [right.readline(), right.readline()] == [text, text]
    assert client.fileno() != -1


def test_the_descriptor_lives_as_long_as_the_file(tcp: tuple[Any, Any]) -> None:
    client, peer = tcp
    reader = client.makefile("rb")
    client.close()
    assert "[closed]" in repr(client)
    peer.sendall(b"still here")
    assert reader.read(10) == b"still here"
    reader.close()
    assert client.fileno() == -1


@pytest.mark.parametrize("wrapped", [False, True], ids=["kernel", "reading"])
@pytest.mark.parametrize(("offset", "count"), [(0, None), (1000, None), (10, 50_000)])
def test_sendfile(tcp: Any, tmp_path: Any, wrapped: bool, offset: int, count: Any) -> None:
    client, peer = tcp
    data = os.urandom(100_000)
    path = tmp_path / "data"
    path.write_bytes(data)
    expected = data[offset:] if count is None else data[offset : offset + count]
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(receive_all(peer)))
    reader.start()
    with path.open("rb") as file:
        source: Any = io.BytesIO(data) if wrapped else file
        assert client.sendfile(source, offset, count) == len(expected)
        assert source.tell() == offset + len(expected)
    client.shutdown(1)
    reader.join()
    assert received == [expected]


def test_a_reset_peer_does_not_spoil_close(sock: Any, tcp: tuple[Any, Any]) -> None:
    client, peer = tcp
    linger = b"\x01\0\0\0\0\0\0\0"
    peer.setsockopt(sock.SOL_SOCKET, sock.SO_LINGER, linger)
    peer.close()
    client.close()


def test_socketpair_and_descriptors(sock: Any) -> None:
    a, b = sock.socketpair()
    with a, b:
        assert (a.family, a.type) == (sock.AF_UNIX, sock.SOCK_STREAM)
        read_end, write_end = os.pipe()
        assert sock.send_fds(a, [b"take"], [write_end]) == 4
        os.close(write_end)
        data, descriptors, _, _ = sock.recv_fds(b, 10, 4)
        assert data == b"take"
        os.write(descriptors[0], b"hello")
        os.close(descriptors[0])
        assert os.read(read_end, 10) == b"hello"
        os.close(read_end)


def test_dup_fromfd_detach(sock: Any, tcp: tuple[Any, Any]) -> None:
    client, peer = tcp
    client.settimeout(None)
    twin = client.dup()
    also = sock.fromfd(client.fileno(), client.family, client.type)
    again = sock.socket(fileno=sock.dup(client.fileno()))
    for one in (twin, also, again):
        assert (one.family, one.type, one.gettimeout()) == (client.family, client.type, None)
        one.sendall(b"x")
        assert peer.recv(1) == b"x"
        number = one.detach()
        assert one.fileno() == -1
        sock.close(number)
        with pytest.raises(OSError, match="Bad file descriptor"):
            sock.close(number)
