"""Connections: messages over UDP, encrypted, congestion-controlled, reliable where asked to be.

:func:`listen` and :func:`connect` are exported by ``udpcore.reliable``. The work is done by one
thread an endpoint, in Rust, whatever Python does meanwhile. The encryption (Noise, AES-GCM) is
unaudited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from udpcore._constants import CONSTANTS
from udpcore._core import TransportConnection, TransportEndpoint, transport_keys
from udpcore._functions import getaddrinfo

__all__ = [
    "Channel",
    "Connection",
    "ConnectionStats",
    "Listener",
    "Receipt",
    "connect",
    "generate_keys",
    "listen",
]

#: How a channel delivers: every message in order; every message as soon as it is complete; never
#: an older after a newer one; each at most once, sent once.
Mode = Literal["ordered", "unordered", "sequenced", "unreliable"]
#: What became of a message.
Outcome = Literal["acked", "expired", "lost"]
#: Whether repair symbols go with a message: none; as many as the path's losses ask for where the
#: deadline cannot absorb a retransmission; always this share of the message.
Fec = Literal["auto"] | float | None
Address = tuple[str, int] | tuple[str, int, int, int]
Buffer = bytes | bytearray | memoryview

#: A hundred years; more is for ever, and no handshake lasts as long.
HANDSHAKE_SECONDS_MAX = 3_153_600_000.0
SOCK_DGRAM: int = CONSTANTS["SOCK_DGRAM"]


@dataclass(frozen=True, slots=True)
class ConnectionStats:
    """Counters of a connection and the state of its path; times in seconds, sizes in bytes."""

    datagrams_sent: int
    datagrams_received: int
    bytes_sent: int
    bytes_received: int
    packets_lost: int
    packets_spurious: int
    bytes_retransmitted: int
    probes: int
    congestion_events: int
    messages_sent: int
    messages_delivered: int
    messages_pending: int
    messages_late: int
    messages_discarded: int
    migrations: int
    key_updates: int
    cwnd: int
    ssthresh: int | None
    #: What the congestion controller is doing: "slow_start" or "congestion_avoidance"; with BBR
    #: "startup", "drain", "probe_bw_down", "probe_bw_cruise", "probe_bw_refill", "probe_bw_up" or
    #: "probe_rtt".
    phase: str
    #: How fast BBR sends, in bits a second; None where that follows from the window.
    pacing_rate_bps: int | None
    bytes_in_flight: int
    bytes_waiting: int
    mtu: int
    srtt: float
    rtt_min: float
    rttvar: float
    #: Arriving packets dropped, by reason.
    dropped: dict[str, int]

    def __repr__(self) -> str:
        return (
            f"ConnectionStats(sent={self.messages_sent} delivered={self.messages_delivered}"
            f" pending={self.messages_pending} lost_packets={self.packets_lost}"
            f" srtt={self.srtt * 1e3:.1f}ms {self.phase} cwnd={self.cwnd}"
            f" in_flight={self.bytes_in_flight} mtu={self.mtu})"
        )


class Receipt:
    """Tells what became of one message.

    >>> with listen() as server, connect(server.address) as conn:
    ...     receipt = conn.send(b"hello")
    ...     receipt.wait(timeout=5.0)
    'acked'
    """

    __slots__ = ("_connection", "_number")

    def __init__(self, connection: TransportConnection, number: int) -> None:
        self._connection = connection
        self._number = number

    def wait(self, timeout: float | None = None) -> Outcome:
        """Wait until the fate of the message is known.

        ``"acked"``: the peer has it, in time; on an ordered channel it may still come too late to
        its application, behind one before it. ``"expired"``: its deadline passed first.
        ``"lost"``: it did not arrive and is not sent again (its channel does not, or the
        connection is over), or 65,536 later messages did not and nobody knows any more. Raises
        TimeoutError after ``timeout`` seconds.
        """
        return self._connection.wait_outcome(self._number, timeout)

    def __repr__(self) -> str:
        return f"<Receipt {self._number}>"


class Channel:
    """One channel of a connection: its messages do not wait for those of other channels.

    Made by :meth:`Connection.channel`. What the peer sends on it is received here only.
    """

    __slots__ = ("_connection", "id", "mode")

    def __init__(self, connection: TransportConnection, id: int, mode: Mode) -> None:
        self._connection = connection
        self.id = id
        self.mode = mode

    def send(
        self,
        data: Buffer,
        *,
        deadline: float | None = None,
        priority: int = 0,
        fec: Fec = None,
        timeout: float | None = None,
    ) -> Receipt:
        """Send a message; see :meth:`Connection.send`."""
        number = self._connection.send(data, self.id, deadline, priority, fec, timeout)
        return Receipt(self._connection, number)

    def recv(self, timeout: float | None = None) -> bytes:
        """The next message of this channel; see :meth:`Connection.recv`."""
        return self._connection.recv(timeout, self.id)

    def recv_many(self, n: int, timeout: float | None = None) -> list[bytes]:
        """Up to ``n`` messages of this channel; see :meth:`Connection.recv_many`."""
        return self._connection.recv_many(n, timeout, self.id)

    def __iter__(self) -> Iterator[bytes]:
        return _messages(self.recv)

    def __repr__(self) -> str:
        return f"<Channel {self.id} {self.mode}>"


class Connection:
    """A connection: send messages, receive messages, from any thread.

    Close it, best with ``with``: a program that ends without that loses what is not acknowledged,
    and its peer waits for its idle timeout. It belongs to its process: one made by ``fork`` has
    to open its own (RuntimeError).

    >>> with listen(secret="correct horse") as server:
    ...     with connect(server.address, secret="correct horse") as conn:
    ...         there = server.accept(timeout=5.0)
    ...         _ = conn.send(b"ping")
    ...         there.recv(timeout=5.0)
    b'ping'
    """

    __slots__ = ("_endpoint", "_raw")

    def __init__(self, raw: TransportConnection, endpoint: TransportEndpoint | None = None) -> None:
        self._raw = raw
        self._endpoint = endpoint

    def send(
        self,
        data: Buffer,
        channel: int = 0,
        deadline: float | None = None,
        priority: int = 0,
        fec: Fec = None,
        *,
        timeout: float | None = None,
    ) -> Receipt:
        """Hand over a message; it is copied, and sent by the connection's thread.

        ``deadline``: after so many seconds the message is worthless: it is not sent any more, and
        not delivered. ``priority`` 0 to 255: higher goes first. ``fec="auto"`` sends repair
        symbols along where a retransmission would come after the deadline, ``fec=0.3`` always 30 %
        more (rounded up): what is lost is then computed, not waited for. Blocks while the send
        buffer is full, at most ``timeout`` seconds (TimeoutError). Raises BrokenPipeError when the
        connection is closed, ValueError for a message or channel the peer does not take.
        """
        number = self._raw.send(data, channel, deadline, priority, fec, timeout)
        return Receipt(self._raw, number)

    def send_many(
        self,
        messages: Iterable[Buffer],
        channel: int = 0,
        deadline: float | None = None,
        priority: int = 0,
        fec: Fec = None,
        *,
        timeout: float | None = None,
    ) -> list[Receipt]:
        """Hand over many messages in one go; cheaper than as many :meth:`send`.

        Raises as :meth:`send`; what was taken before a TimeoutError stays taken.
        """
        raw = self._raw
        numbers = raw.send_many(messages, channel, deadline, priority, fec, timeout)
        return [Receipt(raw, number) for number in numbers]

    def recv(self, timeout: float | None = None) -> bytes:
        """The next message of any channel without a :class:`Channel` of its own.

        Raises TimeoutError after ``timeout`` seconds, EOFError when the connection was closed in
        order and every message was taken, ConnectionError when it broke.
        """
        return self._raw.recv(timeout, None)

    def recv_many(self, n: int, timeout: float | None = None) -> list[bytes]:
        """Up to ``n`` messages: waits for the first, takes what is there. Raises as `recv`."""
        return self._raw.recv_many(n, timeout, None)

    def __iter__(self) -> Iterator[bytes]:
        return _messages(self.recv)

    def channel(self, id: int, mode: Mode = "ordered") -> Channel:
        """Open a channel. ``mode`` is how the messages this side sends on it are delivered.

        Raises ValueError if the channel has another mode already, or its number is too high.
        """
        self._raw.open_channel(id, mode)
        return Channel(self._raw, id, mode)

    def stats(self) -> ConnectionStats:
        """Counters and the state of the path, at this moment."""
        return ConnectionStats(**self._raw.stats())

    @property
    def remote_address(self) -> Address | None:
        """The peer's address; it changes when the peer moves."""
        return self._raw.remote()

    @property
    def closed(self) -> str | None:
        """Why the connection ended, or None."""
        return self._raw.close_reason()

    def close(self, timeout: float | None = None) -> bool:
        """Close in order: what was accepted is delivered first.

        Waits for that, at most ``timeout`` seconds; returns whether it came to its end (it goes
        on in the background otherwise). Closing twice is harmless.
        """
        return self._raw.close(timeout)

    def abort(self) -> None:
        """Close at once: what is not acknowledged is lost."""
        self._raw.abort()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # After an error nobody wants to wait for deliveries.
        if kind is None:
            self.close()
        else:
            self.abort()

    def __repr__(self) -> str:
        state = self.closed or "open"
        return f"<Connection to {self.remote_address}: {state}>"


class Listener:
    """Accepts connections; made by :func:`listen`."""

    __slots__ = ("_endpoint", "address")

    def __init__(self, endpoint: TransportEndpoint) -> None:
        self._endpoint = endpoint
        #: Where it listens: (host, port).
        self.address: Address = endpoint.address

    @property
    def endpoint(self) -> TransportEndpoint:
        """What is below, for ``udpcore.aio``."""
        return self._endpoint

    def accept(self, timeout: float | None = None) -> Connection:
        """The next connection; at most 1,024 wait to be accepted, more are aborted.

        Raises TimeoutError after ``timeout`` seconds, BrokenPipeError once the listener is closed.
        """
        return Connection(self._endpoint.accept(timeout))

    def dropped(self) -> dict[str, int]:
        """Datagrams dropped before they reached a connection, by reason (``"bad_handshake"``…)."""
        return self._endpoint.dropped()

    def close(self) -> None:
        """Accept no more; connections already accepted go on."""
        self._endpoint.close()

    def __iter__(self) -> Iterator[Connection]:
        while True:
            try:
                yield self.accept()
            except BrokenPipeError:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Listener on {self.address}>"


def listen(
    address: Address = ("127.0.0.1", 0),
    secret: str | bytes | None = None,
    *,
    key: bytes | None = None,
    plaintext: bool = False,
    **options: Any,
) -> Listener:
    """Listen for connections.

    With ``secret`` only peers that know it get an answer; it should be long and random. Without
    one the connection is encrypted, but anybody may connect. ``key`` (see :func:`generate_keys`)
    lets clients that know the public key be sure of this server, and a server that is started
    anew with it tell its former clients at once that their connections are gone; no two servers
    share one. ``plaintext=True`` does not encrypt at all: for teaching.

    ``congestion`` is how fast this end sends, and when to choose it:

    * ``"cubic"``, the default: for all paths that lose little by themselves; shares them well.
    * ``"bbr"``: for long paths that lose without being full, as radio does (from 50 ms and 1 % on);
      beside a CUBIC flow it takes more than half. BBRv3, with a change for such paths.
    * ``"new_reno"``: for teaching and comparison.

    ``options``, for :func:`connect` too, with their defaults: ``congestion`` ("cubic"); in
    seconds ``idle_timeout`` (30; 0 is never), ``keep_alive`` (10; 0 is never),
    ``handshake_timeout`` (10), ``linger`` (30: how long closing goes on delivering),
    ``ack_delay_max`` (0.025); in bytes ``message_len_max`` (16 MiB), ``receive_window`` (32 MiB),
    ``channel_window`` (24 MiB), ``send_buffer`` (32 MiB), ``datagram_len_max`` (1452);
    ``channels_max`` (256); ``ecn`` (True).

    Raises OSError if the address cannot be bound, TypeError for an option that does not exist,
    ValueError for values that make no sense.
    """
    if key is not None:
        options["key"] = key
    numeric = _numeric(address)
    return Listener(TransportEndpoint(numeric, True, _secret(secret), plaintext, options))


def connect(
    address: Address,
    secret: str | bytes | None = None,
    congestion: str = "cubic",
    timeout: float | None = 10.0,
    *,
    peer_key: bytes | None = None,
    plaintext: bool = False,
    **options: Any,
) -> Connection:
    """Connect to a listener; ``secret`` and ``plaintext`` must be as there.

    With ``peer_key`` only the owner of that public key is accepted as the server. Raises
    TimeoutError when nobody answers in time: the address, the secret or the key is wrong (a
    server stays silent then). ``congestion`` and ``options`` as for :func:`listen`.
    """
    address = _numeric(address)
    endpoint = client_endpoint(address, secret, congestion, timeout, peer_key, plaintext, options)
    raw = endpoint.connect(address)
    raw.wait_connected(timeout)
    return Connection(raw, endpoint)


def generate_keys() -> tuple[bytes, bytes]:
    """A new key pair: (``key`` for :func:`listen`, ``peer_key`` for :func:`connect`), X25519.

    >>> secret_key, public_key = generate_keys()
    >>> with listen(key=secret_key) as server:
    ...     with connect(server.address, peer_key=public_key) as conn:
    ...         conn.send(b"only you").wait(timeout=5.0)
    'acked'
    """
    return transport_keys()


def client_endpoint(
    address: Address,
    secret: str | bytes | None,
    congestion: str,
    timeout: float | None,
    peer_key: bytes | None,
    plaintext: bool,
    options: dict[str, Any],
) -> TransportEndpoint:
    """The endpoint of one client, for :func:`connect` here and in ``udpcore.aio``.

    `address` is numeric, or wrong: what is wrong with it the endpoint says when it connects.
    """
    host = address[0] if isinstance(address, tuple) and address else ""
    local = ("::", 0) if ":" in str(host) else ("0.0.0.0", 0)
    options = {"congestion": congestion, **options}
    if peer_key is not None:
        options["peer_key"] = peer_key
    if timeout is not None:
        if not isinstance(timeout, int | float) or not timeout >= 0:
            raise ValueError(f"timeout must be a number of seconds from 0 on, not {timeout!r}")
        longest = min(max(timeout, 0.001), HANDSHAKE_SECONDS_MAX)
        options.setdefault("handshake_timeout", longest)
    return TransportEndpoint(local, False, _secret(secret), plaintext, options)


def is_name(address: Address) -> bool:
    """Whether the host has to be looked up; a wrong address has not."""
    if not (isinstance(address, tuple) and len(address) >= 2 and isinstance(address[0], str)):
        return False
    host = address[0]
    return bool(host) and ":" not in host and not host.replace(".", "").isdigit()


def choose(found: list[Any]) -> Address:
    """One of the addresses of a name, as ``getaddrinfo`` gives them: the first.

    But 127.0.0.1 before ::1, since listeners are there unless they say otherwise.
    """
    addresses: list[Address] = [entry[4] for entry in found]
    if addresses[0][0] == "::1":
        return next((one for one in addresses if one[0] == "127.0.0.1"), addresses[0])
    return addresses[0]


def _numeric(address: Address) -> Address:
    """The address with its host looked up, so that its family is known."""
    if not is_name(address):
        return address
    return choose(getaddrinfo(address[0], address[1], type=SOCK_DGRAM))


def _secret(secret: str | bytes | None) -> bytes | None:
    if secret is None:
        return None
    if not isinstance(secret, str | bytes | bytearray):
        raise TypeError(f"secret must be str or bytes, not {type(secret).__name__}")
    if not secret:
        raise ValueError("secret must not be empty: leave it out, or give a long random one")
    return secret.encode() if isinstance(secret, str) else bytes(secret)


def _messages(recv: Callable[[], bytes]) -> Iterator[bytes]:
    while True:
        # One at a time: a loop that is left must not have taken more than it used.
        try:
            yield recv()
        except EOFError:
            return
