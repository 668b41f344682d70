"""udpcore sockets and the standard class, ssl, multiprocessing, patch()."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
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


def anonymous(side: int) -> Any:
    """A TLS context without certificates."""
    import ssl

    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


def test_tls_takes_our_sockets_over(sock: Any) -> None:
    import ssl

    def serve() -> None:
        connection, _ = server.accept()
        with anonymous(ssl.PROTOCOL_TLS_SERVER).wrap_socket(connection, server_side=True) as tls:
            tls.sendall(tls.recv(100).upper())

    with sock.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        plain = sock.create_connection(server.getsockname(), timeout=20)
        with anonymous(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(plain) as tls:
            assert plain.fileno() == -1
            assert tls.gettimeout() == 20
            tls.sendall(b"secret")
            assert tls.recv(100) == b"SECRET"
        thread.join()


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
