"""A certificate authority and DNS servers over TCP, TLS and HTTPS, made for one test run."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

#: Takes a query, gives the reply; `None` closes the connection.
Answer = Callable[[bytes], bytes | None]


def make_authority(home: Path) -> tuple[Path, ssl.SSLContext, ssl.SSLContext]:
    """Return the file of a new authority, a server with its certificate, one with an old one."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=home)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    subject = ("-subj", "/CN=test authority", "-days", "2")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", *subject, *usage)
    (home / "names").write_text("subjectAltName=DNS:dns.test,IP:127.0.0.1\n")
    (home / "index").touch()
    contexts = []
    for name, dates in (
        ("good", ("-days", "2")),
        ("old", ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")),
    ):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=x")
        (home / f"{name}.cnf").write_text(CA_CONFIG)
        words = ("ca", "-batch", "-config", f"{name}.cnf", "-rand_serial", "-notext")
        files = ("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "names")
        openssl(*words, *files, *dates)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(home / f"{name}.pem", home / f"{name}.key")
        contexts.append(context)
    return home / "ca.pem", contexts[0], contexts[1]


CA_CONFIG = """\
[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


class StreamServer:
    """Serves connections, one thread each, until it is closed."""

    def __init__(self, serve: Callable[[socket.socket], None], tls: ssl.SSLContext | None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.connections = 0
        self._serve, self._tls = serve, tls
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            conn, _ = self._listener.accept()
            if self._listener.timeout == 0.25:
                conn.close()
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._run, args=(conn,)))
            self._threads[-1].start()

    def _run(self, conn: socket.socket) -> None:
        try:
            with conn if self._tls is None else self._tls.wrap_socket(conn, server_side=True) as c:
                self._serve(c)
        except OSError:
            # The client did not like us, or went away.
            conn.close()

    def close(self) -> None:
        self._listener.settimeout(0.25)
        with socket.create_connection(self.address):
            self._threads[0].join()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()


def read_exactly(conn: socket.socket, count: int) -> bytes:
    """Read `count` bytes; less at the end of the stream."""
    data = b""
    while len(data) < count and (more := conn.recv(count - len(data))):
        data += more
    return data


def over_stream(answer: Answer, limit: int = 10**6) -> Callable[[socket.socket], None]:
    """Serve DNS messages with a length in front of each, `limit` of a connection. RFC 7766."""

    def serve(conn: socket.socket) -> None:
        for _ in range(limit):
            head = read_exactly(conn, 2)
            length = int.from_bytes(head, "big")
            query = read_exactly(conn, length)
            reply = answer(query) if len(head) == 2 and len(query) == length else None
            if reply is None:
                return
            conn.sendall(len(reply).to_bytes(2, "big") + reply)

    return serve


def over_http(answer: Answer, *, chunked: bool = False) -> Callable[[socket.socket], None]:
    """Serve DNS messages in POST requests. RFC 8484."""

    def serve(conn: socket.socket) -> None:
        while True:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (octet := conn.recv(1)):
                    return
                head += octet
            lines = head.decode("ascii").lower().splitlines()
            assert lines[0] == "post /dns-query http/1.1", lines[0]
            fields = dict(line.split(": ", 1) for line in lines[1:] if line)
            assert fields["content-type"] == "application/dns-message"
            reply = answer(read_exactly(conn, int(fields["content-length"])))
            if reply is None:
                conn.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
                return
            start = b"HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n"
            if chunked:
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(reply), reply)
                conn.sendall(start + b"Transfer-Encoding: chunked\r\n\r\n" + body)
            else:
                conn.sendall(start + b"Content-Length: %d\r\n\r\n%s" % (len(reply), reply))

    return serve
