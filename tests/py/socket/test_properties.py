"""Any address, option or buffer: the same outcome from both modules, and no crash."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import udpcore

FAMILIES = {
    "inet": (socket.AF_INET, socket.SOCK_DGRAM),
    "inet6": (socket.AF_INET6, socket.SOCK_DGRAM),
    "unix": (socket.AF_UNIX, socket.SOCK_DGRAM),
    "netlink": (socket.AF_NETLINK, socket.SOCK_RAW),
}

hosts = (
    st.sampled_from(["127.0.0.1", "::1", "", "0", "1.2.3", "256.1.1.1", "::ffff:1.2.3.4", "a\0b"])
    | st.ip_addresses().map(str)
    | st.binary(max_size=3).map(lambda b: b"\0" + b)
    | st.none()
    | st.integers()
)
numbers = st.integers(-3, 70000) | st.integers() | st.floats() | st.none() | st.text(max_size=3)
addresses = (
    st.tuples(hosts, numbers)
    | st.tuples(hosts, numbers, numbers)
    | st.tuples(hosts, numbers, numbers, numbers)
    | st.lists(numbers, max_size=6).map(tuple)
    | st.text(max_size=120)
    | st.binary(max_size=120)
    | numbers
)


def outcome(call: Callable[[], Any]) -> tuple[Any, ...]:
    try:
        return ("returned", call())
    except Exception as error:
        return (type(error), str(error), getattr(error, "errno", None))


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest) -> Any:
    kind = FAMILIES[request.param]
    with socket.socket(*kind) as standard, udpcore.socket(*kind) as ours:
        standard.settimeout(0)
        ours.settimeout(0)
        yield standard, ours


def resolvable(address: Any) -> bool:
    """Whether the system's resolver might be asked, which takes long and varies."""
    host = address[0] if isinstance(address, tuple) and address else None
    return isinstance(host, bytes)


@settings(max_examples=400, deadline=None)
@given(address=addresses)
def test_addresses(pair: Any, address: Any) -> None:
    standard, ours = pair
    if resolvable(address):
        return
    # Connecting a datagram socket shows how the address was read and sends nothing.
    expected = outcome(lambda: (standard.connect_ex(address), standard.getpeername()))
    assert outcome(lambda: (ours.connect_ex(address), ours.getpeername())) == expected


@settings(max_examples=300, deadline=None)
@given(
    level=st.sampled_from([socket.SOL_SOCKET, socket.IPPROTO_IP, 9999]),
    option=st.sampled_from([socket.SO_REUSEADDR, socket.SO_LINGER, socket.IP_TOS, 999]),
    value=st.integers(-(2**33), 2**33) | st.binary(max_size=40) | st.none() | st.text(max_size=2),
    length=st.integers(-2, 1100),
)
def test_options(level: int, option: int, value: Any, length: int) -> None:
    with socket.socket() as standard, udpcore.socket() as ours:
        expected = outcome(lambda: standard.setsockopt(level, option, value))
        assert outcome(lambda: ours.setsockopt(level, option, value)) == expected
        expected = outcome(lambda: standard.getsockopt(level, option, length))
        assert outcome(lambda: ours.getsockopt(level, option, length)) == expected


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=50) | st.integers() | st.none(), max_size=5),
    control=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.binary(max_size=20))
        | st.tuples(numbers, numbers)
        | numbers,
        max_size=3,
    ),
    room=st.integers(-1, 100),
)
def test_messages(pieces: list[Any], control: list[Any], room: int) -> None:
    seen = []
    for module in (socket, udpcore):
        left, right = module.socketpair(module.AF_UNIX, module.SOCK_DGRAM)
        with left, right:
            right.settimeout(0)
            sent = outcome(lambda left=left: left.sendmsg(pieces, control))
            seen.append((sent, outcome(lambda right=right: right.recvmsg(100, room))))
    assert seen[1] == seen[0]


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=100), size=st.integers(0, 120), n=st.integers(0, 130))
def test_buffers(data: bytes, size: int, n: int) -> None:
    seen = []
    for module in (socket, udpcore):
        left, right = module.socketpair(module.AF_UNIX, module.SOCK_DGRAM)
        with left, right:
            left.send(memoryview(data))
            room = bytearray(size)
            got = outcome(lambda right=right, room=room: right.recv_into(room, n))
            seen.append((got, bytes(room)))
    assert seen[1] == seen[0]


@settings(max_examples=200, deadline=None)
@given(seconds=st.floats() | st.integers() | st.booleans() | st.text(max_size=2))
def test_timeouts(seconds: Any) -> None:
    with socket.socket() as standard, udpcore.socket() as ours:
        expected = outcome(lambda: (standard.settimeout(seconds), standard.gettimeout()))
        assert outcome(lambda: (ours.settimeout(seconds), ours.gettimeout())) == expected
