"""What `import udpcore as socket` offers to type checkers.

The constants, enums and look-ups are the standard module's (the same objects); the class and the
functions around it are our own.
"""

from typing import Final

from udpcore import _core
from udpcore._constants import *  # noqa: F403
from udpcore._core import CMSG_LEN as CMSG_LEN
from udpcore._core import CMSG_SPACE as CMSG_SPACE
from udpcore._core import DatagramBatch as DatagramBatch
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
__version__: Final[str]
__all__: list[str]
