"""Many operations, many threads, forks and signals: nothing leaks, nothing is hit by mistake.

`UDPCORE_SOAK_OPERATIONS` asks for more operations than a test run makes (10,000,000 take minutes:
give pytest `--timeout=3600` too).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import udpcore

OPERATIONS = int(os.environ.get("UDPCORE_SOAK_OPERATIONS", "100000"))
STORM_SECONDS = 1.0

LEAKS = """
import gc, os, sys
import socket

def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def descriptors():
    return sorted(os.listdir("/proc/self/fd"))

def one_round(turns):
    a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    left, right = socket.socketpair()
    with a, b, left, right:
        for one in (a, b):
            one.bind(("127.0.0.1", 0))
            one.settimeout(5)
        target, room = b.getsockname(), bytearray(2048)
        for _ in range(turns):
            a.sendto(b"x" * 100, target)
            b.recvfrom(2048)
            a.sendto(b"x" * 1000, ("127.0.0.1", target[1]))
            b.recvfrom_into(room)
            a.sendmsg([b"head", room], [], 0, target)
            b.recvmsg(4096, 64)
            left.sendall(b"stream")
            right.recv(100000)
            b.settimeout(0)
            try:
                b.recv(10)
            except BlockingIOError:
                pass
            b.settimeout(5)
            try:
                a.sendto("text", target)
            except TypeError:
                pass
        for _ in range(max(1, turns // 50)):
            a.dup().close()
            for other in socket.socketpair():
                other.close()
            try:
                a.bind(("no address", 1, 2, 3))
            except TypeError:
                pass

turns = int(sys.argv[1]) // 10
one_round(max(2000, turns // 10))
before = resident(), descriptors()
one_round(turns)
after = resident(), descriptors()
print(after[0] - before[0], after[1] == before[1])
"""


def test_nothing_leaks(script: Any) -> None:
    seconds = 60 + OPERATIONS / 10_000
    growth, same_descriptors = script(LEAKS, str(OPERATIONS), timeout=seconds).split()
    assert int(growth) < 1 << 20, f"{growth} bytes more after {OPERATIONS} operations"
    assert same_descriptors == "True"


def test_a_storm_of_closing_and_detaching(sock: Any) -> None:
    """Eight threads use, close and detach the same sockets; other descriptors stay untouched."""
    if sock.__name__ == "socket":
        return  # the standard class promises nothing here
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    before = len(os.listdir("/proc/self/fd"))
    shared = [sock.socket(sock.AF_INET, sock.SOCK_DGRAM) for _ in range(4)]
    stop = threading.Event()
    surprises: list[BaseException] = []

    def attempt(turn: int, one: Any) -> None:
        match turn % 6:
            case 0:
                # Never without a timeout: closing wakes no thread that waits, as in `socket`.
                one.settimeout((0, 0.0001)[turn // 6 % 2])
            case 1 | 2:
                one.settimeout(0.0001)
                one.recvfrom(100)
            case 3:
                one.sendto(b"storm", ("127.0.0.1", 9))
            case 4:
                one.close()
            case 5:
                number = one.detach()
                if number != -1:
                    os.close(number)

    def work(number: int) -> None:
        turn = number
        while not stop.is_set():
            turn += 1
            at = (turn * 7 + number) % len(shared)
            one = shared[at]
            try:
                attempt(turn, one)
            except (OSError, ValueError):
                pass
            except BaseException as surprise:
                surprises.append(surprise)
                raise
            if one.fileno() == -1 and number == 0:
                shared[at] = sock.socket(sock.AF_INET, sock.SOCK_DGRAM)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        stop.wait(STORM_SECONDS)
        stop.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    for one in shared:
        one.close()
    assert surprises == []
    assert len(os.listdir("/proc/self/fd")) == before
    # The pipe was opened first and is still ours.
    os.write(writer, b"alive")
    assert os.read(reader, 10) == b"alive"
    os.close(reader)
    os.close(writer)


def test_a_number_that_changes_hands_during_a_wait_blocks_nobody() -> None:
    """A call with a timeout ends in time even where its number is a blocking socket by then."""
    waiting = udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM)
    waiting.bind(("127.0.0.1", 0))
    waiting.settimeout(0.5)
    address = waiting.getsockname()
    outcome: list[BaseException] = []

    def receive() -> None:
        try:
            waiting.recvfrom(100)
        except OSError as error:
            outcome.append(error)

    with udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM) as other:
        kept = os.dup(waiting.fileno())
        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        time.sleep(0.1)
        number = waiting.detach()
        os.dup2(other.fileno(), number)
        # Wakes the wait, which began on the old socket; the call then finds the other one.
        other.sendto(b"for the old one", address)
        thread.join(timeout=10)
        assert not thread.is_alive()
        os.close(number)
        os.close(kept)
    assert [type(error) for error in outcome] == [TimeoutError]


FORKED = """
import os, threading
import socket
parent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
parent.bind(("127.0.0.1", 0))
parent.settimeout(20)
target = parent.getsockname()
idle = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
idle.bind(("127.0.0.1", 0))
waiter = threading.Thread(target=idle.recvfrom, args=(10,))
waiter.start()
if (child := os.fork()) == 0:
    code = 1
    try:
        assert parent.gettimeout() == 20 and parent.getsockname() == target
        parent.sendto(b"from the child", target)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as fresh:
            fresh.sendto(b"from a fresh one", target)
        parent.close()
        idle.close()
        code = 0
    finally:
        os._exit(code)
print(parent.recv(100).decode())
print(parent.recv(100).decode())
print(os.waitpid(child, 0)[1])
parent.sendto(b"still mine", target)
print(parent.recv(100).decode())
parent.sendto(b"wake", idle.getsockname())
waiter.join()
parent.close()
idle.close()
"""


def test_fork(script: Any) -> None:
    assert script(FORKED).splitlines() == ["from the child", "from a fresh one", "0", "still mine"]


TERMINATED = """
import signal, socket, sys
if sys.argv[1] == "handler":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
s.settimeout(float(sys.argv[2]) or None)
print("ready", flush=True)
with s:
    s.recvfrom(10)
"""


def wait_until_asleep(pid: int) -> None:
    """Until the process waits in the kernel: a signal between Python's last look and the system
    call is seen only after the call, in CPython too."""
    in_a_row = 0
    while in_a_row < 10:
        time.sleep(0.01)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        in_a_row = in_a_row + 1 if state == "S" else 0


@pytest.mark.parametrize("timeout", [0, 60])
@pytest.mark.parametrize(("way", "code"), [("default", -signal.SIGTERM), ("handler", 3)])
def test_sigterm(sock: Any, way: str, code: int, timeout: int) -> None:
    source = TERMINATED.replace("socket, sys", f"sys, {sock.__name__} as socket")
    command = [sys.executable, "-c", source, way, str(timeout)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            wait_until_asleep(child.pid)
            child.terminate()
            assert child.wait(20) == code
        finally:
            child.kill()


def test_buffers_stay_in_place_while_a_call_waits(sock: Any, make: Any) -> None:
    one = make(sock.AF_INET, sock.SOCK_DGRAM, bind=("127.0.0.1", 0), timeout=20)
    room = bytearray(100)
    outcome: list[int] = []
    waiter = threading.Thread(target=lambda: outcome.append(one.recv_into(room)))
    waiter.start()
    refused = False
    while not refused:
        try:
            room.extend(b"more")
            del room[100:]
        except BufferError:
            refused = True
    room[50] = 7
    one.sendto(b"datagram", one.getsockname())
    waiter.join()
    assert (outcome, room[:8], room[50]) == ([8], b"datagram", 7)
    room.clear()


def test_data_that_changes_while_it_is_sent(sock: Any) -> None:
    left, right = sock.socketpair()
    size = 3_000_000
    data = bytearray(size)
    stop = threading.Event()
    refused: list[BaseException] = []

    def change() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            data[turn * 4099 % len(data)] = turn % 256
            try:
                data.clear()
                data.extend(bytes(size))
            except BufferError as error:
                refused.append(error)

    with left, right:
        changer = threading.Thread(target=change)
        sender = threading.Thread(target=lambda: left.sendall(memoryview(data)))
        sender.start()
        changer.start()
        received = 0
        while received < size:
            received += len(right.recv(65536))
        stop.set()
        changer.join()
        sender.join()
    assert received == size


def wait_ns(module: Any, seconds: float) -> int:
    with module.socket(module.AF_INET, module.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(seconds)
        begin = time.monotonic_ns()
        with pytest.raises(TimeoutError):
            one.recvfrom(10)
        return time.monotonic_ns() - begin


def test_a_thousand_timeouts_are_never_early_and_as_quick_as_the_standard_ones() -> None:
    import socket
    import statistics

    import udpcore

    seconds = 0.001
    waited: dict[Any, list[int]] = {socket: [], udpcore: []}
    for _ in range(1000):
        for module, found in waited.items():
            found.append(wait_ns(module, seconds))
    assert min(waited[udpcore]) >= seconds * 1e9
    # Medians of interleaved turns: the machine's load meets both alike.
    late_ns = statistics.median(waited[udpcore]) - statistics.median(waited[socket])
    assert late_ns <= 5e6
