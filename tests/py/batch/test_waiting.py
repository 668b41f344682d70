"""Timeouts, non-blocking sockets, signals, threads and closing while a call waits."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress

import pytest

import udpcore
from udpcore import batch


def test_a_timeout_is_never_early(make):
    one = make(timeout=0.02)
    room = batch.DatagramBatch(4)
    for call in (
        lambda: batch.recvmmsg(one, 4),
        lambda: batch.recvmmsg_into(one, room),
        lambda: batch.receive(one),
    ):
        begin = time.monotonic()
        with pytest.raises(TimeoutError, match="timed out"):
            call()
        assert time.monotonic() - begin >= 0.02
    one.setblocking(False)
    with pytest.raises(BlockingIOError):
        batch.recvmmsg(one, 4)


def test_it_waits_for_the_first_and_takes_what_is_there(sock, make):
    for timeout in (None, 30.0):
        sender, receiver = make(), make(timeout=timeout)
        to = receiver.getsockname()
        got: list[bytes] = []
        started = threading.Event()

        def receive(receiver=receiver, got=got, started=started):
            started.set()
            got += [data for data, _ in batch.recvmmsg(receiver, 64)]

        thread = threading.Thread(target=receive)
        thread.start()
        started.wait(20)
        sender.sendto(b"first", to)
        thread.join(20)
        assert got == [b"first"]


@pytest.mark.parametrize("timeout", [None, 0.05, 0.0])
def test_a_full_socket_ends_a_send_as_its_timeout_says(sock, timeout):
    one, two = sock.socketpair(sock.AF_UNIX, sock.SOCK_DGRAM)
    with one, two:
        one.settimeout(timeout)
        messages = [bytes(1000)] * 2000
        if timeout is None:
            got: list[bytes] = []

            def read():
                while len(got) < 2000:
                    got.extend(data for data, _ in batch.recvmmsg(two, 64))

            thread = threading.Thread(target=read)
            thread.start()
            assert batch.sendmmsg(one, messages) == 2000
            thread.join(20)
            assert len(got) == 2000
            return
        sent = batch.sendmmsg(one, messages)
        assert 0 < sent < 2000
        expected = TimeoutError if timeout else BlockingIOError
        with pytest.raises(expected):
            batch.sendmmsg(one, messages)
        two.setblocking(False)
        count = 0
        while count < sent:
            count += len(batch.recvmmsg(two, 64))
        assert count == sent


class StopWaitingError(Exception):
    pass


@pytest.mark.parametrize("timeout", [None, 30.0])
@pytest.mark.parametrize("what", ["recvmmsg", "recvmmsg_into", "receive", "sendmmsg"])
def test_a_signal_handler_ends_any_wait(sock, what, timeout):
    one, two = sock.socketpair(sock.AF_UNIX, sock.SOCK_DGRAM)
    room = batch.DatagramBatch(4)
    calls = {
        "recvmmsg": lambda: batch.recvmmsg(one, 4),
        "recvmmsg_into": lambda: batch.recvmmsg_into(one, room),
        "receive": lambda: batch.receive(one),
        "sendmmsg": lambda: batch.sendmmsg(one, [bytes(1000)] * 2000),
    }
    seen: list[int] = []

    def handler(number, frame):
        seen.append(number)
        if len(seen) == 2:
            raise StopWaitingError

    old = signal.signal(signal.SIGUSR1, handler)
    with one, two:
        one.settimeout(timeout)
        ended = threading.Event()

        def poke():
            # The first does not end the wait (PEP 475), the second does.
            while not ended.wait(0.02):
                os.kill(os.getpid(), signal.SIGUSR1)

        thread = threading.Thread(target=poke)
        thread.start()
        try:
            with pytest.raises(StopWaitingError):
                calls[what]()
        finally:
            ended.set()
            thread.join()
            signal.signal(signal.SIGUSR1, old)
    assert len(seen) >= 2


def test_a_batch_serves_one_call_at_a_time(make):
    one, two = make(timeout=30.0), make(timeout=30.0)
    room = batch.DatagramBatch(64)
    entered = threading.Event()

    class Telling:
        """Says when the call has asked for the descriptor; the wait follows at once."""

        def fileno(self):
            entered.set()
            return one.fileno()

        def gettimeout(self):
            return 30.0

    thread = threading.Thread(target=batch.recvmmsg_into, args=(Telling(), room))
    thread.start()
    assert entered.wait(20)
    two.settimeout(0.001)

    def until_refused():
        while True:
            with suppress(TimeoutError):  # the other thread has not got so far yet
                batch.recvmmsg_into(two, room)

    with pytest.raises(BufferError, match="in use"):
        until_refused()
    two.sendto(b"done", one.getsockname())
    thread.join(20)
    assert room.to_list() == [(b"done", two.getsockname())]


def test_closing_our_socket_while_a_call_waits_hits_nobody_else():
    with udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM) as keep:
        keep.bind(("127.0.0.1", 0))
        for _ in range(20):
            one = udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM)
            one.bind(("127.0.0.1", 0))
            one.settimeout(0.01)
            ended: list[type] = []

            def wait(one=one, ended=ended):
                try:
                    one.recvmmsg(4)
                except OSError as error:
                    ended.append(type(error))

            threads = [threading.Thread(target=wait) for _ in range(3)]
            for thread in threads:
                thread.start()
            one.close()
            for thread in threads:
                thread.join(20)
            assert len(ended) == 3
        keep.sendto(b"x", keep.getsockname())
        assert keep.recv(1) == b"x"


def test_no_descriptor_and_little_memory_are_lost(make):
    sender, receiver = make(), make()
    to = receiver.getsockname()
    messages = [(bytes(100), to)] * 64
    room = batch.DatagramBatch(64, 256)

    def work(times):
        for _ in range(times):
            batch.sendmmsg(sender, messages)
            batch.recvmmsg_into(receiver, room)
            list(room)
            batch.sendmmsg(sender, messages)
            batch.recvmmsg(receiver, 64)

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    work(200)
    before, descriptors = resident(), len(os.listdir("/proc/self/fd"))
    work(1500)
    assert resident() - before < 1 << 20
    assert len(os.listdir("/proc/self/fd")) <= descriptors
