"""Connections over loopback: what an application sees."""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import pytest

from udpcore.reliable import connect, generate_keys, listen

SECURITY = [{}, {"secret": "correct horse battery staple"}, {"plaintext": True}]


@pytest.mark.parametrize("options", SECURITY)
def test_messages_keep_their_bounds_and_order(pair_of, options):
    client, server = pair_of(**options)
    sent = [os.urandom(size) for size in (0, 1, 100, 1400, 65_536, 1 << 20)]
    receipts = [client.send(message) for message in sent]
    assert [server.recv(timeout=10) for _ in sent] == sent
    assert [receipt.wait(timeout=10) for receipt in receipts] == ["acked"] * len(sent)
    server.send(b"answer")
    assert client.recv(timeout=10) == b"answer"


def test_what_comes_while_the_thread_sends_is_sent_too():
    """A message given between the thread's last look and its sleep must not wait for a timer."""
    for _ in range(100):
        with listen() as server, connect(server.address) as client:
            there = server.accept(timeout=10)
            for number in range(20):
                client.send(b"%d" % number)
                assert there.recv(timeout=5) == b"%d" % number
            client.abort()


def test_the_largest_message_and_one_byte_more(pair):
    client, server = pair
    largest = bytes(16 << 20)
    client.send(largest)
    assert server.recv(timeout=30) == largest
    with pytest.raises(ValueError, match="a message of 16777217 bytes is too long"):
        client.send(bytes((16 << 20) + 1))


def test_many_small_messages_in_batches(pair):
    client, server = pair
    sent = [str(number).encode() for number in range(20_000)]
    client.send_many(sent)
    received = []
    while len(received) < len(sent):
        received += server.recv_many(1000, timeout=10)
    assert received == sent


def test_channels_have_their_own_messages_and_modes(pair):
    client, server = pair
    ours, theirs = client.channel(3, "unordered"), server.channel(3, "unordered")
    ours.send(b"three")
    client.send(b"zero")
    assert server.recv(timeout=10) == b"zero"
    assert theirs.recv(timeout=10) == b"three"
    with pytest.raises(ValueError, match="channel 3 is unordered: its mode cannot change"):
        client.channel(3, "ordered")
    with pytest.raises(ValueError, match="channel 999999 does not exist"):
        client.send(b"", channel=999_999)
    with pytest.raises(ValueError, match="mode must be"):
        client.channel(4, "quick")


def test_a_loop_that_is_left_has_taken_no_more_than_it_gave(pair):
    client, server = pair
    ours, theirs = client.channel(1), server.channel(1)
    receipts = [where.send(b"%d" % n) for n in range(100) for where in (client, ours)]
    assert [receipt.wait(10) for receipt in receipts] == ["acked"] * 200
    for source in (server, theirs):
        for message in source:
            if message == b"3":
                break
        assert source.recv(timeout=10) == b"4"


def test_close_delivers_what_was_accepted_and_ends_the_peers_loop(pair):
    client, server = pair
    client.send_many([bytes(1000)] * 500)
    assert client.close(timeout=10)
    assert sum(len(message) for message in server) == 500_000
    assert server.closed == "closed by the peer"
    with pytest.raises(EOFError):
        server.recv(timeout=1)
    with pytest.raises(BrokenPipeError):
        client.send(b"too late")


def test_abort_is_told_to_the_peer(pair):
    client, server = pair
    client.abort()
    with pytest.raises(ConnectionResetError, match="aborted by the peer"):
        server.recv(timeout=10)


def test_the_wrong_secret_gets_no_answer_and_is_counted():
    with listen(secret="right") as server:
        with pytest.raises(TimeoutError, match="wrong secret"):
            connect(server.address, secret="wrong", timeout=0.3)
        with pytest.raises(TimeoutError):
            connect(server.address, timeout=0.3)
        assert server.dropped()["bad_handshake"] >= 2
        with connect(server.address, secret="right") as client:
            client.send(b"in")
            assert server.accept(timeout=10).recv(timeout=10) == b"in"


def test_timeouts_and_bad_arguments(pair):
    client, _ = pair
    begin = time.monotonic()
    with pytest.raises(TimeoutError, match="no message came"):
        client.recv(timeout=0.1)
    assert 0.09 < time.monotonic() - begin < 5
    with pytest.raises(TypeError, match="bytes-like, not str"):
        client.send("text")
    with pytest.raises(ValueError, match="deadline must be 0 to"):
        client.send(b"", deadline=-1)
    with pytest.raises(TypeError, match="unknown option"):
        listen(conjestion="cubic")
    with pytest.raises(ValueError, match="congestion must be"):
        listen(congestion="reno")
    with pytest.raises(ValueError, match="exclude each other"):
        listen(secret="x", plaintext=True)
    with listen() as server, pytest.raises(TimeoutError, match="nobody connected"):
        server.accept(timeout=0.05)


def test_a_full_send_buffer_blocks_until_the_peer_reads(pair_of):
    limits = {
        "message_len_max": 100_000,
        "receive_window": 300_000,
        "channel_window": 200_000,
        "send_buffer": 300_000,
    }
    client, server = pair_of(**limits)
    with pytest.raises(TimeoutError, match="send buffer is full"):
        client.send_many([bytes(50_000)] * 100, timeout=0.3)
    waiting = threading.Thread(target=client.send, args=(bytes(50_000),))
    waiting.start()
    while waiting.is_alive():
        server.recv_many(10, timeout=10)
        waiting.join(0.01)


def test_a_deadline_that_passes_before_anything_can_be_sent(pair_of):
    limits = {"message_len_max": 50_000, "receive_window": 60_000, "channel_window": 60_000}
    client, server = pair_of(**limits)
    client.send(bytes(50_000))
    late = client.send(bytes(50_000), deadline=0.05)
    assert late.wait(timeout=10) == "expired"
    assert server.recv(timeout=10) == bytes(50_000)
    client.send(b"next")
    assert server.recv(timeout=10) == b"next"


def test_statistics_are_typed_and_read_as_a_line(pair):
    client, server = pair
    client.send(b"x").wait(timeout=10)
    server.recv(timeout=10)
    stats = client.stats()
    assert stats.messages_sent == 1
    assert stats.messages_pending == 0
    assert 0 < stats.srtt < 5
    assert repr(stats).startswith("ConnectionStats(sent=1 ")


def test_ctrl_c_interrupts_a_wait(pair):
    client, _ = pair
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        client.recv(timeout=30)
    assert time.monotonic() - begin < 5
    timer.join()


def test_a_closed_listener_ends_accept_and_keeps_connections():
    server = listen()
    client = connect(server.address)
    there = server.accept(timeout=10)
    waiting = threading.Timer(0.1, server.close)
    waiting.start()
    with pytest.raises(BrokenPipeError):
        server.accept(timeout=10)
    client.send(b"still here")
    assert there.recv(timeout=10) == b"still here"
    assert client.close(timeout=10)
    waiting.join()


def test_a_pinned_key_admits_its_server_only():
    secret_key, public_key = generate_keys()
    _, another = generate_keys()
    with listen(key=secret_key) as server:
        with connect(server.address, peer_key=public_key) as client:
            assert client.send(b"x").wait(timeout=10) == "acked"
        with pytest.raises(TimeoutError):
            connect(server.address, peer_key=another, timeout=0.3)
        with connect(server.address) as client:
            assert client.send(b"anybody").wait(timeout=10) == "acked"
    with pytest.raises(ValueError, match="peer_key must have 32 bytes, not 3"):
        connect(server.address, peer_key=b"abc")
    with pytest.raises(ValueError, match="exclude each other"):
        listen(key=secret_key, plaintext=True)


def test_question_and_answer_do_not_wait_for_a_slice(pair):
    """Every answer wakes its waiter: a missed wake-up would cost 50 ms each."""
    client, server = pair

    def answer():
        for message in server:
            server.send(message)

    thread = threading.Thread(target=answer)
    thread.start()
    begin = time.monotonic()
    for number in range(300):
        client.send(str(number).encode())
        assert client.recv(timeout=10) == str(number).encode()
    assert time.monotonic() - begin < 7
    client.close(timeout=10)
    thread.join()


def test_qlog_files_of_both_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("QLOGDIR", str(tmp_path))
    with listen() as server:
        with connect(server.address) as client:
            client.send(bytes(200_000)).wait(timeout=10)
            server.accept(timeout=10).recv(timeout=10)
        names = {path.name for path in tmp_path.iterdir()}
        ids = {name.split("_")[0] for name in names}
        assert names == {f"{id}_{side}.sqlog" for id in ids for side in ("client", "server")}
        assert len(ids) == 1
    deadline = time.monotonic() + 10
    found = set()
    while "recovery:metrics_updated" not in found and time.monotonic() < deadline:
        text = next(tmp_path.glob("*_client.sqlog")).read_text()
        records = [json.loads(line) for line in text.split("\x1e")[1:] if line.endswith("\n")]
        found = {record.get("name") for record in records}
    assert records[0]["qlog_format"] == "JSON-SEQ"
    assert {"transport:packet_sent", "recovery:metrics_updated"} <= found
    times = [record["time"] for record in records[1:]]
    assert times == sorted(times)


def test_repair_is_asked_for_by_message(pair_of):
    client, server = pair_of(plaintext=True)
    fast = client.channel(1, "unordered")
    theirs = server.channel(1, "unordered")
    for fec in (None, "auto", 0.5, 3):
        message = os.urandom(5000)
        assert fast.send(message, deadline=20.0, fec=fec).wait(timeout=10) == "acked"
        assert theirs.recv(timeout=10) == message
    for wrong in ("always", -0.1, 3.5, float("nan")):
        with pytest.raises(ValueError, match="fec must be None, 'auto' or a share"):
            client.send(b"", fec=wrong)
