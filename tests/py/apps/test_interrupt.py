"""Ctrl-C ends every verb at once, with a summary and exit code 130; also pressed too early."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from lan import INTERFACE

from udpcore import _core
from udpcore._files import FileReceiver

UDPCORE = [sys.executable, "-m", "udpcore"]
NOBODY = "127.0.0.1:9"
GROUP = ["--group", "224.1.1.1", "--port", "0", "--interface", "lo"]
#: What is promised, in one of some tries: the tests share the machine with others.
SECONDS_MAX, TRIES_MAX = 0.3, 8
#: Everything that waits or goes on for a while, and the word of its summary.
PROGRAMS = {
    "bench": (["bench", "--rounds", "1000"], "0 measured"),
    "echo": (["echo", "--port", "0"], "received"),
    "echo over TCP": (["echo", "--tcp", "--port", "0"], "connections"),
    "echo, the client": (["echo", "--to", NOBODY], "answered"),
    "ping": (["ping", NOBODY], "sent"),
    "ping as JSON": (["ping", NOBODY, "--json"], "histogram"),
    "announce": (["discover", "--announce", "x", "--port", "0"], "errors"),
    "discover": (["discover", "--port", "47024", "--timeout", "60"], "found"),
    "watch": (["discover", "--port", "47025", "--watch"], "found"),
    "game": (["game", "--port", "0"], "applied"),
    "game's events": (["game", "--events", "--port", "0"], "passed_on"),
    "player": (["game", "--join", NOBODY], "position"),
    "metrics": (["metrics", "--port", "0", "--prometheus", "0"], "malformed"),
    "multicast recv": (["multicast", "recv", *GROUP], "messages"),
    "multicast send": (["multicast", "send", *GROUP[:3], "9", *GROUP[4:]], "messages"),
    "rate": (["rate", NOBODY, "--rate", "100"], "waited_seconds"),
    "recv": (["recv", "0"], "received"),
    "send": (["send", NOBODY], "sent"),
    "stream recv": (["stream", "recv", "/dev/null", *GROUP, "--timeout", "60"], "lost"),
    "stream send": (["stream", "send", _core.__file__, "--group", "127.0.0.1"], "chunks"),
    "video recv": (["video", "recv", "0"], "incomplete"),
    "video send": (["video", "send", NOBODY, "--source", "test"], "frames"),
    "voip": (["voip", NOBODY, "--port", "0", "--source", "tone", "--sink", "none"], "mos"),
    "netem relay": (
        ["netem", "relay", "--listen", "127.0.0.1:0", "--upstream", NOBODY],
        "received",
    ),
    "netem stream": (["netem", "stream", "--listen", "127.0.0.1:0", "--upstream", NOBODY], ""),
}
READY = {"bench": "measuring", "netem relay": "seed", "netem stream": "->"}


@contextmanager
def program(words: list[str], **options) -> Iterator[subprocess.Popen[str]]:
    """A verb under way, what it says on one pipe."""
    settings = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([*UDPCORE, *words], text=True, **(settings | options)) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(stream: IO[str] | None, word: str) -> str:
    """What is said until a line has `word`."""
    assert stream
    said = ""
    while word not in said:
        line = stream.readline()
        assert line, f"{said}, and then the end"
        said += line
    return said


def press(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Press Ctrl-C: how many seconds it took, and what was still said."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=20)[0]
    seconds = time.monotonic() - began
    assert process.returncode == 130, said
    assert "Traceback" not in said
    return seconds, said


def at_once(interrupted: Callable[[], float]) -> None:
    """Try until it was quick enough."""
    times: list[float] = []
    while not times or (min(times) > SECONDS_MAX and len(times) < TRIES_MAX):
        times.append(interrupted())
    print(f"Ctrl-C took {min(times) * 1000:.0f} ms")
    assert min(times) <= SECONDS_MAX, times


@pytest.mark.parametrize("name", PROGRAMS)
def test_ctrl_c_ends_it_at_once_with_a_summary_and_130(name):
    words, summary = PROGRAMS[name]

    def interrupted() -> float:
        with program(words) as process:
            before = read_until(process.stdout, READY.get(name, "Ctrl-C"))
            seconds, said = press(process)
        assert summary in before + said
        return seconds

    at_once(interrupted)


@pytest.mark.parametrize("many", [False, True])
def test_a_question_to_a_silent_name_server(many, plain, tmp_path):
    port = str(plain.getsockname()[1])
    names = tmp_path / "names"
    names.write_text("a.test\nb.test\n")
    one = ["a.test", "+time=30", "+tries=1"]

    def interrupted() -> float:
        words = ["--many", str(names)] if many else one
        with program(["dns", "@127.0.0.1", "-p", port, *words]) as process:
            plain.recv(4096)
            seconds, said = press(process)
        assert said.endswith("udpcore dns: interrupted\n")
        assert ("0 answered, 0 without an answer" in said) == many
        return seconds

    at_once(interrupted)


@pytest.mark.parametrize("way", ["plain UDP", "sequence numbers", "ACK + retransmission", "TCP"])
def test_the_demo_in_each_of_its_ways(way, tmp_path):
    """The ways before are shown in the table, with the seed."""
    file = tmp_path / "file"
    # Plain UDP and numbers take what the file takes at 4,000 chunks a second, and half a second.
    file.write_bytes(bytes(1_500_000))
    before = {"sequence": "plain UDP", "ACK": "sequence numbers", "TCP": "ACK + retransmission"}
    ready = before.get(way.partition(" ")[0], "the bad link")

    def interrupted() -> float:
        with program(["demo", str(file), "--seed", "7"]) as process:
            read_until(process.stdout, ready)
            # The way is under way when its first datagrams have been sent; it lasts 0.4 s at least.
            seconds, said = press(process)
        assert "--seed 7" in said
        assert said.endswith("udpcore demo: interrupted\n")
        return seconds

    at_once(interrupted)


def test_dhcp_where_nobody_offers(lan):
    def interrupted() -> float:
        words = ["dhcp", "--interface", INTERFACE, "--timeout", "60"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = lan.start("a", *UDPCORE, *words, **pipes)
        read_until(process.stdout, "Ctrl-C")
        seconds, said = press(process)
        assert "offers 0" in said
        return seconds

    at_once(interrupted)


def test_the_bridge(lan):
    def interrupted() -> float:
        words = ["netem", "bridge", "--left", "lo", "--right", INTERFACE]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = lan.start("a", *UDPCORE, *words, **pipes)
        read_until(process.stdout, "seed")
        seconds, said = press(process)
        assert "delivered" in said
        return seconds

    at_once(interrupted)


def test_a_check_of_the_doctor_that_waits():
    """What was found before is shown, and that it is not all."""
    code = (
        "import sys\n"
        "from udpcore.cli import doctor, main\n"
        "doctor.WAIT_SECONDS = 60\n"
        "def _silence():\n"
        "    with doctor._pair(doctor.socket.AF_INET, '127.0.0.1') as sock:\n"
        "        sock.recvfrom(16)\n"
        "doctor.CHECKS.insert(1, _silence)\n"
        "sys.exit(main(['doctor']))"
    )

    def interrupted() -> float:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        read_until(process.stdout, "udp loopback")
        seconds, said = press(process)
        assert "1 of 9 checks were made" in said
        return seconds

    at_once(interrupted)


def test_a_capture_that_goes_on_for_ever(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def interrupted() -> float:
        with program(["packet", str(pipe)]) as process, pipe.open("wb", buffering=0) as capture:
            # A pcap's header: who reads has begun.
            capture.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            seconds, said = press(process)
        assert "0 packets were read" in said
        return seconds

    at_once(interrupted)


def test_files_that_are_waited_for_and_that_are_on_their_way(tmp_path):
    """The sender says that it can be continued; the receiver counts."""
    # Bytes that are nowhere on the disk.
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(400_000_000)

    def receiver_interrupted() -> float:
        with program(["recv", str(tmp_path / "in"), "--port", "0"]) as process:
            read_until(process.stdout, "anybody")
            seconds, said = press(process)
        assert "received 0 files" in said
        return seconds

    def sender_interrupted() -> float:
        begun: list[int] = []
        with FileReceiver(tmp_path / "in2", report=lambda *now: begun.append(now[1])) as receiver:
            host, port = receiver.address
            with program(["send", str(large), f"{host}:{port}"]) as process:
                deadline = time.monotonic() + 20
                while not begun and time.monotonic() < deadline:
                    time.sleep(0.002)
                seconds, said = press(process)
        for part in (tmp_path / "in2").iterdir():
            part.unlink()
        assert "run it again to continue" in said
        return seconds

    at_once(receiver_interrupted)
    at_once(sender_interrupted)


EARLY = """
import signal, socket, sys, time
from udpcore.cli._interrupt import prompt_interrupts
import udpcore

def wait():
    # The kernel gives the signal to another thread: nothing wakes this one, which is as if the
    # signal had come in the moment before it went to sleep.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    print("asleep", flush=True)
    if sys.argv[1] == "sleep":
        time.sleep(30)
    elif sys.argv[1] == "stdin":
        sys.stdin.readline()
    else:
        sock = getattr(udpcore if sys.argv[1] == "udpcore" else socket, "socket")(type=2)
        sock.bind(("127.0.0.1", 0))
        sock.recvfrom(16)

try:
    with prompt_interrupts():
        wait()
except KeyboardInterrupt:
    # The handler is the usual one again, and there is no thread left.
    import threading
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert threading.active_count() == 1
    sys.exit(130)
"""


@pytest.mark.parametrize("wait", ["sleep", "stdin", "udpcore", "socket"])
def test_a_signal_that_comes_before_the_wait_ends_it_too(wait):
    def interrupted() -> float:
        process = subprocess.Popen(
            [sys.executable, "-c", EARLY, wait],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        read_until(process.stdout, "asleep")
        return press(process)[0]

    at_once(interrupted)


def test_a_signal_that_comes_as_the_block_ends_ends_it_properly():
    code = (
        "import signal, threading\n"
        "from udpcore.cli._interrupt import prompt_interrupts\n"
        "give_back = signal.signal\n"
        "def late(number, handler):\n"
        "    if handler is signal.default_int_handler:\n"
        "        signal.getsignal(signal.SIGINT)(signal.SIGINT, None)\n"
        "    return give_back(number, handler)\n"
        "try:\n"
        "    with prompt_interrupts():\n"
        "        signal.signal = late\n"
        "except KeyboardInterrupt:\n"
        "    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "    assert threading.active_count() == 1\n"
        "    print('interrupted')"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "interrupted\n"


def test_what_fails_because_of_it_is_the_interruption():
    code = (
        "from udpcore.cli import doctor, main\n"
        "def work(prog, argv):\n"
        "    try:\n"
        "        print('begun', flush=True)\n"
        "        import time; time.sleep(30)\n"
        "    finally:\n"
        "        raise AttributeError('half done')\n"
        "doctor.main = work\n"
        "raise SystemExit(main(['doctor']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        read_until(process.stdout, "begun")
        assert press(process)[1] == "udpcore doctor: interrupted\n"


def test_who_ignores_ctrl_c_goes_on_ignoring_it():
    """A shell's background jobs, which Ctrl-C in the foreground must not end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"from udpcore.cli import main; sys.exit(main(['recv', '{port}', '-c', '1']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        read_until(process.stdout, "Ctrl-C")
        process.send_signal(signal.SIGINT)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"hello", ("127.0.0.1", port))
        assert " hello" in process.communicate(timeout=20)[0]
    assert process.returncode == 0


def test_every_verb_that_lasts_is_tried_here():
    """`plot` draws and is done."""
    from udpcore.cli._main import VERBS

    here = Path(__file__).read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f'["{verb}"' not in here and f"'{verb}'" not in here] == [
        "plot"
    ]
