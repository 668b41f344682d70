"""Connecting, serving and looking up: functions above the socket class.

They reach ``socket`` and ``getaddrinfo`` through the package, so that a program (or a test) that
replaces ``udpcore.socket`` is obeyed here too, as in the standard module.
"""

from __future__ import annotations

import os
import sys

import udpcore
from udpcore import _core
from udpcore._constants import (
    CONSTANTS,
    GLOBAL_DEFAULT_TIMEOUT,
    AddressFamily,
    SocketKind,
    as_member,
)

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take longer than everything else here
    from typing import Any

_AF_INET: int = CONSTANTS["AF_INET"]
_AF_INET6: int = CONSTANTS["AF_INET6"]
_SOCK_STREAM: int = CONSTANTS["SOCK_STREAM"]
_SOL_SOCKET: int = CONSTANTS["SOL_SOCKET"]
_SO_REUSEADDR: int = CONSTANTS["SO_REUSEADDR"]
_SO_REUSEPORT: int | None = CONSTANTS.get("SO_REUSEPORT")
_IPPROTO_IPV6: int = CONSTANTS["IPPROTO_IPV6"]
_IPV6_V6ONLY: int = CONSTANTS["IPV6_V6ONLY"]


def getaddrinfo(
    host: Any,
    port: Any,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[tuple[AddressFamily, SocketKind, int, str, Any]]:
    """Resolves a host and a service: ``(family, type, proto, canonical name, address)`` each."""
    return [
        (as_member(kin, AddressFamily), as_member(kind, SocketKind), number, name, address)
        for kin, kind, number, name, address in _core.getaddrinfo(
            host, port, family, type, proto, flags
        )
    ]


def getfqdn(name: str = "") -> str:
    """The full domain name of ``name``, by default of this machine."""
    name = name.strip()
    if not name or name in ("0.0.0.0", "::"):
        name = udpcore.gethostname()
    try:
        official, aliases, _ = udpcore.gethostbyaddr(name)
    except OSError:
        return name
    return next((candidate for candidate in (official, *aliases) if "." in candidate), official)


def create_connection(
    address: tuple[str | None, int],
    timeout: float | None = GLOBAL_DEFAULT_TIMEOUT,
    source_address: Any = None,
    *,
    all_errors: bool = False,
) -> udpcore.socket:
    """Connects to ``(host, port)``, trying every address the host has.

    ``timeout`` in seconds holds for each attempt. Raises the first attempt's error, or an
    ``ExceptionGroup`` of all of them with ``all_errors=True``.
    """
    host, port = address
    failures: list[OSError] = []
    for family, kind, proto, _, target in udpcore.getaddrinfo(host, port, 0, _SOCK_STREAM):
        attempt = None
        try:
            attempt = udpcore.socket(family, kind, proto)
            if timeout is not GLOBAL_DEFAULT_TIMEOUT:
                attempt.settimeout(timeout)
            if source_address:
                attempt.bind(source_address)
            attempt.connect(target)
        except OSError as failure:
            if attempt is not None:
                attempt.close()
            if not all_errors:
                # The last one is the one to tell; older ones would only keep frames alive.
                failures.clear()
            failures.append(failure)
        else:
            failures.clear()
            return attempt
    try:
        if not failures:
            raise OSError("getaddrinfo returns an empty list")
        if all_errors:
            raise ExceptionGroup("create_connection failed", failures)
        raise failures[0]
    finally:
        # Breaks the cycle of the exception, its traceback and this frame.
        failures.clear()


def has_dualstack_ipv6() -> bool:
    """Whether one socket can serve IPv4 and IPv6."""
    if not udpcore.has_ipv6:
        return False
    try:
        with udpcore.socket(_AF_INET6, _SOCK_STREAM) as probe:
            probe.setsockopt(_IPPROTO_IPV6, _IPV6_V6ONLY, 0)
            return True
    except OSError:
        return False


def create_server(
    address: Any,
    *,
    family: int = _AF_INET,
    backlog: int | None = None,
    reuse_port: bool = False,
    dualstack_ipv6: bool = False,
) -> udpcore.socket:
    """A TCP socket that listens on ``(host, port)``.

    ``dualstack_ipv6=True`` (with ``family=AF_INET6``) serves IPv4 too; ``reuse_port`` lets several
    processes share the port; ``backlog`` is how many connections may wait.
    """
    if reuse_port and _SO_REUSEPORT is None:
        raise ValueError("SO_REUSEPORT not supported on this platform")
    if dualstack_ipv6:
        if not udpcore.has_dualstack_ipv6():
            raise ValueError("dualstack_ipv6 not supported on this platform")
        if family != _AF_INET6:
            raise ValueError("dualstack_ipv6 requires AF_INET6 family")
    server = udpcore.socket(family, _SOCK_STREAM)
    try:
        if os.name == "posix" and sys.platform != "cygwin":
            # A restarted server need not wait for connections of its predecessor.
            server.setsockopt(_SOL_SOCKET, _SO_REUSEADDR, 1)
        if reuse_port and _SO_REUSEPORT is not None:
            server.setsockopt(_SOL_SOCKET, _SO_REUSEPORT, 1)
        if family == _AF_INET6:
            server.setsockopt(_IPPROTO_IPV6, _IPV6_V6ONLY, 0 if dualstack_ipv6 else 1)
        try:
            server.bind(address)
        except OSError as failure:
            text = f"{failure.strerror} (while attempting to bind on address {address!r})"
            raise OSError(failure.errno, text) from None
        server.listen() if backlog is None else server.listen(backlog)
    except BaseException:
        server.close()
        raise
    return server


def portable_socketpair(
    family: int = _AF_INET,
    type: int = _SOCK_STREAM,
    proto: int = 0,
) -> tuple[udpcore.socket, udpcore.socket]:
    """A connected pair over the loopback interface, for systems without socketpair(2).

    Whoever else connects meanwhile is found out: both ends must name each other.
    """
    hosts = {_AF_INET: "127.0.0.1", _AF_INET6: "::1"}
    if family not in hosts:
        raise ValueError("Only AF_INET and AF_INET6 socket address families are supported")
    if type != _SOCK_STREAM:
        raise ValueError("Only SOCK_STREAM socket type is supported")
    if proto != 0:
        raise ValueError("Only protocol zero is supported")
    with udpcore.socket(family, type, proto) as listener:
        listener.bind((hosts[family], 0))
        listener.listen()
        client = udpcore.socket(family, type, proto)
        server = None
        try:
            client.setblocking(False)
            try:  # noqa: SIM105 - contextlib is slow to import
                client.connect(listener.getsockname()[:2])
            except (BlockingIOError, InterruptedError):
                pass
            client.setblocking(True)
            server, _ = listener.accept()
            if (server.getsockname(), client.getsockname()) != (
                client.getpeername(),
                server.getpeername(),
            ):
                raise ConnectionError("Unexpected peer connection")
        except BaseException:
            client.close()
            if server is not None:
                server.close()
            raise
    return server, client
