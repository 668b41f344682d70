"""What the machine says about names: ``/etc/resolv.conf`` and ``/etc/hosts``.

resolv.conf(5) and hosts(5); RFC 6761 §6.3 for ``localhost``. Files are read anew each time: they
are small, and change when a laptop moves.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

RESOLV_CONF = "/etc/resolv.conf"
HOSTS = "/etc/hosts"

#: The limits of resolv.conf(5): more are cut, as the C library does.
SERVERS_MAX, NDOTS_MAX, TIMEOUT_S_MAX, ATTEMPTS_MAX = 3, 15, 30, 5


@dataclass(frozen=True)
class System:
    """The settings of resolv.conf(5); `timeout` is seconds for each of `attempts` tries."""

    servers: tuple[str, ...] = ("127.0.0.1",)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: float = 5.0
    attempts: int = 2

    def candidates(self, name: str) -> list[str]:
        """Return the names to ask for, in order, when a user says `name`.

        >>> System(search=("corp.example", "example")).candidates("www")
        ['www.corp.example', 'www.example', 'www']
        """
        if name.endswith("."):
            return [name]
        searched = [f"{name}.{suffix}" for suffix in self.search]
        if name.count(".") >= self.ndots:
            return [name, *searched]
        return [*searched, name]


def read_system(path: str = RESOLV_CONF) -> System:
    """Read the settings; a file that is missing has none."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    numbers = {"ndots": 1, "timeout": 5, "attempts": 2}
    limits = {"ndots": NDOTS_MAX, "timeout": TIMEOUT_S_MAX, "attempts": ATTEMPTS_MAX}
    for line in _lines(path, ";#"):
        keyword, *values = line
        if keyword == "nameserver" and values and len(servers) < SERVERS_MAX:
            servers.append(values[0])
        elif keyword in ("search", "domain"):
            # The last of several lines counts.
            search = tuple(value.rstrip(".") for value in values if value.rstrip("."))
        elif keyword == "options":
            for key, _, number in (value.partition(":") for value in values):
                if key in numbers and number.isdecimal():
                    numbers[key] = min(int(number), limits[key])
    return System(
        tuple(servers) or ("127.0.0.1",),
        search,
        numbers["ndots"],
        float(max(1, numbers["timeout"])),
        max(1, numbers["attempts"]),
    )


def addresses_from_hosts(name: str, rdtype: str, path: str = HOSTS) -> list[str]:
    """Return the addresses that hosts(5) has for `name`; `rdtype` is ``A`` or ``AAAA``.

    >>> addresses_from_hosts("localhost", "AAAA", "/dev/null")
    ['::1']
    """
    wanted = name.rstrip(".").lower()
    version = {"A": 4, "AAAA": 6}.get(rdtype.upper())
    found = []
    for address, *names in _lines(path, "#"):
        if wanted in (known.lower() for known in names):
            try:
                parsed = ipaddress.ip_address(address)
            except ValueError:
                continue
            if parsed.version == version:
                found.append(str(parsed))
    if not found and version and (wanted == "localhost" or wanted.endswith(".localhost")):
        # RFC 6761 §6.3: never asked of a server.
        found = ["127.0.0.1" if version == 4 else "::1"]
    return list(dict.fromkeys(found))


def _lines(path: str, comment: str) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            texts = source.read().splitlines()
    except FileNotFoundError:
        return []
    for mark in comment:
        texts = [text.partition(mark)[0] for text in texts]
    return [words for text in texts if (words := text.split())]
