"""Living with the standard ``socket``: hand over, take over, replace, send to other processes."""

from __future__ import annotations

import socket as _standard
import sys

import udpcore
from udpcore._face import socket

#: The standard class, whatever ``import socket`` means by now.
Standard = _standard.socket

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would take longer than everything else here
    from types import ModuleType
    from typing import Any


def to_stdlib(sock: socket) -> _standard.socket:
    """Turns ``sock`` into a standard ``socket.socket`` over the same descriptor.

    For libraries that insist on the class itself. ``sock`` is detached; the timeout goes along.

    >>> import udpcore
    >>> with udpcore.to_stdlib(udpcore.socket(udpcore.AF_INET, udpcore.SOCK_DGRAM)) as s:
    ...     type(s).__module__
    'socket'
    """
    timeout = sock.gettimeout()
    other = _standard.socket(sock.family, sock.type, sock.proto, sock.detach())
    other.settimeout(timeout)
    return other


def from_stdlib(sock: _standard.socket) -> socket:
    """Turns a standard socket into a udpcore socket over the same descriptor.

    ``sock`` is detached; the timeout goes along. Raises ``TypeError`` for a TLS socket, whose
    encryption would be lost.

    >>> import socket, udpcore
    >>> with udpcore.from_stdlib(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as s:
    ...     isinstance(s, udpcore.socket)
    True
    """
    ssl = sys.modules.get("ssl")
    if ssl is not None and isinstance(sock, ssl.SSLSocket):
        raise TypeError("from_stdlib() would strip the encryption off an SSLSocket; unwrap() it")
    timeout = sock.gettimeout()
    other = socket(sock.family, sock.type, sock.proto, sock.detach())
    other.settimeout(timeout)
    return other


def patch() -> ModuleType:
    """Makes ``import socket`` mean udpcore from now on, for the whole process; returns udpcore.

    Call it first thing: modules that have imported ``socket`` before keep what they have. ``ssl``
    is imported before the change, since TLS sockets must stay the standard library's.
    """
    import ssl  # noqa: F401 - binds itself to the standard module now

    sys.modules["socket"] = udpcore
    return udpcore


def _rebuild(number: Any, family: int, kind: int, proto: int) -> socket:
    return socket(family, kind, proto, number.detach())


def _register(reduction: Any) -> None:
    def reduce(sock: socket) -> tuple[Any, ...]:
        descriptor = reduction.DupFd(sock.fileno())
        return _rebuild, (descriptor, int(sock.family), int(sock.type), sock.proto)

    reduction.register(socket, reduce)


class _OnImport:
    """Waits for ``multiprocessing.reduction``, which is too slow to import just in case."""

    name = "multiprocessing.reduction"

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register(module)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def let_processes_share_sockets() -> None:
    """Teaches multiprocessing to send udpcore sockets, now or when it is imported."""
    reduction = sys.modules.get(_OnImport.name)
    if reduction is not None:
        _register(reduction)
    else:
        sys.meta_path.insert(0, _OnImport())
