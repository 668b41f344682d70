"""Multicast: one datagram, many receivers. IPv4 and IPv6, any source or one (RFC 4607)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable

from udpcore.apps._app import Address, receive, run_as_program
from udpcore.apps._groups import open_receiver, open_sender, send_to_group
from udpcore.apps._membership import join_group, leave_group

__all__ = ["join_group", "leave_group", "multicast_receiver", "multicast_sender"]


def multicast_sender(
    group: str = "224.1.1.1",
    port: int = 5007,
    messages: Iterable[str] | None = None,
    *,
    ttl: int = 2,
    loop: bool = True,
    interface: str | None = None,
    interval: float = 1.0,
    on_message: Callable[[bytes, Address], None] | None = None,
    verbose: bool = False,
) -> int:
    """Send `messages` (numbers for ever when None) to the group; returns how many."""
    texts = (f"Message {n}" for n in itertools.count()) if messages is None else messages
    sent = 0
    with open_sender(group, ttl, loop, interface) as sock:
        for sent, text in enumerate(texts, 1):
            if sent > 1:
                time.sleep(interval)
            send_to_group(sock, text.encode(), (group, port))
            if on_message:
                on_message(text.encode(), (group, port))
            if verbose:
                print(f"{text} -> {group}:{port}")
    return sent


def multicast_receiver(
    group: str = "224.1.1.1",
    port: int = 5007,
    count: int | None = None,
    timeout: float | None = None,
    *,
    interface: str | None = None,
    source: str | None = None,
    on_message: Callable[[bytes, Address], None] | None = None,
    verbose: bool = False,
) -> list[tuple[bytes, Address]]:
    """Return what was sent to the group: `count` messages, or those of `timeout` seconds."""
    messages: list[tuple[bytes, Address]] = []
    deadline = None if timeout is None else time.monotonic() + timeout
    with open_receiver(group, port, interface, source) as sock:
        while len(messages) != count and (deadline is None or time.monotonic() < deadline):
            if (message := receive(sock)) is None:
                continue
            if verbose:
                print(f"{message[1]}: {message[0].decode(errors='replace')}")
            if on_message:
                on_message(*message)
            if count is not None or timeout is not None:
                messages.append(message)
    return messages


if __name__ == "__main__":
    run_as_program("multicast")
