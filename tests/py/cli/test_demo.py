"""``udpcore demo`` on a small file: the table, the seed, and what the exit code says."""

import hashlib
import random
import re
import subprocess
import sys

import pytest
from nsd import start_nsd, zone_of_hosts

SEED = 11
NAMES = 8


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The standard output of one run, split into rows."""
    scratch = tmp_path_factory.mktemp("demo")
    file = scratch / "file.bin"
    file.write_bytes(random.Random(SEED).randbytes(200_000))
    names = scratch / "names.txt"
    zone, hosts = zone_of_hosts("demo.test", NAMES)
    names.write_text("\n".join(hosts))
    with start_nsd(zone, "demo.test") as server:
        host, port = server.address
        run = subprocess.run(
            [
                *(sys.executable, "-m", "udpcore", "demo", str(file), "--seed", str(SEED)),
                *("--name-server", f"{host}:{port}", "--names", str(names)),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    return run.stdout


def row(shown: str, way: str) -> list[str]:
    (line,) = [line for line in shown.splitlines() if line.startswith(way)]
    return re.split(r"\s{2,}", line.strip())


def test_plain_udp_loses_about_what_the_link_drops(shown):
    _, delivered, *_, sha256 = row(shown, "plain UDP")
    assert 80 < float(delivered.rstrip("%")) < 98
    assert sha256 == "NOT equal"


def test_sequence_numbers_hide_duplicates_but_repair_nothing(shown):
    _, delivered, _, duplicates, *_, sha256 = row(shown, "sequence numbers")
    assert 80 < float(delivered.rstrip("%")) < 98
    assert (duplicates, sha256) == ("0", "NOT equal")


def test_retransmission_delivers_every_byte_once(shown):
    _, delivered, _, duplicates, retransmitted, *_, sha256 = row(shown, "ACK + retransmission")
    assert (delivered, duplicates, sha256) == ("100.0%", "0", "equal")
    assert int(retransmitted) > 0


def test_the_control_is_intact(shown):
    assert row(shown, "TCP, clean link")[-1] == "equal"


def test_every_name_is_answered_and_the_seed_is_printed(shown):
    assert f"{NAMES} of {NAMES} answered" in shown
    assert f"--seed {SEED}" in shown


def test_a_file_that_does_not_arrive_intact_is_told_apart():
    from udpcore.cli._progress import Progress
    from udpcore.cli._transfers import transfer

    def losing_way(chunks, collector, open_link):
        for index, chunk in enumerate(chunks[1:], 1):
            collector.add(index, chunk)

    data = hashlib.sha256(b"demo").digest() * 100
    outcome = transfer("losing", losing_way, data, lambda address: address)
    assert not outcome.intact
    assert outcome.delivered == outcome.chunks - 1
    assert Progress("unused", 0)._line().endswith("s")
