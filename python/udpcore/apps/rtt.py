"""Round-trip times: numbered probes to an echo server, echoes matched by their number.

Works against any echo: ours, a tutorial's, with or without ``ECHO: `` before the text.
"""

from __future__ import annotations

from udpcore.apps._app import Address, run_as_program
from udpcore.apps._pinger import Pinger, RttReport, in_words

__all__ = ["Pinger", "RttReport", "rtt_client"]


def rtt_client(
    server: Address = ("127.0.0.1", 9999),
    count: int = 50,
    timeout: float = 1.0,
    payload: bytes = b"x" * 32,
    *,
    verbose: bool = False,
) -> RttReport:
    """Send `count` probes one after the other and return the numbers.

    >>> from udpcore.apps import UDPEchoServer, rtt_client
    >>> with UDPEchoServer("127.0.0.1", 0) as server:
    ...     server.start()
    ...     rtt_client(("127.0.0.1", server.port), count=3).received
    3
    """
    pinger = Pinger(server, payload)
    try:
        for _ in range(count):
            for number, answer in pinger.probe(timeout):
                if verbose:
                    print(number, in_words(answer))
        return pinger.report()
    finally:
        pinger.close()


if __name__ == "__main__":
    run_as_program("ping")
