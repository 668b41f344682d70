"""udpcore sockets among strangers: the standard class, asyncio, ssl, multiprocessing, patch()."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import Any

import pytest

import udpcore


@pytest.mark.parametrize("timeout", [None, 0.0, 2.5])
def test_there_and_back(timeout: float | None) -> None:
    ours = udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM)
    ours.settimeout(timeout)
    ours.bind(("127.0.0.1", 0))
    address = ours.getsockname()
    standard = udpcore.to_stdlib(ours)
    assert type(standard) is socket.socket
    assert (standard.getsockname(), standard.gettimeout()) == (address, timeout)
    assert ours.fileno() == -1
    again = udpcore.from_stdlib(standard)
    assert type(again) is udpcore.socket
    assert (again.getsockname(), again.gettimeout()) == (address, timeout)
    assert standard.fileno() == -1
    again.close()


def test_a_tls_socket_is_not_taken_apart() -> None:
    import ssl

    left, right = socket.socketpair()
    context = ssl.create_default_context()
    tls = context.wrap_socket(left, do_handshake_on_connect=False, server_hostname="x")
    with right, tls, pytest.raises(TypeError, match="SSLSocket"):
        udpcore.from_stdlib(tls)


def run_async(main: Any) -> Any:
    return asyncio.run(asyncio.wait_for(main, 20))


def test_asyncio_low_level(sock: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with sock.create_server(("127.0.0.1", 0)) as server, sock.socket() as client:
            server.setblocking(False)
            client.setblocking(False)
            accepting = asyncio.create_task(loop.sock_accept(server))
            await loop.sock_connect(client, server.getsockname())
            connection, _ = await accepting
            with connection:
                await loop.sock_sendall(client, b"x" * 1_000_00)
                received = bytearray()
                while len(received) < 1_000_00:
                    received += await loop.sock_recv(connection, 65536)
                room = bytearray(10)
                await loop.sock_sendall(connection, b"back")
                assert await loop.sock_recv_into(client, room) == 4
        with sock.socket(sock.AF_INET, sock.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
            await loop.sock_sendto(one, b"datagram", one.getsockname())
            assert await loop.sock_recvfrom(one, 100) == (b"datagram", one.getsockname())

    run_async(main())


def test_asyncio_datagram_endpoint(sock: Any) -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data.upper(), addr)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        one = sock.socket(sock.AF_INET, sock.SOCK_DGRAM)
        one.bind(("127.0.0.1", 0))
        transport, _ = await loop.create_datagram_endpoint(Echo, sock=one)
        with sock.socket(sock.AF_INET, sock.SOCK_DGRAM) as client:
            client.setblocking(False)
            await loop.sock_sendto(client, b"quiet", transport.get_extra_info("sockname"))
            assert (await loop.sock_recvfrom(client, 100))[0] == b"QUIET"
        transport.close()
        await asyncio.sleep(0)

    run_async(main())


def test_asyncio_streams(sock: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        listener = sock.create_server(("127.0.0.1", 0))
        server = await asyncio.start_server(serve, sock=listener)
        client = sock.create_connection(listener.getsockname())
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(b"line\n")
        assert await reader.readline() == b"LINE\n"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run_async(main())


PATCHED = """
import udpcore
assert udpcore.patch() is udpcore
import socket
assert socket is udpcore
import http.client, http.server, ssl, threading, urllib.request
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
assert isinstance(server.socket, udpcore.socket)
context = ssl.create_default_context()
left, right = socket.socketpair()
tls = context.wrap_socket(left, do_handshake_on_connect=False, server_hostname="x")
assert left.fileno() == -1
print(type(tls).__name__)
tls.close()
right.close()
server.server_close()
"""

SHARED = """
import multiprocessing
import {first}
import {second}

def child(pipe):
    s = pipe.recv()
    assert type(s) is udpcore.socket, type(s)
    s.sendto(b"from the child", s.getsockname())
    s.close()
    pipe.send("sent")

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    parent_end, child_end = context.Pipe()
    process = context.Process(target=child, args=(child_end,))
    process.start()
    with udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM) as s:
        s.settimeout(20)
        s.bind(("127.0.0.1", 0))
        parent_end.send(s)
        assert parent_end.recv() == "sent"
        print(s.recv(100).decode())
    process.join()
    print(process.exitcode)
"""


def run(arguments: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_patch() -> None:
    assert run(["-c", PATCHED]) == "SSLSocket\n"


@pytest.mark.parametrize("early", [True, False], ids=["imported before", "imported after"])
def test_sockets_travel_between_processes(tmp_path: Any, early: bool) -> None:
    names = ["multiprocessing.reduction", "udpcore"]
    first, second = names if early else reversed(names)
    path = tmp_path / "share.py"
    path.write_text(SHARED.format(first=first, second=second))
    assert run([str(path)]) == "from the child\n0\n"
