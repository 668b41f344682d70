"""``udpcore`` with ``await``, on asyncio and uvloop alike.

:func:`open_udp` is a plain UDP endpoint that reads in batches; :func:`connect` and :func:`listen`
are the connections of :mod:`udpcore.reliable`; :func:`query`, :func:`resolve`,
:func:`resolve_many` and :func:`dns_query` ask as those of :mod:`udpcore.dns` do.

>>> import asyncio
>>> async def main():
...     async with open_udp(("127.0.0.1", 0)) as server:
...         async with open_udp(remote=server.local_address) as client:
...             await client.send(b"hello")
...             data, address = await server.receive()
...             await server.send(data.upper(), address)
...             async for answer, _ in client:
...                 return answer
>>> asyncio.run(main())
b'HELLO'
"""

from udpcore._aio_dns import dns_query, query, resolve, resolve_many
from udpcore._aio_transport import (
    AsyncChannel,
    AsyncConnection,
    AsyncListener,
    AsyncReceipt,
    connect,
    listen,
)
from udpcore._aio_udp import UDPEndpoint, open_udp

__all__ = [
    "AsyncChannel",
    "AsyncConnection",
    "AsyncListener",
    "AsyncReceipt",
    "UDPEndpoint",
    "connect",
    "dns_query",
    "listen",
    "open_udp",
    "query",
    "resolve",
    "resolve_many",
]
