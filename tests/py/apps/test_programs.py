"""Every application as a program: both doors, --help, Ctrl-C with a summary, wrong arguments."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest

#: module of udpcore.apps -> verb of the command.
DOORS = {
    "dhcp": "dhcp",
    "discovery": "discover",
    "echo": "echo",
    "game": "game",
    "game_events": "game",
    "metrics": "metrics",
    "multicast": "multicast",
    "multicast_video": "stream",
    "rate": "rate",
    "rtt": "ping",
    "safe": "send",
    "tcp_echo": "echo",
    "video": "video",
    "voip": "voip",
}
NOBODY = "127.0.0.1:9"
VERBS = [*sorted(set(DOORS.values())), "doctor", "packet", "recv"]


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
    assert by_module.stdout == command(module, "--help").stdout
    assert "examples:" in by_module.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_option_says_which_was_meant(verb):
    needed = {"ping": [NOBODY], "rate": [NOBODY], "recv": ["0"], "send": [NOBODY], "voip": [NOBODY]}
    needed |= {"multicast": ["recv"], "stream": ["recv", "x"], "video": ["recv", "0"]}
    done = command(verb, *needed.get(verb, []), "--jsom")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"udpcore {verb}: unknown argument '--jsom'; did you mean '--json'?" in done.stderr
    assert f"Try 'udpcore {verb} --help'." in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_help_teaches_by_example(verb):
    shown = command(verb, "--help").stdout
    assert shown.partition("examples:")[2].count(f"udpcore {verb}") >= 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["ping", "nowhere"], "'nowhere' is not HOST:PORT"),
        (["ping", "nobody.invalid:9"], "'nobody.invalid': "),
        (["ping", "h:70000"], "'70000' is not a port of 0 to 65535"),
        (["ping", NOBODY, "-c", "0"], "'0' is not a whole number above 0"),
        (["rate", NOBODY, "--rate", "-5"], "'-5' is not a number above 0"),
        (["metrics", "--flush", "x"], "'x' is not a number above 0"),
        (["echo", "hello"], "a message needs --to HOST:PORT"),
        (["discover", "--port", "http"], "'http' is not a port"),
        (["video", "recv", "h:1"], "'h:1' is not a port"),
        (["stream", "send", "/none"], "/none is not a file: give one to send"),
        (["packet"], "give a capture file, or --hex"),
        (["packet", "/none"], "there is no file '/none'"),
        (["packet", "--hex", "zz"], "'zz' is not bytes in hex, such as"),
        (["packet", "--hex", "45", "--first", "ipv5"], "known are ethernet"),
        (["plot", "/none"], "there is no file '/none'"),
        (["send", NOBODY, "--hex", "xy"], "'xy' is not bytes in hex"),
        (["rate", NOBODY, "--size", "70000"], "not a whole number from 1 to 65507"),
        (["video", "send", NOBODY, "--quality", "96"], "not a whole number from 1 to 95"),
        (["multicast", "snd"], "'snd' is not one of send, recv; did you mean 'send'?"),
        (["multicast"], "are required: send|recv\n"),
        (["multicast", "send", "x", "--ttl", "256"], "not a whole number from 0 to 255"),
        (["multicast", "recv", "--group", "224.1.1"], "'224.1.1' is no IPv4 or IPv6 address"),
        (["voip", NOBODY, "--codec", "opuss"], "did you mean 'opus'?"),
        (["dns", "a.test", "+shrt"], "did you mean '+short'?"),
        (["dns", "--many", "/none"], "there is no file '/none'"),
        (["--verson"], "did you mean '--version'?"),
        (["discovry"], "did you mean 'discovery'?"),
    ],
)
def test_wrong_arguments_say_what_and_why(words, why):
    done = command(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (
            ["echo", "--host", "203.0.113.9"],
            "echo: Cannot assign requested address: 203.0.113.9, port",
        ),
        (["echo", "--tcp", "--to", "127.0.0.1:1", "x"], "Connection refused: 127.0.0.1, port 1"),
        (["multicast", "recv", "--interface", "nope"], "no interface has the name or IPv4 address"),
        (["multicast", "recv", "--interface", "nope"], "there are: lo"),
        (["stream", "recv", "/none/x"], "stream: /none/x: No such file or directory"),
        (["recv", "1", "--host", "203.0.113.9"], "203.0.113.9, port 1"),
    ],
)
def test_what_the_system_refuses_is_said_in_words_with_the_value(words, why):
    done = command(*words)
    assert done.returncode == 1
    assert why in done.stderr
    assert "Errno" not in done.stderr
    assert "Traceback" not in done.stderr


def test_options_may_stand_between_the_words(plain):
    address = "{}:{}".format(*plain.getsockname())
    done = command("send", address, "--hex", "de ad", "--json", "be ef")
    assert json.loads(done.stdout)["bytes"] == 4
    assert (plain.recv(16), plain.recv(16)) == (b"\xde\xad", b"\xbe\xef")


def on_a_terminal(*words: str, **variables: str) -> bytes:
    """What a program shows on a terminal."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        [sys.executable, "-m", "udpcore", *words],
        stdout=theirs,
        stderr=theirs,
        env=environment | {"TERM": "xterm"} | variables,
    ):
        os.close(theirs)
        shown = b""
        # The terminal is closed with the program: then reading fails.
        with contextlib.suppress(OSError):
            while data := os.read(ours, 4096):
                shown += data
    os.close(ours)
    return shown


def test_colours_on_a_terminal_and_none_with_no_color():
    assert b"\x1b[32mok\x1b[0m" in on_a_terminal("doctor")
    assert b"\x1b" not in on_a_terminal("doctor", NO_COLOR="1")
    assert "\x1b" not in command("doctor").stdout


def test_send_and_recv_and_ping_and_echo():
    with subprocess.Popen(
        [sys.executable, "-m", "udpcore", "recv", "0", "-c", "1", "--host", "127.0.0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as recv:
        assert recv.stderr
        port = re.findall(r"port (\d+)", recv.stderr.readline())[0]
        assert command("send", f"127.0.0.1:{port}", "hello").stdout.startswith("sent 1, bytes 5,")
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


def test_a_name_is_looked_up_and_ipv6_is_spoken():
    from udpcore.apps import UDPEchoServer

    with UDPEchoServer("::1", 0) as server:
        server.start()
        done = command("ping", f"[::1]:{server.port}", "-c", "2", "-i", "0.01")
        assert "2 sent, 2 received" in done.stdout
    with UDPEchoServer("127.0.0.1", 0) as server:
        server.start()
        done = command("echo", "--to", f"localhost:{server.port}", "salut")
        assert done.stdout == "ECHO: salut\n"


def test_echo_client_words_and_lines(echo_port):
    to = ["echo", "--to", f"127.0.0.1:{echo_port}"]
    assert command(*to, "salut", "toi").stdout == "ECHO: salut toi\n"
    assert command(*to, input="a\nb\n").stdout == "ECHO: a\nECHO: b\n"


def test_ping_shows_each_echo_as_it_comes(echo_port):
    """The first line is there while the next probe waits for its turn, an hour later."""
    words = ["ping", f"127.0.0.1:{echo_port}", "--interval", "3600"]
    with subprocess.Popen(
        [sys.executable, "-m", "udpcore", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout
        assert program.stdout.readline().startswith(f"#0 from 127.0.0.1:{echo_port}: ")
        program.send_signal(signal.SIGINT)
        out = program.communicate(timeout=20)[0]
    assert "1 sent, 1 received, 0.0% loss" in out
    assert program.returncode == 130


def test_ping_through_the_bad_link_says_what_is_lost(echo_port, bad_link):
    with bad_link(("127.0.0.1", echo_port)) as proxy:
        host, port = proxy.address
        done = command("ping", f"{host}:{port}", "-c", "200", "-i", "0.005", "-W", "3", "--json")
    numbers = json.loads(done.stdout)
    # 19 % of the round trips are lost; 200 of them lie within 4 deviations (11 %).
    assert 0.08 < numbers["loss"] < 0.30
    assert numbers["duplicates"] > 0
    assert numbers["out_of_order"] > 0
    assert numbers["jitter_ms"] > 0
    assert numbers["min_ms"] >= 14


def test_ping_of_nobody_fails():
    done = command("ping", "127.0.0.1:9", "-c", "1", "-W", "0.1")
    assert done.returncode == 1
    assert "100.0% loss" in done.stdout
    assert "rtt" not in done.stdout
    numbers = json.loads(command("ping", NOBODY, "-c", "1", "-W", "0.1", "--json").stdout)
    assert (numbers["min_ms"], numbers["p50_ms"], numbers["loss"]) == (None, None, 1.0)


CHECKS = {"udp loopback", "ipv6", "multicast", "broadcast", "socket buffers", "GSO and GRO"}
CHECKS |= {"raw packets", "ports below 1024"}


def test_doctor_says_ok_or_why():
    done = command("doctor", "--json")
    findings = json.loads(done.stdout)
    assert {one["name"] for one in findings} <= CHECKS | {"segmentation offload", "buffers"}
    assert len(findings) == len(CHECKS)
    assert all(one["ok"] or (one["why"] and one["fix"]) for one in findings)
    assert command("doctor").stdout.count("\n") >= len(findings)


def test_doctor_finds_everything_well_on_a_network_of_its_own(lan):
    process = lan.start(
        "a", sys.executable, "-m", "udpcore", "doctor", "--json", stdout=subprocess.PIPE
    )
    findings = {one["name"]: one for one in json.loads(process.communicate(timeout=50)[0])}
    for name in ("udp loopback", "ipv6", "multicast", "broadcast", "raw packets"):
        assert findings[name]["ok"], findings[name]


def test_doctor_says_why_and_how_to_mend_it_where_there_is_nothing():
    """A namespace with nothing but a loopback that is switched off, and no rights."""
    words = ["unshare", "--net", "setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    words += [sys.executable, "-m", "udpcore", "doctor"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert "fix: ip link set lo up" in done.stdout
    assert "setcap cap_net_raw+ep" in done.stdout
    assert "Traceback" not in done.stderr


def test_packet_draws_hex():
    done = command("packet", "--first", "udp", "--hex", "14e9 0035 000a 0000 6869")
    assert done.returncode == 0
    assert "source port = 5353" in done.stdout
    assert command("packet").returncode == 2


def test_discover_finds_an_announcement(free_ports):
    words = [sys.executable, "-m", "udpcore", "discover", "--port", str(free_ports())]
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
