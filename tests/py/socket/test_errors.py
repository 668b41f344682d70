"""Misuse: the same exception with the same words from both modules."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

import udpcore

UDP4 = (socket.AF_INET, socket.SOCK_DGRAM)
UDP6 = (socket.AF_INET6, socket.SOCK_DGRAM)
UNIX = (socket.AF_UNIX, socket.SOCK_DGRAM)
NETLINK = (socket.AF_NETLINK, socket.SOCK_RAW)
BIG = 1 << 70


class NoIterable:
    """Has no `__iter__`, no `__index__`, no buffer."""


def released() -> memoryview:
    view = memoryview(bytearray(4))
    view.release()
    return view


def outcome(call: Callable[[], Any]) -> tuple[Any, ...]:
    """What a call gives or raises, in a form two modules can be compared by."""
    try:
        return ("returned", call())
    except Exception as error:
        return (type(error), str(error), getattr(error, "errno", None))


def same_on_both(kind: tuple[int, int], action: Callable[[Any], Any]) -> tuple[Any, ...]:
    seen = []
    for module in (socket, udpcore):
        with module.socket(*kind) as one:
            one.settimeout(0)
            seen.append(outcome(lambda one=one: action(one)))
    assert seen[1] == seen[0]
    return seen[0]


CALLS: dict[str, tuple[tuple[int, int], Callable[[Any], Any]]] = {
    # -- numbers of arguments
    "sendto 0": (UDP4, lambda s: s.sendto()),
    "sendto 1": (UDP4, lambda s: s.sendto(b"x")),
    "sendto 4": (UDP4, lambda s: s.sendto(b"x", 0, ("127.0.0.1", 9), 4)),
    "recv 0": (UDP4, lambda s: s.recv()),
    "recv 3": (UDP4, lambda s: s.recv(1, 2, 3)),
    "recvfrom 0": (UDP4, lambda s: s.recvfrom()),
    "recv_into 0": (UDP4, lambda s: s.recv_into()),
    "recv_into 4": (UDP4, lambda s: s.recv_into(bytearray(1), 1, 0, 9)),
    "recv_into keyword": (UDP4, lambda s: s.recv_into(bytearray(1), nosuch=1)),
    "recv_into twice": (UDP4, lambda s: s.recv_into(bytearray(1), buffer=1)),
    "recvmsg 0": (UDP4, lambda s: s.recvmsg()),
    "sendmsg 0": (UDP4, lambda s: s.sendmsg()),
    "send 0": (UDP4, lambda s: s.send()),
    "sendall 3": (UDP4, lambda s: s.sendall(b"", 0, 0)),
    "bind 0": (UDP4, lambda s: s.bind()),
    "bind 2": (UDP4, lambda s: s.bind("127.0.0.1", 0)),
    "connect 2": (UDP4, lambda s: s.connect("127.0.0.1", 0)),
    "listen 2": (UDP4, lambda s: s.listen(1, 2)),
    "shutdown 0": (UDP4, lambda s: s.shutdown()),
    "fileno 1": (UDP4, lambda s: s.fileno(1)),
    "getsockopt 1": (UDP4, lambda s: s.getsockopt(1)),
    "setsockopt 2": (UDP4, lambda s: s.setsockopt(1, 2)),
    "settimeout 0": (UDP4, lambda s: s.settimeout()),
    "sendmsg_afalg": (UDP4, lambda s: s.sendmsg_afalg(op=1)),
    "bind keyword": (UDP4, lambda s: s.listen(backlog=2)),
    # -- wrong types
    "sendto str": (UDP4, lambda s: s.sendto("x", ("127.0.0.1", 9))),
    "sendto str flags": (UDP4, lambda s: s.sendto("x", 0, ("127.0.0.1", 9))),
    "sendto complex": (UDP4, lambda s: s.sendto(5j, ("127.0.0.1", 9))),
    "sendto None flags": (UDP4, lambda s: s.sendto(b"x", None, ("127.0.0.1", 9))),
    "sendto str for flags": (UDP4, lambda s: s.sendto(b"x", "0", ("127.0.0.1", 9))),
    "send int": (UDP4, lambda s: s.send(5)),
    "send None": (UDP4, lambda s: s.send(None)),
    "sendall str": (UDP4, lambda s: s.sendall("text")),
    "recv str": (UDP4, lambda s: s.recv("10")),
    "recv float": (UDP4, lambda s: s.recv(1.5)),
    "recv None": (UDP4, lambda s: s.recv(None)),
    "recv flags": (UDP4, lambda s: s.recv(1, 1.5)),
    "recv_into bytes": (UDP4, lambda s: s.recv_into(b"const")),
    "recv_into str": (UDP4, lambda s: s.recv_into("text")),
    "recvfrom_into bytes": (UDP4, lambda s: s.recvfrom_into(b"const")),
    "recvfrom_into memoryview": (UDP4, lambda s: s.recvfrom_into(memoryview(b"const"))),
    "sendmsg int": (UDP4, lambda s: s.sendmsg(1)),
    "sendmsg object": (UDP4, lambda s: s.sendmsg(NoIterable())),
    "sendmsg items": (UDP4, lambda s: s.sendmsg([b"a", "b"])),
    "sendmsg ancillary": (UDP4, lambda s: s.sendmsg([b"a"], 5)),
    "sendmsg ancillary item": (UDP4, lambda s: s.sendmsg([b"a"], [5])),
    "sendmsg ancillary bytes": (UDP4, lambda s: s.sendmsg([b"a"], [b"abc"])),
    "sendmsg ancillary short": (UDP4, lambda s: s.sendmsg([b"a"], [(1, 2)])),
    "sendmsg ancillary text": (UDP4, lambda s: s.sendmsg([b"a"], [(1, 2, "x")])),
    "sendmsg ancillary level": (UDP4, lambda s: s.sendmsg([b"a"], [("a", 2, b"x")])),
    "recvmsg_into int": (UDP4, lambda s: s.recvmsg_into(5)),
    "recvmsg_into item": (UDP4, lambda s: s.recvmsg_into([b"const"])),
    "settimeout str": (UDP4, lambda s: s.settimeout("1")),
    "setblocking str": (UDP4, lambda s: s.setblocking("1")),
    "setblocking none": (UDP4, lambda s: s.setblocking(None)),
    "setblocking float": (UDP4, lambda s: s.setblocking(1.5)),
    "setblocking huge": (UDP4, lambda s: s.setblocking(BIG)),
    "settimeout list": (UDP4, lambda s: s.settimeout([])),
    "settimeout complex": (UDP4, lambda s: s.settimeout(1j)),
    "listen str": (UDP4, lambda s: s.listen("5")),
    "shutdown str": (UDP4, lambda s: s.shutdown("x")),
    "setsockopt str": (UDP4, lambda s: s.setsockopt(1, 2, "x")),
    "setsockopt None": (UDP4, lambda s: s.setsockopt(1, 2, None)),
    "setsockopt four": (UDP4, lambda s: s.setsockopt(1, 2, b"x", 1)),
    "setsockopt level": (UDP4, lambda s: s.setsockopt("a", 2, 1)),
    "getsockopt str": (UDP4, lambda s: s.getsockopt("a", 2)),
    # -- values out of range
    "recv negative": (UDP4, lambda s: s.recv(-1)),
    "recvfrom negative": (UDP4, lambda s: s.recvfrom(-1)),
    "recvmsg negative": (UDP4, lambda s: s.recvmsg(-1)),
    "recvmsg ancillary negative": (UDP4, lambda s: s.recvmsg(1, -1)),
    "recvmsg ancillary huge": (UDP4, lambda s: s.recvmsg(1, 1 << 40)),
    "recv_into negative": (UDP4, lambda s: s.recv_into(bytearray(1), -1)),
    "recv_into more": (UDP4, lambda s: s.recv_into(bytearray(1), 2)),
    "recvfrom_into negative": (UDP4, lambda s: s.recvfrom_into(bytearray(1), -1)),
    "recvfrom_into more": (UDP4, lambda s: s.recvfrom_into(bytearray(1), 2)),
    "recv big": (UDP4, lambda s: s.recv(BIG)),
    "recv huge": (UDP4, lambda s: s.recv(sys.maxsize)),
    "recvfrom huge": (UDP4, lambda s: s.recvfrom(sys.maxsize)),
    "recvmsg huge": (UDP4, lambda s: s.recvmsg(sys.maxsize)),
    "recvmsg_into empty": (UDP4, lambda s: s.recvmsg_into([])),
    "recvmsg_into many": (UDP4, lambda s: s.recvmsg_into([bytearray(1)] * 2000)),
    "sendmsg many": (UDP4, lambda s: s.sendmsg([b"x"] * 2000, [], 0, ("127.0.0.1", 9))),
    "sendto too long": (UDP4, lambda s: s.sendto(bytes(70000), ("127.0.0.1", 9))),
    "recv_into released": (UDP4, lambda s: s.recv_into(released())),
    "sendto released": (UDP4, lambda s: s.sendto(released(), ("127.0.0.1", 9))),
    "sendto strided": (UDP4, lambda s: s.sendto(memoryview(b"abcd")[::2], ("127.0.0.1", 9))),
    "recv_into strided": (UDP4, lambda s: s.recv_into(memoryview(bytearray(4))[::2])),
    "recv flags big": (UDP4, lambda s: s.recv(1, BIG)),
    "recv flags beyond int": (UDP4, lambda s: s.recv(1, 1 << 40)),
    "recv flags below int": (UDP4, lambda s: s.recv(1, -(1 << 40))),
    "settimeout negative": (UDP4, lambda s: s.settimeout(-1)),
    "settimeout small negative": (UDP4, lambda s: s.settimeout(-1e-9)),
    "settimeout nan": (UDP4, lambda s: s.settimeout(float("nan"))),
    "settimeout huge": (UDP4, lambda s: s.settimeout(1e9)),
    "shutdown nothing": (UDP4, lambda s: s.shutdown(77)),
    "getsockopt long": (UDP4, lambda s: s.getsockopt(1, 2, 1025)),
    "getsockopt negative": (UDP4, lambda s: s.getsockopt(1, 2, -1)),
    "getsockopt unknown": (UDP4, lambda s: s.getsockopt(1, 9999)),
    "setsockopt big": (UDP4, lambda s: s.setsockopt(1, 2, BIG)),
    # -- addresses
    "bind str": (UDP4, lambda s: s.bind("127.0.0.1")),
    "bind list": (UDP4, lambda s: s.bind(["127.0.0.1", 0])),
    "bind None": (UDP4, lambda s: s.bind(None)),
    "bind one": (UDP4, lambda s: s.bind(("127.0.0.1",))),
    "bind three": (UDP4, lambda s: s.bind(("127.0.0.1", 0, 0))),
    "bind host int": (UDP4, lambda s: s.bind((5, 0))),
    "bind host None": (UDP4, lambda s: s.bind((None, 0))),
    "bind host null": (UDP4, lambda s: s.bind(("a\0b", 0))),
    "bind host surrogate": (UDP4, lambda s: s.bind(("\udc80", 0))),
    "bind host long label": (UDP4, lambda s: s.bind(("é" * 70, 0))),
    "bind port str": (UDP4, lambda s: s.bind(("127.0.0.1", "80"))),
    "bind port float": (UDP4, lambda s: s.bind(("127.0.0.1", 80.0))),
    "bind port 70000": (UDP4, lambda s: s.bind(("127.0.0.1", 70000))),
    "bind port -1": (UDP4, lambda s: s.bind(("127.0.0.1", -1))),
    "bind port big": (UDP4, lambda s: s.bind(("127.0.0.1", BIG))),
    "bind elsewhere": (UDP4, lambda s: s.bind(("203.0.113.1", 0))),
    "bind ipv6 host": (UDP4, lambda s: s.bind(("::1", 0))),
    "sendto port 70000": (UDP4, lambda s: s.sendto(b"", ("127.0.0.1", 70000))),
    "sendto None": (UDP4, lambda s: s.sendto(b"", None)),
    "sendto port 0": (UDP4, lambda s: s.sendto(b"", ("127.0.0.1", 0))),
    "connect str": (UDP4, lambda s: s.connect("127.0.0.1")),
    "connect_ex str": (UDP4, lambda s: s.connect_ex("127.0.0.1")),
    "sendmsg address": (UDP4, lambda s: s.sendmsg([b""], [], 0, "x")),
    "v6 str": (UDP6, lambda s: s.bind("::1")),
    "v6 one": (UDP6, lambda s: s.bind(("::1",))),
    "v6 five": (UDP6, lambda s: s.bind(("::1", 0, 0, 0, 0))),
    "v6 flow": (UDP6, lambda s: s.bind(("::1", 0, 0x100000))),
    "v6 flow negative": (UDP6, lambda s: s.bind(("::1", 0, -1))),
    "v6 broadcast": (UDP6, lambda s: s.bind(("<broadcast>", 0))),
    "v6 host v4": (UDP6, lambda s: s.bind(("127.0.0.1", 0))),
    "v6 port": (UDP6, lambda s: s.bind(("::1", 65536))),
    "v6 scope str": (UDP6, lambda s: s.bind(("::1", 0, 0, "lo"))),
    "unix int": (UNIX, lambda s: s.bind(5)),
    "unix tuple": (UNIX, lambda s: s.bind(("a", 1))),
    "unix long": (UNIX, lambda s: s.bind("/" + "x" * 108)),
    "unix missing": (UNIX, lambda s: s.connect("/nowhere/at/all")),
    "unix abstract missing": (UNIX, lambda s: s.connect(b"\0udpcore nobody")),
    "netlink str": (NETLINK, lambda s: s.bind("x")),
    "netlink one": (NETLINK, lambda s: s.bind((0,))),
    # -- the state of the socket
    "accept on udp": (UDP4, lambda s: s.accept()),
    "listen on udp": (UDP4, lambda s: s.listen()),
    "send unconnected": (UDP4, lambda s: s.send(b"x")),
    "peer unconnected": (UDP4, lambda s: s.getpeername()),
    "shutdown unconnected": (UDP4, lambda s: s.shutdown(2)),
    "recv nothing": (UDP4, lambda s: s.recv(1)),
    "recvfrom nothing": (UDP4, lambda s: s.recvfrom(1)),
    "recvmsg nothing": (UDP4, lambda s: s.recvmsg(1)),
    "sendfile": (UDP4, lambda s: s.sendfile(None)),
    "makefile mode": (UDP4, lambda s: s.makefile("x")),
    "makefile unbuffered": (UDP4, lambda s: s.makefile("r", buffering=0)),
    "pickle": (UDP4, lambda s: s.__getstate__()),
    "attribute": (UDP4, lambda s: setattr(s, "anything", 1)),
    "read only": (UDP4, lambda s: setattr(s, "family", 1)),
}

# Texts that name the class or its attribute in CPython's own manner; the type is compared.
TYPE_ONLY = {"attribute", "read only"}
# Keywords are refused by the binding library, in its own words.
KEYWORDS = {"bind keyword", "recv_into twice", "recv_into keyword"}


@pytest.mark.parametrize("name", sorted(CALLS.keys() - TYPE_ONLY - KEYWORDS))
def test_misuse(name: str) -> None:
    same_on_both(*CALLS[name])


@pytest.mark.parametrize("name", sorted(TYPE_ONLY))
def test_misuse_of_attributes(name: str) -> None:
    kind, action = CALLS[name]
    for module in (socket, udpcore):
        with module.socket(*kind) as one, pytest.raises(AttributeError):
            action(one)


@pytest.mark.parametrize("name", sorted(KEYWORDS))
def test_misuse_of_keywords(name: str) -> None:
    kind, action = CALLS[name]
    for module in (socket, udpcore):
        with module.socket(*kind) as one, pytest.raises(TypeError):
            action(one)


CLOSED: dict[str, Callable[[Any], Any]] = {
    "accept": lambda s: s.accept(),
    "bind": lambda s: s.bind(("127.0.0.1", 0)),
    "connect": lambda s: s.connect(("127.0.0.1", 9)),
    "connect_ex": lambda s: s.connect_ex(("127.0.0.1", 9)),
    "getpeername": lambda s: s.getpeername(),
    "getsockname": lambda s: s.getsockname(),
    "getsockopt": lambda s: s.getsockopt(1, 2),
    "setsockopt": lambda s: s.setsockopt(1, 2, 1),
    "listen": lambda s: s.listen(),
    "recv": lambda s: s.recv(1),
    "recv large": lambda s: s.recv(1 << 20),
    "recvfrom": lambda s: s.recvfrom(1),
    "recv_into": lambda s: s.recv_into(bytearray(1)),
    "recvmsg": lambda s: s.recvmsg(1),
    "send": lambda s: s.send(b"x"),
    "send large": lambda s: s.send(bytes(1 << 20)),
    "sendall": lambda s: s.sendall(b"x"),
    "sendall nothing": lambda s: s.sendall(b""),
    "sendto": lambda s: s.sendto(b"x", ("127.0.0.1", 9)),
    "sendmsg": lambda s: s.sendmsg([b"x"]),
    "shutdown": lambda s: s.shutdown(2),
    "settimeout": lambda s: s.settimeout(1),
    "setblocking": lambda s: s.setblocking(True),
    "dup": lambda s: s.dup(),
    "fileno": lambda s: s.fileno(),
    "detach": lambda s: s.detach(),
    "close": lambda s: s.close(),
    "repr": lambda s: repr(s).partition(" ")[2],
}


@pytest.mark.parametrize("timeout", [None, 0, 1.5])
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize("name", CLOSED)
def test_closed(name: str, kind: int, timeout: float | None) -> None:
    seen = []
    for module in (socket, udpcore):
        one = module.socket(module.AF_INET, kind)
        one.settimeout(timeout)
        one.close()
        seen.append(outcome(lambda one=one: CLOSED[name](one)))
    assert seen[1] == seen[0]


CONSTRUCTORS: dict[str, Callable[[Any], Any]] = {
    "negative fileno": lambda m: m.socket(fileno=-1),
    "float fileno": lambda m: m.socket(fileno=1.5),
    "str fileno": lambda m: m.socket(fileno="1"),
    "unknown fileno": lambda m: m.socket(fileno=987_654),
    "family": lambda m: m.socket(9999),
    "type": lambda m: m.socket(m.AF_INET, 9999),
    "str family": lambda m: m.socket("a"),
    "float type": lambda m: m.socket(m.AF_INET, 1.5),
    "five": lambda m: m.socket(1, 2, 3, 4, 5),
    "keyword": lambda m: m.socket(nosuch=1),
    "big": lambda m: m.socket(BIG),
    "fromfd": lambda m: m.fromfd(-1, 2, 2),
    "socketpair": lambda m: m.socketpair(m.AF_INET),
    "dup": lambda m: m.dup(-1),
    "close": lambda m: m.close(-1),
    "close str": lambda m: m.close("1"),
    "default timeout": lambda m: m.setdefaulttimeout(-1),
    "default timeout str": lambda m: m.setdefaulttimeout("a"),
    "cmsg negative": lambda m: m.CMSG_LEN(-1),
    "cmsg big": lambda m: m.CMSG_SPACE(1 << 62),
    "cmsg": lambda m: [(m.CMSG_LEN(n), m.CMSG_SPACE(n)) for n in range(40)],
    "getaddrinfo host": lambda m: m.getaddrinfo(5, 80),
    "getaddrinfo port": lambda m: m.getaddrinfo("127.0.0.1", 1.5),
    "getaddrinfo nothing": lambda m: m.getaddrinfo(None, None),
    "getaddrinfo numeric": lambda m: m.getaddrinfo("x", 1, flags=m.AI_NUMERICHOST),
    "getaddrinfo family": lambda m: m.getaddrinfo("127.0.0.1", 1, m.AF_INET6),
    "getaddrinfo null": lambda m: m.getaddrinfo("a\0b", 1),
    "getnameinfo list": lambda m: m.getnameinfo(["127.0.0.1", 0], 0),
    "getnameinfo one": lambda m: m.getnameinfo(("127.0.0.1",), 0),
    "getnameinfo name": lambda m: m.getnameinfo(("localhost.", 0), 0),
    "getnameinfo v4 four": lambda m: m.getnameinfo(("127.0.0.1", 0, 0, 0), 0),
    "getnameinfo flow": lambda m: m.getnameinfo(("::1", 0, 1 << 20), 0),
    "getnameinfo none": lambda m: m.getnameinfo(),
    "gethostbyname int": lambda m: m.gethostbyname(5),
    "gethostbyname none": lambda m: m.gethostbyname(),
    "gethostbyname label": lambda m: m.gethostbyname("a" * 64 + ".example"),
    "create_connection": lambda m: m.create_connection(("127.0.0.1",)),
    "create_server": lambda m: m.create_server(("127.0.0.1", 0), dualstack_ipv6=True),
}


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_functions(name: str) -> None:
    action = CONSTRUCTORS[name]
    assert outcome(lambda: action(udpcore)) == outcome(lambda: action(socket))
