"""The object around the descriptor: warnings, reprs, options, families, names, audit events."""

from __future__ import annotations

import gc
import os
import struct
import sys
import threading
import warnings
from typing import Any

import pytest

import udpcore


def test_an_unclosed_socket_is_told_and_closed(sock: Any) -> None:
    one = sock.socket()
    number, text = one.fileno(), repr(one)
    with pytest.warns(ResourceWarning) as caught:  # noqa: PT031
        del one
        gc.collect()
    assert str(caught[0].message) == f"unclosed {text}"
    assert caught[0].source is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_closed_and_detached_sockets_go_quietly(sock: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = sock.socket()
        one.close()
        other = sock.socket()
        os.close(other.detach())
        del one, other
        gc.collect()


def test_an_object_that_was_never_initialised(sock: Any) -> None:
    one = sock.socket.__new__(sock.socket)
    assert one.fileno() == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        one.recv(1)


def test_repr_and_str(sock: Any, udp: Any) -> None:
    a, _ = udp
    text = repr(a)
    assert text.startswith(f"<{sock.__name__}.socket fd={a.fileno()}, family=2, type=2, proto=0, ")
    assert text.endswith(f"laddr={a.getsockname()}>")
    a.close()
    assert repr(a) == f"<{sock.__name__}.socket [closed] fd=-1, family=2, type=2, proto=0>"


def test_subclasses(sock: Any) -> None:
    class Mine(sock.socket):  # type: ignore[misc, name-defined]
        """Has a `__dict__`, as every Python class without slots."""

    with Mine(sock.AF_INET, sock.SOCK_DGRAM) as one:
        one.label = "mine"
        twin = one.dup()
        assert type(twin) is Mine
        twin.close()


def test_options_of_all_shapes(sock: Any, make: Any) -> None:
    one = make(sock.AF_INET, sock.SOCK_STREAM)
    one.setsockopt(sock.SOL_SOCKET, sock.SO_REUSEADDR, True)
    assert one.getsockopt(sock.SOL_SOCKET, sock.SO_REUSEADDR) == 1
    linger = struct.pack("ii", 1, 7)
    for form in (linger, bytearray(linger), memoryview(linger), linger + b"more"):
        one.setsockopt(sock.SOL_SOCKET, sock.SO_LINGER, form)
        assert one.getsockopt(sock.SOL_SOCKET, sock.SO_LINGER, 8) == linger
    assert one.getsockopt(sock.SOL_SOCKET, sock.SO_LINGER, 4) == linger[:4]
    one.setsockopt(sock.SOL_SOCKET, sock.SO_RCVBUF, 30_000)
    assert one.getsockopt(sock.SOL_SOCKET, sock.SO_RCVBUF) == 60_000
    one.setsockopt(sock.IPPROTO_IP, sock.IP_TOS, 0x10)
    assert one.getsockopt(sock.IPPROTO_IP, sock.IP_TOS) == 0x10
    one.setsockopt(sock.IPPROTO_TCP, sock.TCP_NODELAY, 1)
    assert one.getsockopt(sock.IPPROTO_TCP, sock.TCP_NODELAY) == 1
    assert len(one.getsockopt(sock.IPPROTO_TCP, sock.TCP_INFO, 1024)) > 90


@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"])
@pytest.mark.parametrize("form", ["str", "bytes", "abstract", "path"])
def test_unix(sock: Any, make: Any, tmp_path: Any, kind: str, form: str) -> None:
    path: Any = str(tmp_path / "s")
    if form == "bytes":
        path = os.fsencode(path)
    elif form == "abstract":
        path = b"\0udpcore-" + os.urandom(8)
    elif form == "path":
        path = tmp_path / "é\udcff"
        with pytest.raises(TypeError):
            make(sock.AF_UNIX, sock.SOCK_STREAM).bind(path)
        path = str(path)
    server = make(sock.AF_UNIX, getattr(sock, kind), bind=path)
    assert server.getsockname() == (os.fsdecode(path) if form == "bytes" else path)
    client = make(sock.AF_UNIX, getattr(sock, kind))
    if kind != "SOCK_DGRAM":
        server.listen()
    client.connect(path)
    client.send(b"hello")
    if kind == "SOCK_DGRAM":
        assert server.recvfrom(10) == (b"hello", None)
        return
    connection, address = server.accept()
    with connection:
        assert address == ""
        assert connection.recv(10) == b"hello"


def test_automatic_abstract_name(sock: Any, make: Any) -> None:
    one = make(sock.AF_UNIX, sock.SOCK_DGRAM, bind="")
    name = one.getsockname()
    assert isinstance(name, bytes)
    assert name[:1] == b"\0"
    assert len(name) == 6


def test_netlink(sock: Any, make: Any) -> None:
    one = make(sock.AF_NETLINK, sock.SOCK_RAW, bind=(0, 0))
    assert one.getsockname()[1] == 0
    # RTM_GETLINK for all interfaces; the answer comes from the kernel, port 0.
    request = struct.pack("=IHHII", 17, 18, 0x301, 1, 0) + b"\0"
    one.sendto(request, (0, 0))
    data, sender = one.recvfrom(65536)
    assert sender == (0, 0)
    assert len(data) > 16


def test_packet_addresses_pass_through(sock: Any, make: Any) -> None:
    try:
        raw = make(sock.AF_PACKET, sock.SOCK_DGRAM)
    except PermissionError:
        # Without the right to open one, both modules must say so; nothing more can be seen.
        return
    raw.bind(("lo", 0x0800))
    name, protocol, kind, hardware, address = raw.getsockname()
    assert (name, protocol, kind, hardware, address) == ("lo", 0x0800, 0, 772, bytes(6))
    a = make(sock.AF_INET, sock.SOCK_DGRAM, bind=("127.0.0.1", 0))
    a.sendto(b"seen from below", a.getsockname())
    seen, sender = raw.recvfrom(2048)
    while b"seen from below" not in seen:
        seen, sender = raw.recvfrom(2048)
    assert sender[0] == "lo"
    with pytest.raises(OSError, match="No such device"):
        raw.bind(("no-such-if", 0))
    with pytest.raises(ValueError, match="Hardware address must be 8 bytes or less"):
        raw.bind(("lo", 0, 0, 0, bytes(9)))


def test_names(sock: Any) -> None:
    assert sock.gethostbyname("127.0.0.1") == "127.0.0.1"
    assert sock.gethostbyname("") == "0.0.0.0"
    assert sock.gethostbyname("<broadcast>") == "255.255.255.255"
    assert sock.gethostbyname("localhost") == "127.0.0.1"
    numeric = sock.NI_NUMERICHOST | sock.NI_NUMERICSERV
    assert sock.getnameinfo(("127.0.0.1", 80), numeric) == ("127.0.0.1", "80")
    assert sock.getnameinfo(("::1", 80, 0, 0), numeric) == ("::1", "80")
    [answer] = sock.getaddrinfo("127.0.0.1", 80, type=sock.SOCK_STREAM)
    assert answer == (sock.AF_INET, sock.SOCK_STREAM, 6, "", ("127.0.0.1", 80))
    assert isinstance(answer[0], sock.AddressFamily)
    assert isinstance(answer[1], sock.SocketKind)
    [answer] = sock.getaddrinfo(host="::1", port="80", proto=17, flags=sock.AI_NUMERICHOST)
    assert answer[4] == ("::1", 80, 0, 0)
    with pytest.raises(sock.gaierror) as caught:
        sock.getaddrinfo("no.such.name.invalid", 80, flags=sock.AI_NUMERICHOST)
    assert caught.value.errno == sock.EAI_NONAME
    assert sock.getfqdn("127.0.0.1") != ""


@pytest.mark.parametrize(
    "host",
    ["::", "::1", "fe80::1", "::ffff:1.2.3.4", "::1.2.3.4", "1:2:3:4:5:6:7:8", "1::8", "::0.1.0.0"],
)
def test_ipv6_texts(sock: Any, host: str) -> None:
    answer = sock.getaddrinfo(host, 0, type=sock.SOCK_DGRAM, flags=sock.AI_NUMERICHOST)
    expected = sock.inet_ntop(sock.AF_INET6, sock.inet_pton(sock.AF_INET6, host))
    assert answer[0][4][0] == expected


AUDITED = """
import socket, sys
events = []
sys.addaudithook(lambda event, args: event.startswith("socket.") and events.append((event, args)))
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("127.0.0.1", 0))
address = one.getsockname()
one.sendto(b"x", address)
one.sendmsg([b"x"], [], 0, address)
one.connect(address)
one.sendmsg([b"x"])
socket.getaddrinfo("127.0.0.1", 1)
socket.getnameinfo(("127.0.0.1", 1), 0)
socket.gethostbyname("127.0.0.1")
one.close()
port = address[1]
for event, args in events:
    args = ["self" if arg is one else arg for arg in args]
    print(event, str(args).replace(str(port), "PORT"))
"""


def test_audit_events(script: Any) -> None:
    expected = [
        "socket.__new__ ['self', 2, 2, 0]",
        "socket.bind ['self', ('127.0.0.1', 0)]",
        "socket.sendto ['self', ('127.0.0.1', PORT)]",
        "socket.sendmsg ['self', ('127.0.0.1', PORT)]",
        "socket.connect ['self', ('127.0.0.1', PORT)]",
        "socket.sendmsg ['self', None]",
        "socket.getaddrinfo ['127.0.0.1', 1, 0, 0, 0]",
        "socket.getnameinfo [('127.0.0.1', 1)]",
        "socket.gethostbyname ['127.0.0.1']",
    ]
    seen = script(AUDITED).splitlines()
    # The standard class hands the kernel's view (-1 for what was left out) of its arguments.
    assert [line for line in seen if "__new__" not in line] == expected[1:]
    assert seen[0].startswith("socket.__new__ ['self', ")


def test_no_operation_meets_a_stranger(sock: Any) -> None:
    """Threads use a socket that others close: never is another descriptor hit."""
    if sock.__name__ == "socket":
        return  # the standard class gives no such promise
    left, right = os.pipe()
    os.set_blocking(left, False)
    deadline = threading.Event()
    strangers: list[int] = []

    def work(shared: list[Any]) -> None:
        while not deadline.is_set():
            one = shared[0]
            try:
                one.settimeout(0.0001)
                one.recvfrom(10)
            except (OSError, ValueError):
                continue

    def replace(shared: list[Any]) -> None:
        for _ in range(2000):
            shared[0].close()
            # Takes the number that just became free, if it did.
            twin = os.dup(right)
            shared[0] = udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM)
            if not os.path.exists(f"/proc/self/fd/{twin}"):
                strangers.append(twin)
            os.close(twin)
        deadline.set()

    shared: list[Any] = [udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM)]
    threads = [threading.Thread(target=work, args=(shared,)) for _ in range(4)]
    threads.append(threading.Thread(target=replace, args=(shared,)))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    shared[0].close()
    os.close(left)
    os.close(right)
    assert strangers == []


def test_close_wakes_nobody_but_frees_the_number_later(make: Any) -> None:
    one = udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    one.settimeout(0.2)
    number = one.fileno()
    outcome: list[BaseException] = []
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        try:
            one.recvfrom(10)
        except OSError as error:
            outcome.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    begun.wait()
    one.close()
    waiter.join()
    assert isinstance(outcome[0], OSError)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
