"""Hostile name servers, and who is fooled, stuck or lost: udpcore beside its peers.

Each server sends something that is no answer, and then the answer. A point is the right address
in the end: junk must be ignored *while waiting on*. Run with ``python tests/bench/dns_hostile.py``.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _report

from udpcore import dns

HERE = Path(__file__).parent
RIGHT = "192.0.2.1"
TIMEOUT_S = 1.0


def battery() -> dict[str, Callable[[bytes], bytes]]:
    """The junk of the test-suite, each followed by the right answer."""
    path = HERE.parent / "py" / "dns" / "test_hostile.py"
    spec = importlib.util.spec_from_file_location("test_hostile", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    junk: dict[str, Callable[[bytes], bytes]] = module.JUNK
    return junk


def right(query: bytes) -> bytes:
    asked = dns.parse(query)
    record = dns.Record(asked.questions[0].name, "A", 60, dns.A(RIGHT))
    return dns.Message(asked.id, 0x8180, 0, asked.questions, [record]).to_wire()


def ask_udpcore(host: str, port: int) -> list[str]:
    return dns.resolve("name.test", "A", host, port, timeout=TIMEOUT_S, retries=0)


def ask_dnspython(host: str, port: int, **options: bool) -> list[str]:
    query = importlib.import_module("dns.query")
    message = importlib.import_module("dns.message").make_query("name.test", "A")
    reply = query.udp(message, host, timeout=TIMEOUT_S, port=port, **options)
    return [data.address for rrset in reply.answer for data in rrset]


def ask_dnspython_patiently(host: str, port: int) -> list[str]:
    """With its options for this very case, which are off unless asked for."""
    return ask_dnspython(host, port, ignore_errors=True, ignore_unexpected=True)


def ask_dnslib(host: str, port: int) -> list[str]:
    lib = importlib.import_module("dnslib")
    question = lib.DNSRecord.question("name.test", "A")
    reply = lib.DNSRecord.parse(question.send(host, port, timeout=TIMEOUT_S))
    # Its own check is left to the caller: the id, as every tutorial does.
    assert reply.header.id == question.header.id
    return [str(record.rdata) for record in reply.rr]


def ask_pycares(host: str, port: int) -> list[str]:
    pycares = importlib.import_module("pycares")
    channel = pycares.Channel(
        servers=[host], udp_port=port, tcp_port=port, timeout=TIMEOUT_S, tries=1
    )
    found: list[str] = []
    done = threading.Event()

    def callback(result: Any, error: object) -> None:
        if error is None:
            records = getattr(result, "answer", result)
            found.extend(getattr(r, "host", None) or r.data.addr for r in records)
        done.set()

    channel.query("name.test", pycares.QUERY_TYPE_A, callback=callback)
    done.wait(TIMEOUT_S * 3)
    channel.close()
    return found


PEERS = {
    "udpcore": ask_udpcore,
    "dnspython": ask_dnspython,
    "dnspython, ignore_errors": ask_dnspython_patiently,
    "dnslib": ask_dnslib,
    "pycares": ask_pycares,
}


def score(ask: Callable[[str, int], list[str]], junk: Callable[[bytes], bytes]) -> bool:
    """Whether `ask` comes to the right address although `junk` arrives first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                query, client = server.recvfrom(65535)
                if not query:
                    return
                for wire in (junk(query), right(query)):
                    server.sendto(wire, client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return ask(*server.getsockname()) == [RIGHT]
        except Exception:
            return False
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
                stopper.sendto(b"", server.getsockname())
            thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.parse_args()
    servers = battery()
    rows, notes, scores = [], [], {}
    for name, ask in PEERS.items():
        module = "dns" if name.startswith("dnspython") else name
        if importlib.util.find_spec(module) is None:
            print(f"({name} is not installed)", file=sys.stderr)
            continue
        assert score(ask, right), f"{name} does not even read the right answer"
        good = {kind: score(ask, junk) for kind, junk in servers.items()}
        scores[name] = sum(good.values())
        failed = [kind for kind, right in good.items() if not right]
        notes.append(f"{name} fails at: {', '.join(failed) or 'nothing'}.")
    for name, points in scores.items():
        if name != "udpcore":
            rows.append(
                {
                    "work": f"right answer behind {len(servers)} kinds of junk",
                    "ours": scores["udpcore"],
                    "peer": f"{name} {points}",
                    "unit": "servers",
                    "ratio": scores["udpcore"] / max(points, 1),
                    "bar": f"all {len(servers)}",
                }
            )
    _report.say("DNS: hostile servers", rows, notes)


if __name__ == "__main__":
    main()
