"""Start a real name server, NSD, on a free loopback port with a given zone.

>>> with start_nsd(ZONE) as nsd:  # doctest: +SKIP
...     dns.resolve("www.example.test", "A", *nsd.address)

Needs the Debian package ``nsd``. The server runs in the foreground as our child, keeps all its
files in a temporary directory, and is ended by its process id.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_S = 20.0
ATTEMPTS_MAX = 5

CONFIG = """\
server:
    ip-address: {host}
    port: {port}
    do-ip6: no
    username: ""
    chroot: ""
    zonesdir: "{home}"
    database: ""
    pidfile: "{home}/nsd.pid"
    xfrdfile: "{home}/xfrd.state"
    zonelistfile: "{home}/zone.list"
    cookie-secret-file: "{home}/cookies"
    answer-cookie: {cookies}
    server-count: {workers}
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    minimal-responses: no
    verbosity: 1
remote-control:
    control-enable: no
"""
ZONE = 'zone:\n    name: "{origin}"\n    zonefile: "{path}"\n'


@dataclass(frozen=True)
class Nsd:
    """A running server: ``address`` is ``(host, port)``."""

    address: tuple[str, int]
    pid: int


@contextlib.contextmanager
def start_nsd(
    zone_text: str | Mapping[str, str],
    origin: str = "example.test",
    *,
    workers: int = 1,
    cookies: bool = False,
) -> Iterator[Nsd]:
    """Serve `zone_text` (or a mapping of origin to text) until the block ends."""
    program = shutil.which("nsd") or shutil.which("nsd", path="/usr/sbin:/sbin")
    if program is None:
        raise RuntimeError("nsd is not installed; run: apt-get install nsd")
    zones = {origin: zone_text} if isinstance(zone_text, str) else dict(zone_text)
    with (
        tempfile.TemporaryDirectory(prefix="udpcore-nsd-") as home,
        contextlib.ExitStack() as stack,
    ):
        process, port = _run(program, Path(home), zones, workers, cookies)
        stack.callback(end, process)
        yield Nsd(("127.0.0.1", port), process.pid)


def zone_of_hosts(origin: str, count: int) -> tuple[str, list[str]]:
    """Return a zone with `count` (at most 254) addresses, and the names of its hosts."""
    soa = f"@ 3600 IN SOA ns.{origin}. admin.{origin}. 1 3600 900 604800 60"
    lines = [soa, f"@ 3600 IN NS ns.{origin}.", "ns 3600 IN A 192.0.2.255"]
    lines += [f"host-{number} 3600 IN A 192.0.2.{number}" for number in range(1, count + 1)]
    return "\n".join(lines) + "\n", [f"host-{n}.{origin}" for n in range(1, count + 1)]


def _run(
    program: str, home: Path, zones: Mapping[str, str], workers: int, cookies: bool
) -> tuple[subprocess.Popen[bytes], int]:
    said = ""
    for _ in range(ATTEMPTS_MAX):
        port = free_port()
        answer_cookie = "yes" if cookies else "no"
        config = CONFIG.format(
            host="127.0.0.1", port=port, home=home, workers=workers, cookies=answer_cookie
        )
        for number, (origin, text) in enumerate(zones.items()):
            path = home / f"{number}.zone"
            path.write_text(text, encoding="utf-8")
            config += ZONE.format(origin=origin, path=path)
        (home / "nsd.conf").write_text(config, encoding="utf-8")
        log = home / "log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [program, "-d", "-c", str(home / "nsd.conf")], stdout=sink, stderr=sink
            )
        if answers(process, port):
            return process, port
        end(process)
        said = log.read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"nsd did not start:\n{said}")


def answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers over UDP; ask for the root, any response code will do."""
    question = bytes.fromhex("0007 0000 0001 0000 0000 0000 00 0006 0001")
    deadline = time.monotonic() + START_TIMEOUT_S
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", port))
        probe.settimeout(0.05)
        while time.monotonic() < deadline and process.poll() is None:
            try:
                probe.send(question)
                return probe.recv(512)[:2] == question[:2]
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                # Not bound yet: give the processor to the one who binds.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
    return False


def free_port() -> int:
    """A port that is free for UDP and for TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def end(process: subprocess.Popen[bytes]) -> None:
    """End a child, politely first."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
