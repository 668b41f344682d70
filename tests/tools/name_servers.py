"""Start Unbound and BIND's named on free loopback ports with a given zone, beside NSD.

Need the Debian packages ``unbound`` and ``bind9``. They run in the foreground as our children,
keep all their files in a temporary directory, and are ended by their process id.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nsd

UNBOUND = """\
server:
    interface: 127.0.0.1
    port: {port}
    do-ip6: no
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{home}"
    pidfile: ""
    use-syslog: no
    num-threads: 1
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    module-config: "iterator"
    minimal-responses: no
    qname-minimisation: no
    rrset-roundrobin: no
    max-udp-size: 1232
    local-zone: "{top}." nodefault
{extra}
remote-control:
    control-enable: no
auth-zone:
    name: "{origin}"
    zonefile: "{home}/zone"
    for-upstream: yes
    for-downstream: no
    fallback-enabled: no
"""
NAMED = """\
options {{
    directory "{home}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile none;
    recursion no;
    dnssec-validation no;
    minimal-responses no;
    answer-cookie no;
    max-udp-size 1232;
    check-names primary ignore;
}};
controls {{ }};
zone "{origin}" {{ type primary; file "{home}/zone"; check-names ignore; }};
"""
#: program, its configuration, its words
SERVERS = {
    "unbound": (UNBOUND, ("-d", "-p", "-c")),
    "named": (NAMED, ("-f", "-n", "1", "-c")),
}


@contextlib.contextmanager
def start(
    name: str, zone_text: str, origin: str = "example.test", extra: str = ""
) -> Iterator[tuple[str, int]]:
    """Serve `zone_text` with ``unbound`` (a resolver over the zone) or ``named``.

    `extra` are more lines for the server section of Unbound.
    """
    program = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin")
    if program is None:
        raise RuntimeError(f"{name} is not installed; run: apt-get install unbound bind9")
    config, words = SERVERS[name]
    # Unbound answers for test. by itself (RFC 6761 §6.2) unless it is told not to.
    top = origin.rpartition(".")[2]
    said = ""
    for _ in range(nsd.ATTEMPTS_MAX):
        with tempfile.TemporaryDirectory(prefix=f"udpcore-{name}-") as directory:
            home, port = Path(directory), nsd.free_port()
            (home / "zone").write_text(zone_text, encoding="utf-8")
            text = config.format(home=home, port=port, origin=origin, top=top, extra=extra)
            (home / "conf").write_text(text, encoding="utf-8")
            log = home / "log"
            with log.open("wb") as sink:
                command = [program, *words, str(home / "conf")]
                process = subprocess.Popen(command, stdout=sink, stderr=sink, cwd=home)
            try:
                if nsd.answers(process, port):
                    yield "127.0.0.1", port
                    return
            finally:
                nsd.end(process)
            said = log.read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"{name} did not start:\n{said}")
