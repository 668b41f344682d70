"""A small network of our own: two network namespaces, a and b, with a wire between them.

The wire can be bad: then the packet-level bridge of netem joins its two halves. Needs root and
iproute2. Nothing of the machine's own network is touched; everything is deleted whatever happens.

Code runs in a namespace through a thread that enters it: its sockets belong there.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

CLONE_NEWNET = 0x4000_0000
#: side -> (IPv4, IPv6)
ADDRESSES = {"a": ("198.51.100.1", "2001:db8::1"), "b": ("198.51.100.2", "2001:db8::2")}
#: The interface of either side.
INTERFACE = "eth0"
_counter = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def run(*words: str) -> str:
    """Run a program that has to succeed, and return what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


class Lan:
    """``with Lan() as lan:`` makes the network; ``Lan(loss="10%")`` a bad one.

    `addresses=False` leaves side a without addresses, as a machine before DHCP.
    """

    def __init__(self, addresses: bool = True, **impairments: str) -> None:
        tag = f"udpcore-{os.getpid()}-{next(_counter)}"
        self.names = {side: f"{tag}-{side}" for side in ("a", "b", "wire")}
        self._addresses, self._impairments = addresses, impairments
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Lan:
        try:
            self._build()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.terminate()
            process.communicate(timeout=30)
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def address(self, side: str, version: int = 4) -> str:
        """The address of a side."""
        return ADDRESSES[side][version != 4]

    def set_mtu(self, side: str, mtu: int) -> None:
        """Change the MTU of a side's interface."""
        self._ip(side, "link", "set", INTERFACE, "mtu", str(mtu))

    def start(self, side: str, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start a program in the namespace of `side`; it is ended with the network."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.names[side], *words], text=True, **options
        )
        self._processes.append(process)
        return process

    def begin(self, side: str, work: Callable[[], T]) -> Future[T]:
        """Begin `work` in a thread that lives in the namespace of `side`."""
        future: Future[T] = Future()

        def enter_and_work() -> None:
            try:
                with open(f"/run/netns/{self.names[side]}") as namespace:
                    if _libc.setns(namespace.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=enter_and_work, daemon=True).start()
        return future

    def inside(self, side: str, work: Callable[[], T]) -> T:
        """Do `work` in the namespace of `side` and return its result."""
        return self.begin(side, work).result(60)

    def _build(self) -> None:
        for name in self.names.values():
            run("ip", "netns", "add", name)
        if self._impairments:
            for side in ("a", "b"):
                self._join((side, INTERFACE), ("wire", f"end-{side}"))
        else:
            self._join(("a", INTERFACE), ("b", INTERFACE))
        for side in ("a", "b") if self._addresses else ("b",):
            four, six = ADDRESSES[side]
            place = ["dev", INTERFACE]
            self._ip(side, "address", "add", f"{four}/24", "broadcast", "+", *place)
            self._ip(side, "address", "add", f"{six}/64", *place, "nodad")
            self._ip(side, "route", "add", "default", *place)
        if self._impairments:
            self._bridge(self._impairments)

    def _join(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        peer = ["peer", "name", other[1], "netns", self.names[other[0]]]
        self._ip(one[0], "link", "add", one[1], "type", "veth", *peer)
        for side, interface in (one, other):
            self._ip(side, "link", "set", "lo", "up")
            self._ip(side, "link", "set", interface, "up")

    def _bridge(self, impairments: Mapping[str, str]) -> None:
        words = [sys.executable, "-m", "udpcore", "netem", "bridge", "--left", "end-a"]
        words += ["--right", "end-b"]
        for name, value in impairments.items():
            words += [f"--{name}", value]
        bridge = self.start("wire", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert bridge.stderr
        said = ""
        while "seed" not in said:
            said = bridge.stderr.readline()
            if not said:
                raise RuntimeError(f"the bridge ended with {bridge.wait(30)}")

    def _ip(self, side: str, *words: str) -> None:
        run("ip", "-n", self.names[side], *words)
