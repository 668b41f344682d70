"""A TCP relay with a bad network: :class:`udpcore.netem.StreamProxy`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypedDict, Unpack

from udpcore import _core
from udpcore._netem_said import address_of
from udpcore._netem_types import OPTIONS, Address, NetworkStats, Quantity, parsed, shown


class StreamOptions(TypedDict, total=False):
    """What a stream suffers in one direction; :class:`StreamProxy` says what each means."""

    latency: Quantity
    delay: Quantity
    jitter: Quantity
    distribution: str
    bandwidth: Quantity
    rate: Quantity
    slicer: Quantity
    slice: Quantity
    limit_data: Quantity
    limit: Quantity
    timeout: Quantity
    slow_close: Quantity
    reset_peer: Quantity
    reset: Quantity


#: Every option, a delay before what varies it: the core takes them in this order.
STREAM_OPTIONS = tuple(StreamOptions.__annotations__)


@dataclass(frozen=True)
class StreamStats(NetworkStats):
    """The counters of a :class:`StreamProxy`; packets are pieces of a stream."""

    connections: int
    """Connections that are relayed now."""
    connections_total: int
    """Connections that were ever relayed."""
    connections_refused: int
    """Connections closed at once, because there were too many."""
    upstream_failures: int
    """Connections that the server did not take."""
    resets: int
    """Connections that were reset, by a peer or by ``reset_peer``."""
    ended: int
    """Connections that ``limit_data`` or ``timeout`` ended."""


class StreamProxy:
    """A TCP relay before a server: clients connect to :attr:`address`, the network between is bad.

    ``upstream``, ``listen``, ``up``, ``down`` and ``seed`` as for :class:`udpcore.netem.Proxy`,
    which with ``protocol="tcp"`` makes one of these. Bytes keep their order. Options:

    ``latency`` (or ``delay``): so much later, ``"20ms"`` or seconds; ``jitter``: varied by up to
    this, in the shape of ``distribution``; ``bandwidth`` (``rate``): ``"3mbit"`` or bit/s;
    ``slicer`` (``slice``): cut into pieces, ``"100B"``, or ``"100B 5ms"`` with a pause between
    them; ``limit_data`` (``limit``): the connection ends after so many bytes; ``timeout``: nothing
    passes, and the connection ends when it is so old (0: never); ``slow_close``: the end of the
    stream comes so much after its last byte; ``reset_peer`` (``reset``): both sides get a reset
    when the connection is so old.

    Loss, duplicates, reordering and what else happens to packets raise ValueError with the reason:
    TCP repairs them before anybody sees them. Raises TypeError for an unknown option, ValueError
    for a bad value, OSError when an address cannot be used.

    >>> import socket
    >>> from udpcore import netem
    >>> server = socket.create_server(("127.0.0.1", 0))
    >>> with netem.StreamProxy(server.getsockname(), latency="5ms", slicer="2B") as proxy:
    ...     client = socket.create_connection(proxy.address)
    ...     client.sendall(b"hello"); client.shutdown(socket.SHUT_WR)
    ...     conn, _ = server.accept()
    ...     conn.makefile("rb").read()
    b'hello'
    >>> proxy.stats().up.delivered_bytes
    5
    >>> client.close(); conn.close(); server.close()
    """

    def __init__(
        self,
        upstream: Address,
        listen: Address = ("127.0.0.1", 0),
        *,
        up: StreamOptions | None = None,
        down: StreamOptions | None = None,
        seed: int | None = None,
        **options: Unpack[StreamOptions],
    ) -> None:
        self._up = _ordered("StreamProxy()", {**options, **(up or {})})
        self._down = _ordered("StreamProxy()", {**options, **(down or {})})
        ends = address_of("upstream", upstream), address_of("listen", listen)
        self._relay = _core.NetemStream(*ends, self._up, self._down, seed)

    @property
    def address(self) -> Address:
        """Where clients connect to."""
        return self._relay.address

    @property
    def upstream(self) -> Address:
        """The server."""
        return self._relay.upstream

    @property
    def seed(self) -> int:
        """The seed of the jitter: give it again to repeat it."""
        return self._relay.seed

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._relay.closed

    def stats(self) -> StreamStats:
        """Return the counters so far; after :meth:`close`, the final ones."""
        return StreamStats(**parsed(self._relay.stats()))

    def set(self, *, up: StreamOptions | None = None, down: StreamOptions | None = None) -> None:
        """Change options of a direction from now on, for open connections too.

        Those not given stay as they are; bytes on their way keep their time.

        >>> from udpcore import netem
        >>> with netem.StreamProxy(("127.0.0.1", 9), latency="10ms") as proxy:
        ...     proxy.set(down={"bandwidth": "1mbit"})
        """
        new_up = _ordered("set()", {**self._up, **(up or {})})
        new_down = _ordered("set()", {**self._down, **(down or {})})
        self._relay.set_config(new_up, new_down)
        self._up, self._down = new_up, new_down

    def close(self) -> None:
        """End all connections; what is still on its way is counted as dropped, ``closed``."""
        self._relay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        host, port = self.address
        where = f"{host}:{port} -> {self.upstream[0]}:{self.upstream[1]}"
        state = " closed" if self.closed else ""
        return f"<netem.StreamProxy {where} {shown(self._up, self._down)}seed={self.seed}{state}>"


def _ordered(what: str, options: Mapping[str, object]) -> dict[str, object]:
    """The options that are given, each known, a delay before its jitter."""
    # What happens to packets is known too: the core says why it is refused.
    names = (*STREAM_OPTIONS, *(name for name in OPTIONS if name not in STREAM_OPTIONS))
    for name in options:
        if name not in names:
            raise TypeError(f"{what} got an unknown option {name!r}; there are {STREAM_OPTIONS}")
    given = {name: options.get(name) for name in names}
    return {name: value for name, value in given.items() if value is not None}
