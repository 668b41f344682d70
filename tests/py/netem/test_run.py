"""``netem run``: a command behind a bad network, in namespaces that are gone afterwards.

Needs root and the Debian packages iproute2, iputils-ping, iperf3 and curl.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = [sys.executable, "-m", "udpcore", "netem", "run"]
PATIENCE_S = 40


def run(*words, **options):
    command = [*RUN, *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options
    )


def wait_until(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def is_alive(process):
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


@pytest.mark.parametrize("code", [0, 3, 130])
def test_the_exit_code_and_the_output_are_those_of_the_command(code):
    done = run("-q", "--", "sh", "-c", f"echo out; echo err >&2; exit {code}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "out\n", "err\n")


def test_a_command_that_a_signal_ends_and_one_that_is_not_there():
    assert run("-q", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9
    done = run("-q", "--", "no-such-command")
    assert done.returncode == 127
    assert "cannot run no-such-command: No such file" in done.stderr


@pytest.mark.parametrize("target", ["$NETEM_SERVER", "$NETEM_SERVER6", "$NETEM_CLIENT", "::1"])
def test_the_far_side_and_loopback_answer(target):
    done = run("--delay", "10ms", "--", "sh", "-c", f"ping -c 2 -i 0.1 -W 9 {target}")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-2].startswith("2 packets transmitted, 2 received")
    fastest = float(done.stdout.split("= ")[-1].split("/")[0])
    assert (fastest >= 20) == ("SERVER" in target)


def test_it_sees_a_network_of_its_own():
    done = run("-q", "--", "ip", "-j", "address")
    names = {link["ifname"] for link in json.loads(done.stdout)}
    assert names == {"lo", "eth0"}
    shown = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True)
    assert not {"left", "right"} & {link["ifname"] for link in json.loads(shown.stdout)}


def test_the_far_side_echoes():
    code = """
import os, socket
server = os.environ["NETEM_SERVER"]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.settimeout(30)
    sock.sendto(b"datagram", (server, 7))
    print(sock.recv(100).decode())
with socket.create_connection((os.environ["NETEM_SERVER6"], 7), timeout=30) as conn:
    conn.sendall(b"stream")
    conn.shutdown(socket.SHUT_WR)
    print(conn.makefile().read())
"""
    done = run("-q", "--delay", "1ms", "--", sys.executable, "-c", code)
    assert done.stdout == "datagram\nstream\n", done.stderr


def test_a_server_of_its_own_iperf3():
    client = "iperf3 -c $NETEM_SERVER -n 20M --json"
    done = run("--json", "--seed", "7", "--loss", "0.1%", "--server", "iperf3 -s -1", "--", "sh",
               "-c", client)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["end"]["sum_received"]["bytes"] > 15e6
    assert done.stderr.startswith("netem run, seed 7\n")
    summary = json.loads(done.stderr.splitlines()[-1])
    assert summary["up"]["dropped"]["loss"] > 0
    for way in ("up", "down"):
        side = summary[way]
        went = side["delivered"] + sum(side["dropped"].values()) + side["queued"]
        assert side["received"] + side["duplicated"] == went


def test_curl_from_a_web_server(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1000)
    server = f"exec {sys.executable} -m http.server -d {tmp_path} 8000"
    client = "curl -sS --max-time 30 http://$NETEM_SERVER:8000/file | sha256sum"
    done = run("-q", "--delay", "5ms", "--server", server, "--", "sh", "-c", client)
    expected = subprocess.check_output(["sha256sum", str(tmp_path / "file")], text=True)
    assert done.stdout.split()[0] == expected.split()[0], done.stderr


def test_a_scenario_with_its_timeline_and_the_log(tmp_path):
    scenario, log = tmp_path / "s.toml", tmp_path / "decisions.log"
    scenario.write_text(
        'seed = 7\n[link]\nloss = "100%"\n[[timeline]]\nat = "400ms"\nlink = { loss = "0%" }\n'
    )
    client = "for n in 1 2 3 4 5 6 7 8 9; do ping -c 1 -W 1 $NETEM_SERVER && exit 0; done"
    options = ["--scenario", str(scenario), "--log", str(log)]
    done = run(*options, "--", "sh", "-c", client)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed 7" in done.stderr
    text = log.read_text()
    assert text.startswith("# netem decision log v1")
    assert " drop loss " in text
    assert " deliver - " in text


def test_the_time_is_limited():
    begin = time.monotonic()
    done = run("-q", "--duration", "200ms", "--", "sleep", "1000")
    assert done.returncode == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_nothing_stays_whatever_ends_it(tmp_path, number, code):
    """Neither the command, nor what it left in the background, nor the server."""
    # Who ignores that it is asked to end is killed.
    line = f"trap '' TERM INT; sleep 1000 & echo $$ $! > {tmp_path}/NAME.new; "
    line += f"mv {tmp_path}/NAME.new {tmp_path}/NAME; wait"
    server = line.replace("NAME", "server") + f" & exec {sys.executable} -c '{LISTEN}'"
    words = [*RUN, "-q", "--server", server, "--", "sh", "-c", line.replace("NAME", "client")]
    process = subprocess.Popen(words)
    files = [tmp_path / "client", tmp_path / "server"]
    wait_until(lambda: all(file.exists() for file in files))
    children = [int(word) for file in files for word in file.read_text().split()]
    assert all(is_alive(child) for child in children)
    process.send_signal(number)
    assert process.wait(PATIENCE_S) == code
    if number == signal.SIGKILL:
        # Nobody is left to look for what went to the background; the direct children are gone.
        wait_until(lambda: not is_alive(children[0]))
        for child in children:
            if is_alive(child):
                os.kill(child, signal.SIGKILL)
    else:
        wait_until(lambda: not any(is_alive(child) for child in children))


LISTEN = 'import socket, time; s = socket.create_server(("", 9)); time.sleep(1000)'


def test_a_server_that_does_not_come_up_is_said():
    done = run("--server", "exit 5", "--", "true")
    assert done.returncode == 1
    assert "--server: it ended before it listened: exit status: 5" in done.stderr


@pytest.mark.parametrize(("number", "capability"), [(21, "CAP_SYS_ADMIN"), (12, "CAP_NET_ADMIN"),
                                                    (13, "CAP_NET_RAW")])  # fmt: skip
def test_without_rights_it_names_the_capability(number, capability):
    drop = "import ctypes, os, sys; libc = ctypes.CDLL(None); "
    drop += f"assert libc.prctl(24, {number}, 0, 0, 0) == 0; os.execv(sys.argv[1], sys.argv[1:])"
    words = [sys.executable, "-c", drop, *RUN, "--", "true"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 2, done.stderr
    assert re.search(f"the capability {capability} is missing", done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "120%", "--", "true"], "120% is out of range"),
        (["--scenario", "/no/such.toml", "--", "true"], "/no/such.toml"),
        ([], "COMMAND"),
        (["true"], "unexpected argument 'true'"),
    ],
)
def test_a_wrong_command_line_is_explained(options, message):
    done = run(*options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
