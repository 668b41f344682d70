"""What makes no sense is refused with a word why, before it costs a connection or a thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time

import pytest

from udpcore import aio, netem
from udpcore._core import TransportEndpoint
from udpcore._transport import choose
from udpcore.reliable import connect, generate_keys, listen

FAR = 1e13


@pytest.mark.parametrize("option", ["idle_timeout", "keep_alive", "handshake_timeout", "linger"])
def test_times_are_seconds_below_a_hundred_years(option):
    for seconds in (-1, FAR, 1e300, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=f"{option} must be 0 to 3153600000 seconds, not"):
            listen(**{option: seconds})
    with pytest.raises(TypeError, match=f"{option} must be a number of seconds, not '1'"):
        listen(**{option: "1"})


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"ack_delay_max": 1.5}, ValueError, "ack_delay_max is 1500000: it must be at most"),
        ({"receive_window": 2**63}, ValueError, "receive_window is .* at most 2"),
        ({"send_buffer": -1}, ValueError, "send_buffer must be a number of bytes, not -1"),
        ({"channels_max": 2**70}, ValueError, "channels_max must be 1 to 65536"),
        ({"datagram_len_max": 65_508}, ValueError, "datagram_len_max .* 65507"),
        ({"ecn": "yes"}, TypeError, "ecn must be True or False, not 'yes'"),
        ({"secret": ""}, ValueError, "secret must not be empty"),
        ({"secret": 5}, TypeError, "secret must be str or bytes, not int"),
        ({"key": "text"}, TypeError, "key must be 32 bytes"),
    ],
)
def test_options_out_of_range(options, error, text):
    with pytest.raises(error, match=text):
        listen(**options)


def test_messages_out_of_range(pair):
    client, server = pair
    for options, text in (
        ({"deadline": FAR}, "deadline must be 0 to 3153600000 seconds"),
        ({"priority": 256}, "priority must be a number from 0 to 255, not 256"),
        ({"channel": -1}, "channel must be a number from 0 to channels_max - 1, not -1"),
        ({"fec": True}, "fec must be None, 'auto' or a share from 0 to 3, not True"),
    ):
        with pytest.raises(ValueError, match=text):
            client.send(b"x", **options)
    client.send(b"after all that", deadline=3e9)
    assert server.recv(timeout=10) == b"after all that"
    with pytest.raises(ValueError, match="channel 0 is ordered: its mode cannot change"):
        client.channel(0, "unordered")


def test_no_messages_are_never_there(pair):
    client, _ = pair
    for wrong in (0, -1):
        with pytest.raises(
            ValueError, match=f"n must be a number of messages from 1 on, not {wrong}"
        ):
            client.recv_many(wrong)

    async def main():
        async with await aio.listen() as server, await aio.connect(server.address) as there:
            with pytest.raises(ValueError, match="n must be"):
                await there.recv_many(0)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_what_precedes_a_message_too_long_is_sent_at_once(pair_of):
    client, server = pair_of(message_len_max=1000)
    time.sleep(0.1)  # The client's thread sleeps until its keep-alive.
    with pytest.raises(ValueError, match="the limit is 1000"):
        client.send_many([b"one", b"two", bytes(1001), b"never"])
    assert [server.recv(timeout=5) for _ in range(2)] == [b"one", b"two"]


def test_a_timeout_of_connect_is_a_number():
    for wrong in (-1, "1", float("nan")):
        with pytest.raises(ValueError, match="timeout must be a number of seconds from 0 on"):
            connect(("127.0.0.1", 9), timeout=wrong)
    with pytest.raises(TypeError, match=r"must be a \(host, port\) tuple, not None"):
        connect(None)


def test_an_address_that_cannot_be_had_is_named():
    with (
        listen() as server,
        pytest.raises(OSError, match=rf"in use \(127.0.0.1:{server.address[1]}\)"),
    ):
        listen(server.address)


def test_localhost_is_where_listeners_are():
    six, four = ("::1", 5, 0, 0), ("127.0.0.1", 5)
    entries = {address: (0, 0, 0, "", address) for address in (six, four)}
    assert choose([entries[six], entries[four]]) == four
    assert choose([entries[six]]) == six
    with listen(("localhost", 0)) as server, connect(("localhost", server.address[1])) as client:
        client.send(b"x")
        assert server.accept(timeout=10).recv(timeout=10) == b"x"


def test_counts_are_there_after_the_end():
    with listen(secret="right") as server, pytest.raises(TimeoutError):
        connect(server.address, secret="wrong", timeout=0.2)
    assert server.dropped()["bad_handshake"] >= 1
    with pytest.raises(BrokenPipeError):
        server.accept(timeout=0)


def test_connections_that_nobody_accepts_are_limited():
    endpoint = TransportEndpoint(("127.0.0.1", 0), False, None, False, {})
    with listen() as server:
        clients = [endpoint.connect(server.address) for _ in range(4)]
        while len(clients) < 1030:
            clients[-1].wait_connected(20)
            clients.append(endpoint.connect(server.address))
        with pytest.raises(ConnectionResetError, match="aborted by the peer"):
            clients[-1].recv(20, None)
        clients[0].send(b"hello", 0, None, 0, None, 5)
        assert server.accept(timeout=10).recv(timeout=10) == b"hello"
        assert server.dropped()["too_many_connections"] >= 1
        for client in clients:
            client.abort()
    endpoint.close()


def test_a_connection_that_comes_too_late_is_told_so():
    """The server closes between the handshake's answer and the client's first packet."""
    with listen() as server, netem.Proxy(server.address, delay="300ms", seed=1) as link:
        timer = threading.Timer(0.45, server.close)
        timer.start()
        client = connect(link.address)
        timer.join()
        with pytest.raises(ConnectionResetError, match="aborted by the peer"):
            client.recv(timeout=10)


def test_a_server_killed_and_started_anew_resets_its_clients():
    key, public = generate_keys()
    program = """if True:
        import sys, time
        from udpcore.reliable import listen
        server = listen(key=bytes.fromhex(sys.argv[1]))
        print(server.address[1], flush=True)
        connection = server.accept()
        connection.recv()
        print("received", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", program, key.hex()], stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout
        address = ("127.0.0.1", int(first.stdout.readline()))
        client = connect(address, peer_key=public)
        client.send(b"hello")
        assert first.stdout.readline() == "received\n"
        first.kill()
    with listen(address, key=key):
        with contextlib.suppress(BrokenPipeError):  # It may know already.
            client.send(b"anybody?")
        with pytest.raises(ConnectionResetError, match="no longer knows"):
            client.recv(timeout=20)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_is_refused_and_may_end(pair):
    client, server = pair
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            client.send(bytes(1000), timeout=5)
            server.recv(timeout=5)

    worker = threading.Thread(target=work)
    worker.start()
    for _ in range(10):
        if (child := os.fork()) == 0:
            refused = 0
            for call in (client.close, client.abort, client.stats, client.recv):
                try:
                    call()
                except RuntimeError as error:
                    refused += "belongs to process" in str(error)
            os._exit(0 if refused == 4 else 1)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    worker.join()
