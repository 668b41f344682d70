"""Every application as a program: both doors, --help, Ctrl-C with a summary, wrong arguments."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time

import pytest

#: module of udpcore.apps -> verb of the command.
DOORS = {
    "dhcp": "dhcp",
    "discovery": "discover",
    "echo": "echo",
    "game": "game",
    "metrics": "metrics",
    "multicast": "multicast",
    "multicast_video": "stream",
    "rate": "rate",
    "rtt": "ping",
    "video": "video",
    "voip": "voip",
}
VERBS = [*sorted(DOORS.values()), "doctor", "packet", "recv", "send"]


def command(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "udpcore", *words],
        capture_output=True,
        text=True,
        timeout=30,
        **options,
    )


@pytest.mark.parametrize("module", DOORS)
def test_both_doors_lead_to_the_same_help(module):
    by_module = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"udpcore.apps.{module}", "--help"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert by_module.returncode == 0, by_module.stderr
    assert by_module.stdout == command(DOORS[module], "--help").stdout
    assert "examples:" in by_module.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_option_says_which_was_meant(verb):
    done = command(verb, "--jsom")
    assert done.returncode == 2
    assert "udpcore" in done.stderr
    assert "--help" in done.stderr


SERVERS = {
    "echo": ["echo", "--port", "0"],
    "raw tcp echo": ["echo", "--tcp", "--port", "0"],
    "game": ["game", "--port", "0"],
    "metrics": ["metrics", "--port", "0"],
    "video": ["video", "recv", "0"],
    "announce": ["discover", "--announce", "x", "--port", "47023"],
    "voip": ["voip", "127.0.0.1:9", "--port", "0", "--source", "tone", "--sink", "none"],
    "rate": ["rate", "127.0.0.1:9", "--rate", "100"],
    "send video": ["video", "send", "127.0.0.1:9", "--source", "test"],
}


@pytest.mark.parametrize("name", SERVERS)
def test_ctrl_c_ends_it_at_once_with_a_summary(name):
    words = [sys.executable, "-m", "udpcore", *SERVERS[name]]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stderr
        while "Ctrl-C" not in program.stderr.readline():
            pass
        time.sleep(0.2)
        began = time.monotonic()
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=10)
        seconds = time.monotonic() - began
    assert program.returncode == 130, err
    assert "Traceback" not in err
    assert re.search(r"seconds \d", out), out
    # 0.3 s on an idle machine; the tests share theirs.
    assert seconds < 1.0


def test_send_and_recv_and_ping_and_echo():
    with subprocess.Popen(
        [sys.executable, "-m", "udpcore", "recv", "0", "-c", "1", "--host", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as recv:
        assert recv.stderr
        port = recv.stderr.readline().split()[-1]
        assert command("send", f"127.0.0.1:{port}", "hello").stdout == "sent 1\n"
        assert recv.communicate(timeout=20)[0].endswith(" hello\n")


@pytest.fixture
def echo_port():
    from udpcore.apps import UDPEchoServer

    with UDPEchoServer("127.0.0.1", 0) as server:
        server.start()
        yield server.port


def test_ping_as_words_and_as_json(echo_port):
    words = ["ping", f"127.0.0.1:{echo_port}", "-c", "5", "-i", "0.01"]
    done = command(*words, "--histogram")
    assert done.returncode == 0
    assert done.stdout.count(" ms\n") >= 5
    assert "5 sent, 5 received, 0.0% loss" in done.stdout
    numbers = json.loads(command(*words, "--json").stdout)
    assert numbers["received"] == 5
    assert numbers["min_ms"] <= numbers["p50_ms"] * 1.01
    assert sum(numbers["histogram"]) == 5


def test_echo_client_words_and_lines(echo_port):
    to = ["echo", "--to", f"127.0.0.1:{echo_port}"]
    assert command(*to, "salut", "toi").stdout == "ECHO: salut toi\n"
    assert command(*to, input="a\nb\n").stdout == "ECHO: a\nECHO: b\n"


def test_ping_of_nobody_fails():
    done = command("ping", "127.0.0.1:9", "-c", "1", "-W", "0.1")
    assert done.returncode == 1
    assert "100.0% loss" in done.stdout


def test_doctor_says_ok_or_why():
    done = command("doctor", "--json")
    findings = json.loads(done.stdout)
    assert {"udp loopback", "multicast", "ipv6"} <= {one["name"] for one in findings}
    assert all(one["ok"] or one["why"] for one in findings)
    assert command("doctor").stdout.count("\n") >= len(findings)


def test_packet_draws_hex():
    done = command("packet", "--first", "udp", "--hex", "14e9 0035 000a 0000 6869")
    assert done.returncode == 0
    assert "source port = 5353" in done.stdout
    assert command("packet").returncode == 2


def test_discover_finds_an_announcement():
    words = [sys.executable, "-m", "udpcore", "discover", "--port", "47021"]
    with subprocess.Popen(
        [*words, "--announce", '{"name": "web"}'], stderr=subprocess.PIPE, text=True
    ) as announcer:
        assert announcer.stderr
        announcer.stderr.readline()
        done = subprocess.run(
            [*words, "--timeout", "1", "--json"], capture_output=True, text=True, timeout=30
        )
        announcer.send_signal(signal.SIGINT)
    assert json.loads(done.stdout) == [{"address": "127.0.0.1", "info": {"name": "web"}}]


def test_video_and_stream_refuse_what_cannot_be(tmp_path):
    assert "is not HOST:PORT" in command("video", "send", "nowhere").stderr
    assert "is not a file" in command("stream", "send", str(tmp_path / "none")).stderr
    missing = command("video", "send", "127.0.0.1:9", "--source", str(tmp_path / "none.mp4"))
    assert missing.returncode == 1
    assert "give test, camera" in missing.stderr
