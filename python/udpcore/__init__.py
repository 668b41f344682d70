"""The UDP toolkit for Python: sockets, reliability, DNS, and a network that misbehaves on command.

``import udpcore as socket`` gives every name of the standard :mod:`socket` module, with the same
semantics and the same errors, over a core in Rust. The rest is in submodules that load when they
are first used: ``udpcore.reliable``, ``.fec``, ``.dns``, ``.netem``, ``.aio``, ``.batch``,
``.tcp``, ``.apps``.

>>> import udpcore as socket
>>> with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
...     s.bind(("127.0.0.1", 0))
...     s.sendto(b"hello", s.getsockname())
...     s.recv(100)
5
b'hello'
"""

# The standard module has these names too, so programs may use them.
import _socket as _socket
import errno as errno
import io as io
import os as os
import selectors as selectors
import sys as sys
from array import array as array
from enum import IntEnum as IntEnum
from enum import IntFlag as IntFlag

from udpcore import _constants, _core, _functions, _interop, _sendfile
from udpcore._constants import *  # noqa: F403 - the constants of the running interpreter
from udpcore._core import CMSG_LEN as CMSG_LEN
from udpcore._core import CMSG_SPACE as CMSG_SPACE
from udpcore._core import DatagramBatch as DatagramBatch
from udpcore._core import __version__ as __version__
from udpcore._core import close as close
from udpcore._core import dup as dup
from udpcore._core import getdefaulttimeout as getdefaulttimeout
from udpcore._core import gethostbyname as gethostbyname
from udpcore._core import getnameinfo as getnameinfo
from udpcore._core import setdefaulttimeout as setdefaulttimeout
from udpcore._face import fromfd as fromfd
from udpcore._face import recv_fds as recv_fds
from udpcore._face import send_fds as send_fds
from udpcore._face import socket as socket
from udpcore._face import socketpair as socketpair
from udpcore._functions import create_connection as create_connection
from udpcore._functions import create_server as create_server
from udpcore._functions import getaddrinfo as getaddrinfo
from udpcore._functions import getfqdn as getfqdn
from udpcore._functions import has_dualstack_ipv6 as has_dualstack_ipv6
from udpcore._interop import from_stdlib as from_stdlib
from udpcore._interop import patch as patch
from udpcore._interop import to_stdlib as to_stdlib
from udpcore._socketio import SocketIO as SocketIO

SocketType = _core.socket

# Private names that programs (and the standard library's own tests) reach for.
_GiveupOnSendfile = _sendfile.GiveUpOnSendfile
_fallback_socketpair = _functions.portable_socketpair
_LOCALHOST = "127.0.0.1"
_LOCALHOST_V6 = "::1"
_GLOBAL_DEFAULT_TIMEOUT = _constants.GLOBAL_DEFAULT_TIMEOUT
_intenum_converter = _constants.as_member
_blocking_errnos = {errno.EAGAIN, errno.EWOULDBLOCK}

#: Loaded on first use; none of them bears a name of the standard module.
_SUBMODULES = frozenset({"aio", "apps", "batch", "dns", "fec", "netem", "reliable", "tcp"})

_interop.let_processes_share_sockets()

__all__ = [*_constants.ALL, "from_stdlib", "patch", "to_stdlib"]


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        from importlib import import_module

        try:
            return import_module(f"udpcore.{name}")
        except ModuleNotFoundError as missing:
            if missing.name != f"udpcore.{name}":
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
