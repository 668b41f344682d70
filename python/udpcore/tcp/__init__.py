"""Messages over TCP: frames with a size limit, and servers that survive rude clients.

TCP carries a stream of bytes, not messages; a *framing* puts the borders back:
:class:`LengthPrefix` (a number before each message) or :class:`Delimiter` (a mark after it).
:class:`Server` gives each client a thread, :class:`AsyncServer` a task. A client that dies, sends
garbage, sends nothing or never reads costs its own connection and nothing else: sizes, buffers,
times and the number of connections are bounded.

>>> def shout(connection):
...     for message in connection:
...         connection.send(message.upper())
>>> with Server(shout) as server:
...     with connect(server.address) as connection:
...         connection.send(b"hello")
...         connection.recv()
b'HELLO'
"""

from udpcore.tcp._async_server import AsyncServer
from udpcore.tcp._asyncio import AsyncConnection, connect_async
from udpcore.tcp._connection import Connection, connect
from udpcore.tcp._framing import (
    Delimiter,
    FrameError,
    FrameParser,
    Framing,
    LengthPrefix,
)
from udpcore.tcp._server import Server
from udpcore.tcp._stats import ServerStats

__all__ = [
    "AsyncConnection",
    "AsyncServer",
    "Connection",
    "Delimiter",
    "FrameError",
    "FrameParser",
    "Framing",
    "LengthPrefix",
    "Server",
    "ServerStats",
    "connect",
    "connect_async",
]
