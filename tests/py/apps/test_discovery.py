"""Discovery: plain peers both ways, garbage, several services, asyncio."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

import pytest

from udpcore.apps import ServiceDiscovery


@pytest.fixture
def announcer(serving, free_ports):
    app = ServiceDiscovery(free_ports())
    info = {"name": "web", "port": 80}
    with serving(app, lambda: app.announce_service(info)):
        yield app


def test_asks_and_is_answered_once(announcer):
    found = ServiceDiscovery(announcer.port).discover_services(timeout=1.0)
    assert found == [{"address": "127.0.0.1", "info": {"name": "web", "port": 80}}]


def test_a_plain_client_is_answered(announcer, plain):
    for junk in (b"", b"\xff", b"{}", b'{"type": "other"}'):
        plain.sendto(junk, ("127.0.0.1", announcer.port))
    request = json.dumps({"type": "discovery_request"}).encode()
    plain.sendto(request, ("127.0.0.1", announcer.port))
    answer = json.loads(plain.recvfrom(4096)[0])
    assert answer["type"] == "service_announcement"
    assert answer["service"] == {"name": "web", "port": 80}


def test_a_plain_service_is_found(free_ports):
    port = free_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("", port))
        service.settimeout(20)

        def answer() -> None:
            while (message := service.recvfrom(4096))[0] != b"stop":
                assert json.loads(message[0]) == {"type": "discovery_request"}
                told = {"type": "service_announcement", "service": "plain"}
                service.sendto(json.dumps(told).encode(), message[1])

        thread = threading.Thread(target=answer)
        thread.start()
        found = ServiceDiscovery(port).discover_services(timeout=0.7)
        service.sendto(b"stop", ("127.0.0.1", port))
        thread.join(5)
    assert found == [{"address": "127.0.0.1", "info": "plain"}]


def test_several_services_on_one_machine(announcer, serving):
    second = ServiceDiscovery(announcer.port)
    with serving(second, lambda: second.announce_service(["printer", 2])):
        found = asyncio.run(ServiceDiscovery(announcer.port).discover_services_async(1.0))
    infos = [service["info"] for service in found]
    assert len(infos) == 2
    assert {"name": "web", "port": 80} in infos
    assert ["printer", 2] in infos


def test_watching_tells_once(announcer):
    told = []
    watcher = ServiceDiscovery(announcer.port)
    watcher.watch(lambda host, info: told.append((host, info)), timeout=0.8)
    assert told == [("127.0.0.1", {"name": "web", "port": 80})]


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        ServiceDiscovery(0).announce_service(object())


def test_nobody_there(free_ports):
    assert ServiceDiscovery(free_ports()).discover_services(timeout=0.3) == []
