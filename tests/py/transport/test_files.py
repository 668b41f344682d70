"""Files: whole or not at all, resumed after a kill, and nowhere but in the directory."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from udpcore import netem
from udpcore._files import OPTIONS, FileReceiver, TransferError, send_file
from udpcore.reliable import Connection, connect, listen

SIZE = 1_500_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_arrive_whole_and_are_replaced_at_once(tmp_path, source):
    into = tmp_path / "in"
    empty = tmp_path / "empty"
    empty.touch()
    with FileReceiver(into, secret="s") as receiver:
        seen = []
        told = send_file(source, receiver.address, "s", lambda *now: seen.append(now))
        assert told == digest(source) == digest(into / source.name)
        assert seen[0] == (source.name, 0, SIZE)
        assert seen[-1] == (source.name, SIZE, SIZE)
        source.write_bytes(b"another")
        send_file(source, receiver.address, "s")
        send_file(empty, receiver.address, "s")
        assert receiver.wait(3, timeout=10) == 3
    assert (into / source.name).read_bytes() == b"another"
    assert sorted(path.name for path in into.iterdir()) == ["empty", source.name]


def test_several_at_once(tmp_path):
    files = [tmp_path / f"file{number}" for number in range(5)]
    for path in files:
        path.write_bytes(os.urandom(500_000))
    with FileReceiver(tmp_path / "in") as receiver:
        threads = [
            threading.Thread(target=send_file, args=(path, receiver.address)) for path in files
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(digest(tmp_path / "in" / path.name) == digest(path) for path in files)


@contextlib.contextmanager
def receiving(into: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "udpcore", "recv", str(into), "--host", "127.0.0.1"]
    with subprocess.Popen(
        [*command, "--port", "0", "-c", "1", "--secret", "s"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            yield process, int(process.stderr.readline().split()[-1])
        finally:
            process.kill()


def sending(source: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "udpcore", "send", str(source), f"127.0.0.1:{port}"]
    return subprocess.Popen(
        [*command, "--secret", "s"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def part_of(into: Path) -> Path | None:
    return next(iter(into.glob(".*.part")), None) if into.is_dir() else None


def wait_for_part(into: Path, least: int, process: subprocess.Popen[str]) -> int:
    """Wait until so much of the file is there; the transfer must still be running."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        part = part_of(into)
        if part is not None and part.stat().st_size >= least:
            return part.stat().st_size
        assert process.poll() is None, "it was over too soon"
        time.sleep(0.01)
    raise AssertionError(f"less than {least} bytes came in 30 s")


def test_a_killed_sender_continues_through_a_bad_link(tmp_path, source):
    into = tmp_path / "in"
    bad = {"loss": "10%", "delay": "4ms", "seed": 11}
    with receiving(into) as (receiver, port), netem.Proxy(("127.0.0.1", port), **bad) as proxy:
        with sending(source, proxy.address[1]) as first:
            wait_for_part(into, SIZE // 4, first)
            first.send_signal(signal.SIGKILL)
        with sending(source, proxy.address[1]) as second:
            out, err = second.communicate(timeout=50)
        assert second.returncode == 0, err
        assert out == f"{digest(source)}  {source.name}\n"
        receiver.wait(timeout=20)
    assert digest(into / source.name) == digest(source)
    assert part_of(into) is None


def test_a_killed_receiver_continues(tmp_path, source):
    into = tmp_path / "in"
    slow = {"loss": "10%", "delay": "4ms", "seed": 12}
    with (
        receiving(into) as (receiver, port),
        netem.Proxy(("127.0.0.1", port), **slow) as proxy,
        sending(source, proxy.address[1]) as first,
    ):
        wait_for_part(into, SIZE // 4, first)
        receiver.send_signal(signal.SIGKILL)
        first.kill()
    assert not (into / source.name).exists()
    held = part_of(into).stat().st_size
    begun = []
    with FileReceiver(into, secret="s") as again:
        send_file(source, again.address, "s", lambda _, done, __: begun.append(done))
    assert begun[0] == held
    assert digest(into / source.name) == digest(source)


def test_a_damaged_part_is_thrown_away_and_sent_again(tmp_path, source):
    into = tmp_path / "in"
    into.mkdir()
    (into / f".{source.name}.{digest(source)[:16]}.part").write_bytes(b"damaged" * 1000)
    said = []
    with FileReceiver(into, said=said.append) as receiver:
        send_file(source, receiver.address)
    assert digest(into / source.name) == digest(source)
    assert "sha256" in said[0]


HEADER = {"file": 1, "name": "a", "size": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "header",
    [
        b"not json",
        b"[]",
        b"{}",
        *(
            HEADER | {"name": name}
            for name in ("../a", "/etc/passwd", "..", ".", "", ".hidden", "a/b", "a\\b", "a\0b", 7)
        ),
        *(HEADER | {"size": size} for size in (-1, 2**40, "1", None)),
        *(HEADER | {"sha256": text} for text in ("", "g" * 64, "0" * 63, 0)),
        b" " * 5000,
        b"[" * 4000,
    ],
)
def test_nothing_leaves_the_directory(tmp_path, header):
    into = tmp_path / "deep" / "in"
    said = []
    with (
        FileReceiver(into, size_max=1 << 20, said=said.append) as receiver,
        connect(receiver.address, **OPTIONS) as conn,
    ):
        conn.send(header if isinstance(header, bytes) else json.dumps(header).encode())
        answer = json.loads(conn.recv(timeout=10))
        assert answer["ok"] is False
        assert answer["error"]
    assert list(into.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert said


def test_links_are_not_followed(tmp_path, source):
    into = tmp_path / "in"
    into.mkdir()
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (into / f".{source.name}.{digest(source)[:16]}.part").symlink_to(outside)
    with FileReceiver(into) as receiver, pytest.raises(TransferError, match="the receiver failed"):
        send_file(source, receiver.address)
    (into / source.name).symlink_to(outside)
    next(into.glob(".*.part")).unlink()
    with FileReceiver(into) as receiver:
        send_file(source, receiver.address)
    assert outside.read_bytes() == b"mine"
    assert not (into / source.name).is_symlink()


def test_a_wrong_secret_and_a_missing_file(tmp_path, source):
    with (
        FileReceiver(tmp_path / "in", secret="right") as receiver,
        pytest.raises(TimeoutError, match="wrong secret"),
    ):
        send_file(source, receiver.address, "wrong", timeout=0.3)
    command = [sys.executable, "-m", "udpcore", "send", str(tmp_path / "none"), "127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is not a file" in done.stderr


def test_the_progress_is_what_has_arrived(tmp_path, source):
    with (
        FileReceiver(tmp_path / "in") as receiver,
        netem.Proxy(receiver.address, rate="20mbit", seed=7) as link,
    ):
        seen: list[tuple[float, int]] = []
        send_file(
            source,
            link.address,
            report=lambda _, done, total: seen.append((time.monotonic(), done)),
        )
    # All of it fits the send buffer at once; the link needs 0.6 s.
    assert seen[-1][1] == SIZE
    assert seen[-1][0] - seen[0][0] > 0.3


def test_a_full_disk_is_told_to_the_sender(tmp_path, source, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    said = []
    with FileReceiver(tmp_path / "in", said=said.append) as receiver:
        monkeypatch.setattr("udpcore._files.os.fsync", full)
        with pytest.raises(TransferError, match="the receiver failed: No space left"):
            send_file(source, receiver.address)
    assert "No space left" in said[0]
    assert not (tmp_path / "in" / source.name).exists()


def test_a_file_that_changes_while_it_is_sent(tmp_path, source):
    into = tmp_path / "in"
    with FileReceiver(into) as receiver:
        with pytest.raises(TransferError, match="became 1000000 bytes shorter"):
            send_file(source, receiver.address, report=lambda *_: os.truncate(source, SIZE - 10**6))
        assert not (into / source.name).exists()

        def append(_: str, done: int, total: int) -> None:
            with source.open("ab") as file:
                file.write(b"more")

        before = source.read_bytes()
        send_file(source, receiver.address, report=append)
        assert (into / source.name).read_bytes() == before


def refuse(there: Connection) -> None:
    there.send(b'{"have": 0}')
    there.recv(timeout=10)
    there.send(b'{"ok": false, "error": "not this one"}')


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (lambda there: None, "ended it without a word"),
        (lambda there: there.send(b'{"have": 0}'), "ended it without a word"),
        (refuse, "not this one"),
    ],
)
def test_a_receiver_that_ends_early_is_a_failure_of_the_command(tmp_path, end, text):
    large = tmp_path / "large"
    large.write_bytes(bytes(20_000_000))  # More than is taken before it is acknowledged.

    def serve() -> None:
        with server.accept(timeout=20) as there:
            there.recv(timeout=20)
            end(there)

    with listen() as server:
        thread = threading.Thread(target=serve)
        thread.start()
        to = f"127.0.0.1:{server.address[1]}"
        command = [sys.executable, "-m", "udpcore", "send", str(large), to]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50)
        thread.join()
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
