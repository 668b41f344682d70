"""``udpcore bench``: every work is measured and told, in words and as JSON."""

import json
import subprocess
import sys

WORKS = ["sendto", "recvfrom", "sendmmsg", "recvmmsg_into", "encode", "query", "Proxy", "encrypted"]


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "udpcore", "bench", "--rounds", "1", *words],
        capture_output=True,
        text=True,
        timeout=55,
        check=True,
    )


def test_a_table_with_the_standard_module_beside():
    lines = bench().stdout.splitlines()
    assert all(any(work in line for line in lines) for work in WORKS)
    assert sum(" socket " in line for line in lines) == 4


def test_json():
    rows = json.loads(bench("--json").stdout)
    assert all(row["udpcore"] > 0 and row["unit"] for row in rows)
