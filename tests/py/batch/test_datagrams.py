"""What is sent arrives, with and without segmentation and coalescing."""

from __future__ import annotations

import gc
import os
import socket as standard
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import udpcore
from udpcore import batch

SIZES = [0, 1, 100, 100, 100, 50, 100, 100, 1200, 1200, 1200, 1200, 7, 0, 0, 65_507, 3]


def receive_all(receiver: Any, count: int) -> list[tuple[bytes, Any]]:
    got: list[tuple[bytes, Any]] = []
    while len(got) < count:
        got += batch.recvmmsg(receiver, 64, 65_536)
    return got


@pytest.mark.parametrize("gro", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_arrive_as_they_were_sent(make, host, gro):
    sender, receiver = make(host), make(host)
    batch.set_gro(receiver, gro)
    address = receiver.getsockname()
    data = [bytes([i]) * size for i, size in enumerate(SIZES)]
    assert batch.sendmmsg(sender, [(one, address) for one in data]) == len(data)
    got = receive_all(receiver, len(data))
    assert [one for one, _ in got] == data
    assert {who for _, who in got} == {sender.getsockname()}


def test_addresses_may_alternate_and_equal_ones_need_not_be_one_object(make):
    sender, one, two = make(), make(), make()
    to = [one.getsockname(), two.getsockname()]
    messages = [(b"%03d" % i, (to[i % 2][0], to[i % 2][1])) for i in range(100)]
    assert batch.sendmmsg(sender, messages) == 100
    assert [d for d, _ in receive_all(one, 50)] == [b"%03d" % i for i in range(0, 100, 2)]
    assert [d for d, _ in receive_all(two, 50)] == [b"%03d" % i for i in range(1, 100, 2)]


def test_every_bytes_like_and_every_iterable_will_do(pair):
    sender, receiver = pair
    sender.connect(receiver.getsockname())
    kinds = [b"a", bytearray(b"b"), memoryview(b"xcx")[1:2], bytearray(b"d")]
    assert batch.sendmmsg(sender, iter(kinds)) == 4
    assert batch.sendmmsg(sender, ((k, None) for k in kinds)) == 4
    assert batch.sendmmsg(sender, tuple(kinds)) == 4
    assert b"".join(d for d, _ in receive_all(receiver, 12)) == b"abcd" * 3
    assert batch.sendmmsg(sender, []) == 0


def test_a_run_is_one_trip_down_the_stack(pair):
    sender, receiver = pair
    if not batch.set_gro(receiver):
        return
    messages = [(bytes(1000), receiver.getsockname())] * 60
    assert batch.sendmmsg(sender, messages) == 60
    # Somebody who does not cut sees the run as the kernel handed it over.
    assert len(receiver.recv(65_536)) == 60_000


def test_a_route_that_refuses_runs_gets_single_datagrams(pair):
    sender, receiver = pair
    # A checksum switched off cannot be segmented: the kernel says EINVAL for each run.
    sender.setsockopt(standard.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
    data = [bytes([i]) * 500 for i in range(100)]
    for _ in range(2):
        assert batch.sendmmsg(sender, [(d, receiver.getsockname()) for d in data]) == 100
        assert [d for d, _ in receive_all(receiver, 100)] == data


def test_only_the_first_error_is_raised(pair):
    sender, receiver = pair
    to = receiver.getsockname()
    messages = [(b"one", to), (bytes(70_000), to), (b"three", to)]
    assert batch.sendmmsg(sender, messages) == 1
    with pytest.raises(OSError, match="too long"):
        batch.sendmmsg(sender, messages[1:])
    assert batch.sendmmsg(sender, messages[2:]) == 1
    assert [d for d, _ in receive_all(receiver, 2)] == [b"one", b"three"]


def test_what_is_longer_than_the_buffer_is_cut_with_gro_too(pair):
    sender, receiver = pair
    for gro in (False, True):
        batch.set_gro(receiver, gro)
        batch.sendmmsg(sender, [(b"0123456789", receiver.getsockname())] * 3)
        got = []
        while len(got) < 3:
            got += batch.receive(receiver, 64, 4)
        assert [(d.data, d.truncated) for d in got] == [(b"0123", True)] * 3


@pytest.mark.parametrize("gro", [False, True])
def test_a_batch_shows_what_was_received_last(pair, gro):
    sender, receiver = pair
    batch.set_gro(receiver, gro)
    room = udpcore.DatagramBatch(256, 1500)
    assert (len(room), room.capacity, room.bufsize) == (0, 256, 1500)
    to = receiver.getsockname()
    views = []
    for turn in range(3):
        data = [bytes([turn, i]) * 400 for i in range(40)]
        batch.sendmmsg(sender, [(d, to) for d in data])
        got: list[bytes] = []
        while len(got) < 40:
            assert batch.recvmmsg_into(receiver, room) == len(room)
            assert room.to_list() == [(bytes(v), sender.getsockname()) for v in room]
            assert [bytes(room[i]) for i in range(len(room))] == [bytes(v) for v in room]
            got += [bytes(view) for view in room]
            assert bytes(room[-1]) == got[-1]
            assert not room.truncated(0)
            views.append(room[0])
        assert got == data
    # A view stays good as long as it lives, whatever it shows.
    size = memoryview(room).nbytes
    assert size == 256 * 1500
    room.clear()
    assert len(room) == 0
    with pytest.raises(IndexError, match="the batch holds 0"):
        _ = room[0]
    del room
    gc.collect()
    assert all(len(bytes(view)) == 800 for view in views)


def test_a_batch_goes_back_where_it_came_from(make):
    server, one, two = make(), make(), make()
    room = batch.DatagramBatch(256, 2048)
    for client in (one, two):
        name = b"%d" % client.getsockname()[1]
        assert batch.sendmmsg(client, [(name * 20, server.getsockname())] * 10) == 10
    left = 20
    while left:
        count = batch.recvmmsg_into(server, room)
        assert batch.sendmmsg(server, room) == count
        left -= count
    for client in (one, two):
        name = b"%d" % client.getsockname()[1]
        assert receive_all(client, 10) == [(name * 20, server.getsockname())] * 10


def test_what_makes_no_sense_is_refused(pair):
    sender, receiver = pair
    to = receiver.getsockname()
    for messages, error in [
        (7, TypeError),
        ([7], TypeError),
        (["text"], TypeError),
        ([(b"x", to, 1)], ValueError),
        ([(b"x", "nobody")], TypeError),
        ([(b"x", ("127.0.0.1", 65_536))], OverflowError),
        ([(b"x", ("127.0.0.1", -1))], OverflowError),
        ([b"nobody is connected"], OSError),
    ]:
        with pytest.raises(error):
            batch.sendmmsg(sender, messages)
    for call in (
        lambda: batch.recvmmsg(receiver, -1),
        lambda: batch.recvmmsg(receiver, 1, -1),
        lambda: batch.DatagramBatch(0),
        lambda: batch.DatagramBatch(70_000),
        lambda: batch.DatagramBatch(1, 0),
        lambda: batch.sendmmsg(sender, [], source="nonsense"),
        lambda: batch.sendmmsg(sender, [], source="::1"),
        lambda: batch.set_dont_fragment(sender, "perhaps"),
    ):
        with pytest.raises(ValueError, match=r"must|cannot"):
            call()
    with pytest.raises(OverflowError):
        batch.recvmmsg(receiver, 1 << 70)
    with pytest.raises(ValueError, match="tos must be 0 to 255"):
        batch.sendmmsg(sender, [], tos=256)
    with pytest.raises(MemoryError):
        batch.DatagramBatch(65_536, sys.maxsize // 65_536)
    with pytest.raises(TypeError):
        batch.recvmmsg_into(receiver, bytearray(10))
    with pytest.raises(TypeError, match="descriptor or an object with fileno"):
        batch.recvmmsg("socket", 1)
    assert batch.recvmmsg(receiver, 0) == []


def test_closed_sockets_are_bad_descriptors(make):
    one = make()
    to = one.getsockname()
    one.close()
    room = batch.DatagramBatch(4)
    for call in (
        lambda: batch.sendmmsg(one, [(b"x", to)]),
        lambda: batch.recvmmsg(one, 4),
        lambda: batch.recvmmsg_into(one, room),
        lambda: batch.receive(one),
        lambda: batch.read_errors(one),
        lambda: batch.set_gro(one),
        lambda: batch.observe(one, tos=True),
    ):
        with pytest.raises(OSError, match="Bad file descriptor"):
            call()


def test_a_list_that_changes_while_it_is_sent(pair):
    sender, receiver = pair
    sender.connect(receiver.getsockname())
    messages: list[Any] = [b"one", bytearray(b"two"), b"three"]

    class Sneaky(bytes):
        def __iter__(self):
            messages.clear()
            return super().__iter__()

    messages.insert(1, Sneaky(b"sneaky"))
    assert batch.sendmmsg(sender, messages) == 4


def test_descriptors_that_come_along_are_not_taken():
    one, two = udpcore.socketpair(udpcore.AF_UNIX, udpcore.SOCK_DGRAM)
    with one, two:
        before = len(os.listdir("/proc/self/fd"))
        room = batch.DatagramBatch(4)
        for take in (
            lambda: two.recvmmsg(4),
            lambda: two.recvmmsg_into(room),
            lambda: batch.receive(two.fileno()),
        ):
            udpcore.send_fds(one, [b"x"], [one.fileno()])
            take()
            assert len(os.listdir("/proc/self/fd")) <= before


def test_the_methods_are_the_functions(make):
    for name in ("sendmmsg", "recvmmsg", "recvmmsg_into"):
        assert getattr(udpcore.socket, name) is getattr(batch, name)
    assert udpcore.DatagramBatch is batch.DatagramBatch


def test_bare_descriptors_and_unix_sockets_will_do():
    one, two = udpcore.socketpair(udpcore.AF_UNIX, udpcore.SOCK_DGRAM)
    with one, two:
        assert batch.sendmmsg(one.fileno(), [b"a" * 10, b"b" * 10, b""]) == 3
        got = batch.recvmmsg(two.fileno(), 10)
        assert [data for data, _ in got] == [b"a" * 10, b"b" * 10, b""]
        two.setblocking(False)
        with pytest.raises(BlockingIOError):
            batch.recvmmsg(two.fileno(), 10)
        # No address to go back to: to the connected peer then.
        room = batch.DatagramBatch(4)
        one.sendmmsg([b"ping"])
        two.recvmmsg_into(room)
        assert two.sendmmsg(room) == 1
        assert one.recv(10) == b"ping"


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 9, 10, 10, 10, 500, 500, 1400]), max_size=80),
    gro=st.booleans(),
)
def test_any_sequence_of_sizes_arrives(sizes, gro):
    with (
        udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM) as sender,
        udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20)
        receiver.setsockopt(udpcore.SOL_SOCKET, udpcore.SO_RCVBUF, 4 << 20)
        batch.set_gro(receiver, gro)
        data = [bytes([i]) * size for i, size in enumerate(sizes)]
        to = receiver.getsockname()
        assert sender.sendmmsg([(one, to) for one in data]) == len(data)
        assert [one for one, _ in receive_all(receiver, len(data))] == data


SMALL_ROUTE = """
import subprocess
import udpcore as socket

subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "up"], check=True)
with (
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
):
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(20)
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    for size in (1472, 2000, 1473, 100):
        data = [bytes([i]) * size for i in range(100)]
        for turn in range(2):
            assert sender.sendmmsg([(d, receiver.getsockname()) for d in data]) == 100
            got = []
            while len(got) < 100:
                got += receiver.recvmmsg(100)
            assert [d for d, _ in got] == data, size
print("as sent")
"""


def test_datagrams_that_need_fragments_arrive_though_runs_of_them_are_refused():
    words = ["unshare", "--net", sys.executable, "-W", "error", "-c", SMALL_ROUTE]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("as sent\n", "")


@pytest.mark.parametrize("module", [standard, udpcore])
def test_a_stream_is_refused_before_it_is_cut(module):
    one, other = module.socketpair()
    with one, other:
        for sock in (one, one.fileno()):
            with pytest.raises(ValueError, match="for a stream there is sendall"):
                batch.sendmmsg(sock, [bytes(3_000_000)])
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(1)
