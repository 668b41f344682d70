"""Ask the local network's DHCP servers what they would offer (RFC 2131), and take nothing.

A DISCOVER goes out on every Ethernet interface; the offers are parsed; no REQUEST follows, so no
lease is taken. Needs root (or CAP_NET_BIND_SERVICE): answers come to port 68.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable

from udpcore._interfaces import Interface, interfaces
from udpcore.apps._app import run_as_program
from udpcore.apps._dhcp_question import DhcpOffer, Question

__all__ = ["DhcpOffer", "dhcp_discover"]

ASK_AGAIN_SECONDS = 1.0


def dhcp_discover(
    interface: str | None = None,
    timeout: float = 3.0,
    *,
    on_offer: Callable[[DhcpOffer], object] = lambda offer: None,
    verbose: bool = False,
) -> list[DhcpOffer]:
    """Return the offers of `timeout` seconds, each told to `on_offer` as it comes.

    :class:`PermissionError` names the right that is missing, :class:`OSError` says that there is
    no interface to ask by.
    """
    asked, offers = _suitable(interface), list[DhcpOffer]()
    with contextlib.ExitStack() as stack:
        questions = [stack.enter_context(Question(one)) for one in asked]
        deadline, next_question = time.monotonic() + timeout, 0.0
        while time.monotonic() < deadline:
            if time.monotonic() >= next_question:
                next_question = time.monotonic() + ASK_AGAIN_SECONDS
                for question in questions:
                    question.ask()
            for question in questions:
                if (offer := question.offer()) and offer not in offers:
                    offers.append(offer)
                    on_offer(offer)
                    if verbose:
                        print(offer)
    return offers


def _suitable(interface: str | None) -> list[Interface]:
    suitable = [one for one in interfaces() if one.is_up and one.is_ethernet]
    asked = [one for one in suitable if interface in (None, one.name)]
    if not asked:
        names = ", ".join(one.name for one in suitable) or "none"
        raise OSError(
            errno.ENODEV, f"no Ethernet interface {interface or 'at all'} is up; there are: {names}"
        )
    return asked


if __name__ == "__main__":
    run_as_program("dhcp")
