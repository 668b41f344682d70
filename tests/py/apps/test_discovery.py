"""Discovery: plain peers both ways, garbage, other machines, expiry, asyncio, a bad network."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

from udpcore.apps import ServiceDiscovery
from udpcore.apps.discovery import GROUP

PORT = 37020


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


@contextlib.contextmanager
def announced(network, side, info, wait_until):
    """A service on one side of a network, for the length of a block."""
    service = ServiceDiscovery(PORT)
    done = network.begin(side, lambda: service.announce_service(info))
    wait_until(lambda: service.running)
    try:
        yield service
    finally:
        service.close()
        done.result(20)


def test_another_machine_is_found(lan, wait_until):
    with announced(lan, "b", "printer", wait_until):
        found = lan.inside("a", lambda: ServiceDiscovery().discover_services(1.0))
    assert found == [{"address": lan.address("b"), "info": "printer"}]


def test_questions_go_out_by_broadcast_and_by_multicast(lan):
    """Plain listeners on the other machine: one has joined the group, one has not."""

    def listen() -> tuple[socket.socket, socket.socket]:
        by_broadcast = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        by_broadcast.bind(("", PORT))
        by_multicast = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        by_multicast.bind((GROUP, PORT + 1))
        ours = socket.inet_aton(lan.address("b"))
        request = struct.pack("4s4s", socket.inet_aton(GROUP), ours)
        by_multicast.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        return by_broadcast, by_multicast

    for listener, port in zip(lan.inside("b", listen), (PORT, PORT + 1), strict=True):
        with listener:
            listener.settimeout(20)
            lan.inside("a", lambda port=port: ServiceDiscovery(port).discover_services(0.2))
            assert json.loads(listener.recv(100)) == {"type": "discovery_request"}


def test_through_the_bad_network_every_service_is_found(bad_lan, wait_until):
    """What the user sees: the question is asked each half second until the time is over."""
    with announced(bad_lan, "b", 1, wait_until), announced(bad_lan, "b", [2], wait_until):
        found = bad_lan.inside("a", lambda: ServiceDiscovery().discover_services(3.0))
    assert sorted(str(service["info"]) for service in found) == ["1", "[2]"]


def test_who_is_silent_is_gone(free_ports):
    port = free_ports()
    watcher = ServiceDiscovery(port, lifetime=0.4)
    happened = []
    service = ServiceDiscovery(port)
    announcing = threading.Thread(target=service.announce_service, args=("lamp",))
    announcing.start()
    try:
        for event in watcher.events(timeout=30, again=0.1):
            happened += [event] if event else []
            if happened and service.running:
                service.close()
            if len(happened) == 2:
                break
    finally:
        service.close()
        announcing.join(20)
    assert happened == [("new", "127.0.0.1", "lamp"), ("gone", "127.0.0.1", "lamp")]


def test_asyncio_finds_and_a_cancelled_task_stops(free_ports):
    async def story() -> list[dict[str, object]]:
        port = free_ports()
        service = ServiceDiscovery(port)
        announcing = asyncio.create_task(service.announce_service_async("lamp"))
        while not service.running:
            await asyncio.sleep(0.01)
        found = await ServiceDiscovery(port).discover_services_async(0.7)
        announcing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await announcing
        assert not service.running
        return found

    assert asyncio.run(story()) == [{"address": "127.0.0.1", "info": "lamp"}]


def test_the_command_draws_a_live_table_on_a_terminal(announcer):
    ours, theirs = pty.openpty()
    words = ["discover", "--watch", "--port", str(announcer.port)]
    with subprocess.Popen(
        [sys.executable, "-m", "udpcore", *words], stdout=theirs, stderr=subprocess.DEVNULL
    ) as program:
        os.close(theirs)
        shown = b""
        deadline = time.monotonic() + 30
        # A second drawing after the service is known: the table lives.
        while shown.count(b'"port":80') + shown.count(b'"port": 80') < 2:
            assert time.monotonic() < deadline, shown
            shown += os.read(ours, 4096)
        program.send_signal(signal.SIGINT)
        assert program.wait(20) == 130
    os.close(ours)
    assert b"\x1b[H" in shown
    assert b"silent" in shown
