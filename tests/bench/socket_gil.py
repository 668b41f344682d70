"""A send and receive loop beside a CPU-bound Python thread: udpcore and the standard module.

Run with a release build: ``python tests/bench/socket_gil.py``. Each round runs the same loop on
one module, then on the other, for the same time, and counts round trips; the thread counts too,
and its solo rate is measured in the same round. Medians.

A run is long and its first part does not count: the scheduler starts the thread on the loop's
own processor and moves it to another one within a tenth of a second. Until then the standard
module makes 70,000 round trips a second, from then on about 700, which is the convoy that
programs live with.

Ready: the loop sends to itself, so the datagram is there when it is asked for. Waiting: another
process echoes each datagram, so the loop has to wait for it.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import _report

import udpcore

Row = dict[str, object]
ROUNDS = 7
SECONDS = 1.5
WARM_UP_SECONDS = 0.5
IDLE_MIN = 0.9
QUIET_SECONDS_MAX = 30
ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True:
    data, peer = s.recvfrom(2048)
    s.sendto(data, peer)
"""


def idle() -> float:
    """The share of the machine that does nothing, over a moment."""

    def ticks() -> tuple[int, int]:
        fields = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
        return fields[3] + fields[4], sum(fields)

    before = ticks()
    time.sleep(0.2)
    after = ticks()
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def wait_for_quiet(end: float) -> None:
    """Returns when the machine is idle, or at `end`."""
    while idle() < IDLE_MIN and time.monotonic() < end:
        pass


class Spinner:
    """A thread that does nothing but compute; counts its turns."""

    def __init__(self) -> None:
        self.count = 0
        self.stop = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.stop:
            for _ in range(1000):
                pass
            self.count += 1

    def finish(self) -> int:
        """Ends it; gives back the turns so far."""
        count, self.stop = self.count, True
        self.thread.join()
        return count


def solo() -> float:
    """Turns a second of the thread alone."""
    spinner = Spinner()
    time.sleep(WARM_UP_SECONDS)
    turns, begin = spinner.count, time.perf_counter()
    time.sleep(SECONDS)
    return (spinner.finish() - turns) / (time.perf_counter() - begin)


def trips(
    module: ModuleType, port: int | None, timeout: float | None, *, beside: bool = True
) -> tuple[float, float]:
    """Round trips a second, and the thread's turns a second meanwhile, if there is one."""
    with module.socket(module.AF_INET, module.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.settimeout(timeout)
        target = ("127.0.0.1", port) if port else one.getsockname()
        spinner = Spinner() if beside else None

        def run(seconds: float) -> tuple[float, float]:
            count, begin = 0, time.perf_counter()
            turns = spinner.count if spinner else 0
            while (elapsed := time.perf_counter() - begin) < seconds:
                one.sendto(b"x" * 64, target)
                one.recvfrom(2048)
                count += 1
            return count / elapsed, (spinner.count - turns) / elapsed if spinner else 0

        run(WARM_UP_SECONDS)
        rates = run(SECONDS)
        if spinner:
            spinner.finish()
        return rates


def row(work: str, bar: str, port: int | None, timeout: float | None) -> Row:
    """One line of the table."""
    rates: dict[str, list[float]] = {"socket": [], "udpcore": [], "kept": [], "alone": []}
    end = time.monotonic() + QUIET_SECONDS_MAX
    for _ in range(ROUNDS):
        wait_for_quiet(end)
        alone = solo()
        rates["socket"].append(trips(socket, port, timeout)[0])
        rates["alone"].append(trips(udpcore, port, timeout, beside=False)[0])
        rate, turns = trips(udpcore, port, timeout)
        rates["udpcore"].append(rate)
        rates["kept"].append(turns / alone)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "work": work,
        "ours": f"{middle['udpcore']:.0f}",
        "peer": f"socket {middle['socket']:.0f}",
        "unit": "round trips a second",
        "ratio": f"{middle['udpcore'] / middle['socket']:.0f}",
        "bar": f"≥ {bar}x, thread ≥ 40 %",
        "thread keeps": f"{middle['kept']:.0%}",
        "loop keeps": f"{middle['udpcore'] / middle['alone']:.0%} of {middle['alone']:.0f}",
    }


def main() -> None:
    """Measure and print a table."""
    rows = [
        row("data ready, blocking", "120", None, None),
        row("data ready, timeout", "120", None, 5.0),
    ]
    command = [sys.executable, "-c", ECHO]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as echo:
        port = int(echo.stdout.readline()) if echo.stdout else 0
        rows += [
            row("waiting, blocking", "30", port, None),
            row("waiting, timeout", "30", port, 5.0),
        ]
        echo.terminate()
    note = (
        f"Runs of {SECONDS} s, after {WARM_UP_SECONDS} s in which the scheduler gives the thread a "
        "processor of its own. Both want the GIL all the time: what the loop keeps of its rate "
        "alone and what the thread keeps add up to about one."
    )
    _report.say("Beside a CPU-bound thread", rows, [note])


if __name__ == "__main__":
    main()
