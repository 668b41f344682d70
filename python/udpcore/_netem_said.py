"""What was said of a network when it was made, and since: options, a scenario, faults, a log."""

from __future__ import annotations

import os
from collections.abc import Iterable
from os import PathLike

from udpcore import _core
from udpcore._netem_faults import Fault
from udpcore._netem_types import Address, LinkOptions, checked, merged, shown

#: what every class takes beside the options
MORE = ("up", "down", "seed", "scenario", "replay", "faults")


class Said:
    """What was said of a network when it was made, and since."""

    def __init__(
        self,
        options: LinkOptions,
        up: LinkOptions | None,
        down: LinkOptions | None,
        scenario: str | PathLike[str] | None,
        replay: str | None,
        faults: Iterable[Fault],
    ) -> None:
        both = checked("options", options)
        self.up, self.down = merged(both, checked("up", up)), merged(both, checked("down", down))
        self._replay = replay
        more: dict[str, object] = {} if replay is None else {"replay": replay}
        plain = [(f.action, f.direction, f.flow, f.ordinal) for f in faults]
        if plain:
            more["faults"] = plain
        others = [*self.up, *self.down]
        self.scenario = None if scenario is None else self._scenario(scenario, others)
        self.up, self.down = {**self.up, **more}, {**self.down, **more}

    def _scenario(self, scenario: str | PathLike[str], others: list[str]) -> str:
        if others:
            raise ValueError(f"scenario: it says all: leave {others[0]} out, or the scenario")
        text = os.fspath(scenario)
        if "\n" not in text:
            os.stat(text)
        return text

    def seed(self, given: int | None) -> int | None:
        """The seed: that of the log, if one is repeated."""
        if given is None and self._replay is not None:
            return _core.netem_log_seed(self._replay)
        return given

    def changed(
        self, up: LinkOptions | None, down: LinkOptions | None
    ) -> tuple[dict[str, object], dict[str, object]]:
        """The options of both directions with those that are changed now."""
        return merged(self.up, checked("up", up)), merged(self.down, checked("down", down))

    def __str__(self) -> str:
        if self.scenario is not None:
            name = "of its own" if "\n" in self.scenario else self.scenario
            return f"scenario {name} "
        return shown(self.up, self.down)


def address_of(name: str, address: object) -> Address:
    """A host and a port; TypeError for anything else."""
    match address:
        # The two more of an IPv6 address are of no use to a relay.
        case (str(host), int(port), *_):
            return host, port
    raise TypeError(f"{name}: expected (host, port), not {address!r}")
