"""Reliable delivery over UDP, the tutorials' way: numbers, then acknowledgements.

* :class:`ReliableUDPSender` and :class:`ReliableUDPReceiver` number their messages: the receiver
  sees what was lost, what came late and what came twice. Nothing is repaired.
* :class:`UDPWithACK` repeats every message until it is acknowledged, and delivers it exactly once.
* :func:`listen` and :func:`connect` open connections of the production transport: messages of up to
  16 MiB on channels, encrypted, congestion-controlled, with deadlines, priorities and receipts.

The first two speak the tutorials' own formats (big-endian): ``[seq u32][utf-8 text]`` and
``[type u8][seq u32][data]`` with type 1 = DATA, 2 = ACK. A tutorial's script is a valid peer.

>>> with UDPWithACK(0) as alice, UDPWithACK(0) as bob:
...     seq = alice.send_reliable(b"salut", ("127.0.0.1", bob.local_address[1]))
...     payload, address = bob.receive()
...     alice.wait(seq, timeout=5.0)
...     payload
True
b'salut'
>>> with listen() as server, connect(server.address) as conn:
...     receipt = conn.send(b"bonjour")
...     server.accept(timeout=5.0).recv(timeout=5.0)
b'bonjour'
"""

from __future__ import annotations

from udpcore._reliable_ack import AckStats, FailedMessage, PendingMessage, UDPWithACK
from udpcore._reliable_sequence import ReliableUDPReceiver, ReliableUDPSender, SequenceStats
from udpcore._transport import (
    Channel,
    Connection,
    ConnectionStats,
    Listener,
    Receipt,
    connect,
    generate_keys,
    listen,
)

__all__ = [
    "AckStats",
    "Channel",
    "Connection",
    "ConnectionStats",
    "FailedMessage",
    "Listener",
    "PendingMessage",
    "Receipt",
    "ReliableUDPReceiver",
    "ReliableUDPSender",
    "SequenceStats",
    "UDPWithACK",
    "connect",
    "generate_keys",
    "listen",
]
