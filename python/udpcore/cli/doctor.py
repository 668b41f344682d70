"""``udpcore doctor``: what this machine's network can do: ok, or why not and how to mend it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import udpcore as socket
from udpcore._interfaces import interfaces
from udpcore.apps._groups import open_receiver, open_sender, send_to_group
from udpcore.cli._apps import print_json, tell
from udpcore.cli._parser import EXIT_FAILED, EXIT_OK, Parser

EXAMPLES = """\
examples:
  udpcore doctor                   ok, or why not and how to mend it
  sudo udpcore doctor              the same with root's rights
  udpcore doctor --json            for programs
  NO_COLOR=1 udpcore doctor        without colours"""
BUFFER_BYTES_WANTED = 4 << 20
SOL_UDP, UDP_SEGMENT, UDP_GRO, SO_BINDTODEVICE = 17, 103, 104, 25
WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; `fix` is what to do when it is not ok."""

    name: str
    ok: bool
    why: str
    fix: str = ""
    needed: bool = True
    """Without it something of udpcore does not work at all."""


def main(prog: str, argv: list[str]) -> int:
    """Check everything; 1 when something that is needed does not work."""
    parser = Parser(prog, "Check what this machine's network can do.", EXAMPLES)
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    arguments = parser.parse_args(argv)
    findings: list[Finding] = []
    try:
        for check in CHECKS:
            findings.append(_guarded(check))
            if not arguments.json:
                _show(findings[-1])
    finally:
        if arguments.json:
            print_json([asdict(finding) for finding in findings])
        if len(findings) < len(CHECKS):
            tell(f"{len(findings)} of {len(CHECKS)} checks were made")
    return EXIT_OK if all(one.ok or not one.needed for one in findings) else EXIT_FAILED


def _show(finding: Finding) -> None:
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    word, code = ("ok", 32) if finding.ok else ("no", 31 if finding.needed else 33)
    mark = f"\x1b[{code}m{word}\x1b[0m" if colour else word
    print(f"{mark}  {finding.name:<22} {finding.why}")
    if not finding.ok and finding.fix:
        print(f"      fix: {finding.fix}")
    sys.stdout.flush()


def _guarded(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except (OSError, AttributeError) as error:
        name = check.__name__.strip("_").replace("_", " ")
        fix = (check.__doc__ or "").partition("Fix: ")[2].strip()
        return Finding(name, False, str(error), fix, needed="Needed." in (check.__doc__ or ""))


def _udp_loopback() -> Finding:
    """Needed. Fix: ip link set lo up"""
    with _pair(socket.AF_INET, "127.0.0.1") as sock:
        sock.sendto(b"?", sock.getsockname())
        sock.recvfrom(16)
    return Finding("udp loopback", True, "a datagram came back")


def _ipv6() -> Finding:
    """Fix: sysctl net.ipv6.conf.all.disable_ipv6=0"""
    with _pair(socket.AF_INET6, "::1") as sock:
        sock.sendto(b"?", sock.getsockname())
        sock.recvfrom(16)
    return Finding("ipv6", True, "a datagram came back on ::1")


def _multicast() -> Finding:
    """Fix: ip link set lo multicast on; ip route add 224.0.0.0/4 dev lo"""
    with open_receiver("239.255.70.21", 0) as receiver, open_sender("239.255.70.21") as sender:
        receiver.settimeout(WAIT_SECONDS)
        send_to_group(sender, b"?", ("239.255.70.21", receiver.getsockname()[1]))
        receiver.recvfrom(16)
    return Finding("multicast", True, "a datagram to 239.255.70.21 came back")


def _broadcast() -> Finding:
    """Fix: ip link set INTERFACE up; ip addr add ADDRESS/24 brd + dev INTERFACE"""
    found = [one for one in interfaces() if one.is_up and one.broadcast]
    names = ", ".join(one.name for one in found) or "none"
    if not found:
        fix = "ip addr add ADDRESS/24 brd + dev INTERFACE"
        return Finding("broadcast", False, "no interface broadcasts", fix, needed=False)
    with _pair(socket.AF_INET, "0.0.0.0") as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for one in found:
            # Its own broadcast comes back to the sender: it went out.
            sock.sendto(b"?", (one.broadcast or "", sock.getsockname()[1]))
            sock.recvfrom(16)
    return Finding("broadcast", True, f"a datagram came back by {names}", needed=False)


def _buffers() -> Finding:
    """Fix: sysctl net.core.rmem_max=4194304 net.core.wmem_max=4194304"""
    limits = {name: int(Path(f"/proc/sys/net/core/{name}").read_text()) for name in BUFFERS}
    return Finding(
        "socket buffers",
        min(limits.values()) >= BUFFER_BYTES_WANTED,
        ", ".join(f"{name} {value}" for name, value in limits.items()),
        " ".join(["sysctl", *(f"net.core.{name}={BUFFER_BYTES_WANTED}" for name in BUFFERS)]),
        needed=False,
    )


def _segmentation_offload() -> Finding:
    """Fix: a kernel of 4.18 or later (GSO) and 5.0 or later (GRO)"""
    with _pair(socket.AF_INET, "127.0.0.1") as sock:
        sock.setsockopt(SOL_UDP, UDP_SEGMENT, 1200)
        sock.setsockopt(SOL_UDP, UDP_GRO, 1)
    return Finding("GSO and GRO", True, "the kernel cuts and joins datagrams", needed=False)


def _raw_packets() -> Finding:
    """Fix: run as root, or: setcap cap_net_raw+ep on the Python that runs this"""
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    return Finding("raw packets", True, "CAP_NET_RAW is there", needed=False)


def _low_ports() -> Finding:
    """Fix: run as root, or: sysctl net.ipv4.ip_unprivileged_port_start=0"""
    start = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    ok = os.geteuid() == 0 or start <= 68
    return Finding(
        "ports below 1024",
        ok,
        f"free from {start} on{', and this is root' if os.geteuid() == 0 else ''}",
        "run as root, or: sysctl net.ipv4.ip_unprivileged_port_start=0",
        needed=False,
    )


def _pair(family: int, host: str) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.bind((host, 0))
    except OSError:
        sock.close()
        raise
    sock.settimeout(WAIT_SECONDS)
    return sock


BUFFERS = ("rmem_max", "wmem_max")
CHECKS: list[Callable[[], Finding]] = [
    _udp_loopback,
    _ipv6,
    _multicast,
    _broadcast,
    _buffers,
    _segmentation_offload,
    _raw_packets,
    _low_ports,
]
