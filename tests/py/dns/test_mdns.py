"""Names and services of the local network, with python-zeroconf as the real responder."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import zeroconf
from lan import Lan

from udpcore import dns

HERE = "127.0.0.1"
KIND = "_udpcore-test._tcp.local."


@pytest.fixture(scope="module")
def responder() -> Iterator[str]:
    """Two services of one host, announced on the loopback interface only."""
    peer = zeroconf.Zeroconf(interfaces=[HERE], ip_version=zeroconf.IPVersion.V4Only)
    infos = [
        zeroconf.ServiceInfo(
            KIND,
            f"{name}.{KIND}",
            addresses=[socket.inet_aton(HERE)],
            port=port,
            properties={"path": "/x", "empty": ""},
            server="udpcore-test-host.local.",
        )
        for name, port in (("Größe & Co 1", 8001), ("second", 8002))
    ]
    for info in infos:
        peer.register_service(info)
    yield "udpcore-test-host.local"
    peer.close()


def test_a_host_is_found(responder: str) -> None:
    records = dns.mdns_query(responder, timeout=20, interface=HERE)
    assert [record.data for record in records] == [dns.A(HERE)]
    assert records[0].name.lower() == f"{responder}."


def test_services_are_found(responder: str) -> None:
    found = {service.port: service for service in dns.browse(KIND, timeout=4, interface=HERE)}
    assert set(found) == {8001, 8002}
    assert found[8001].name == "Größe & Co 1"
    assert found[8002] == dns.Service(
        "second", "udpcore-test-host.local.", 8002, (HERE,), {"path": "/x", "empty": ""}
    )
    kinds = dns.browse(timeout=2, interface=HERE)
    assert KIND in [service.name for service in kinds]


RESPONDER = """
import sys, zeroconf
version = getattr(zeroconf.IPVersion, sys.argv[1])
peer = zeroconf.Zeroconf(ip_version=version)
kind = "_udpcore-test._tcp.local."
peer.register_service(zeroconf.ServiceInfo(
    kind, f"far.{kind}", port=8003, server="far-host.local.", parsed_addresses=[sys.argv[2]]))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("version", [4, 6])
def test_another_machine_is_found_over_either_version(version: int) -> None:
    """It speaks one IP version only; no interface is named here, and there are two."""
    with Lan() as lan:
        address = lan.address("b", version)
        words = [sys.executable, "-c", RESPONDER, f"V{version}Only", address]
        peer = lan.start("b", *words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert peer.stdout
        assert peer.stdout.readline() == "ready\n"
        rdtype = "A" if version == 4 else "AAAA"
        records = lan.inside("a", lambda: dns.mdns_query("far-host.local", rdtype, timeout=20))
        assert [record.data.address for record in records] == [address]
        found = lan.inside("a", lambda: dns.browse(KIND, timeout=4, interface="eth0"))
        assert [(one.name, one.port, one.addresses) for one in found] == [("far", 8003, (address,))]
        on_loopback = lan.inside("a", lambda: dns.browse(KIND, timeout=0.4, interface="lo"))
        assert on_loopback == []


def test_nobody_is_an_empty_list() -> None:
    assert dns.mdns_query("nobody-here.local", timeout=0.1, interface=HERE) == []
    assert dns.browse("_nothing._udp", timeout=0.1, interface=HERE) == []


def test_what_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="timeout"):
        dns.mdns_query("a.local", timeout=0)
    with pytest.raises(ValueError, match="label"):
        dns.mdns_query("a..local", timeout=1, interface=HERE)
    with pytest.raises(OSError, match=r"assign|address"):
        dns.mdns_query("a.local", timeout=1, interface="192.0.2.1")


def test_strangers_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers from another port than 5353 are none, nor is what cannot be parsed."""
    from udpcore.dns import _link

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((HERE, 0))
        group, port = stranger.getsockname()
        monkeypatch.setattr(_link, "GROUP", group)

        def answer() -> None:
            while True:
                query, source = stranger.recvfrom(9000)
                if not query:
                    return
                question = dns.parse(query).questions
                record = dns.Record("a.local", "A", 60, dns.A("192.0.2.1"))
                good = dns.Message(0, 0x8400, 0, question, [record]).to_wire()
                for wire in (good[:20], b"", good):
                    stranger.sendto(wire, source)

        monkeypatch.setattr(_link, "PORT", port)
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            assert len(dns.mdns_query("a.local", timeout=20)) == 1
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as proxy:
                proxy.bind((HERE, 0))
                # The same answers, but not from the port that was asked.
                monkeypatch.setattr(_link, "PORT", proxy.getsockname()[1])
                assert dns.mdns_query("a.local", timeout=0.1) == []
        finally:
            stranger.sendto(b"", (group, port))
            thread.join()
