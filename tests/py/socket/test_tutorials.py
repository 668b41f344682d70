"""Tutorial scripts run unchanged: only the import line differs."""

from __future__ import annotations

from typing import Any

UDP_ECHO = """
import socket
import threading

serveur = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
serveur.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
serveur.bind(("127.0.0.1", 0))

def boucle():
    while True:
        data, addr = serveur.recvfrom(4096)
        if data == b"stop":
            break
        serveur.sendto(b"ECHO: " + data, addr)

t = threading.Thread(target=boucle)
t.start()
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(5.0)
for i in range(5):
    message = f"message {i}"
    client.sendto(message.encode("utf-8"), ("localhost", serveur.getsockname()[1]))
    data, server = client.recvfrom(4096)
    print(data.decode("utf-8"))
client.settimeout(0.05)
try:
    client.recvfrom(4096)
except socket.timeout:
    print("timeout")
client.sendto(b"stop", serveur.getsockname())
t.join()
client.close()
serveur.close()
"""

TCP_CHAT = """
import socket
import select
import struct

server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
conn, addr = server.accept()
with conn, client, server:
    client.sendall(struct.pack("!I", 5) + b"hello")
    readable, _, _ = select.select([conn], [], [], 5)
    assert readable == [conn]
    size, = struct.unpack("!I", conn.recv(4))
    print(conn.recv(size).decode())
    wfile = conn.makefile("w", encoding="utf-8", newline="\\n")
    print("ligne 1", "ligne 2", sep="\\n", file=wfile, flush=True)
    rfile = client.makefile("r", encoding="utf-8")
    print(rfile.readline().strip(), rfile.readline().strip())
    rfile.close()
    wfile.close()
    client.shutdown(socket.SHUT_RDWR)
    print(conn.recv(10))
"""

STDLIB_USERS = """
import socket
import sys
sys.modules["socket"] = socket
import http.client
import http.server
import socketserver
import threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"page " + self.path.encode())
    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
connection = http.client.HTTPConnection(*server.server_address)
connection.request("GET", "/hello")
print(connection.getresponse().read().decode())
connection.close()
server.shutdown()
server.server_close()

class Upper(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data.upper(), self.client_address)

with socketserver.UDPServer(("127.0.0.1", 0), Upper) as udp:
    threading.Thread(target=udp.handle_request).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"shout", udp.server_address)
        print(s.recv(100).decode())
"""

ERRORS = """
import errno
import socket

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.sendto(bytes(65508), ("127.0.0.1", 9))
except OSError as e:
    print(e, e.errno == errno.EMSGSIZE)
try:
    s.sendto("texte", ("127.0.0.1", 9))
except TypeError as e:
    print(e)
s.close()
try:
    s.sendto(b"x", ("127.0.0.1", 9))
except OSError as e:
    print(e)
c = socket.socket()
try:
    c.connect(("127.0.0.1", 70000))
except OverflowError as e:
    print(e)
c.close()
"""


def test_udp_echo(script: Any) -> None:
    lines = [f"ECHO: message {i}" for i in range(5)]
    assert script(UDP_ECHO).splitlines() == [*lines, "timeout"]


def test_tcp_chat(script: Any) -> None:
    assert script(TCP_CHAT).splitlines() == ["hello", "ligne 1 ligne 2", "b''"]


def test_modules_of_the_standard_library(script: Any) -> None:
    assert script(STDLIB_USERS).splitlines() == ["page /hello", "SHOUT"]


def test_errors(script: Any) -> None:
    assert script(ERRORS).splitlines() == [
        "[Errno 90] Message too long True",
        "a bytes-like object is required, not 'str'",
        "[Errno 9] Bad file descriptor",
        "connect(): port must be 0-65535.",
    ]
