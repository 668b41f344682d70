"""Find the verb, run it, turn what goes wrong into a line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from udpcore._core import __version__
from udpcore.cli._interrupt import prompt_interrupts
from udpcore.cli._parser import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, did_you_mean

#: verb -> (module, one line of help). A verb's module is imported only when the verb is asked for.
VERBS: dict[str, tuple[str, str]] = {
    "bench": ("udpcore.cli.bench", "how fast this machine is, beside the standard module"),
    "demo": ("udpcore.cli.demo", "send a file three ways through the same bad link"),
    "discover": ("udpcore.cli.discover", "find services on the local network, or announce one"),
    "dhcp": ("udpcore.cli.dhcp", "what DHCP servers would offer, without taking a lease"),
    "dns": ("udpcore.cli.dns", "ask a name server, with dig's words"),
    "doctor": ("udpcore.cli.doctor", "check what this machine's network can do"),
    "echo": ("udpcore.cli.echo", "an echo server over UDP or TCP, and its client"),
    "game": ("udpcore.cli.game", "a game's positions: server and player"),
    "metrics": ("udpcore.cli.metrics", "a StatsD server, with Prometheus and Graphite"),
    "multicast": ("udpcore.cli.multicast", "send to a multicast group, or listen to one"),
    "netem": (
        "udpcore.cli.netem",
        "the network emulator: relay, stream, bridge, run, replay, shrink",
    ),
    "packet": ("udpcore.cli.packet", "draw the packets of a capture as the RFCs do"),
    "ping": ("udpcore.cli.ping", "round-trip times to an echo server"),
    "plot": ("udpcore.cli.plot", "a connection's trace (QLOGDIR) as a picture"),
    "rate": ("udpcore.cli.rate", "send datagrams at a steady rate"),
    "recv": ("udpcore.cli.recv", "files into a directory, or the datagrams of a port"),
    "send": ("udpcore.cli.send", "a file, resumed and checked, or datagrams"),
    "stream": ("udpcore.cli.stream", "a file to a multicast group and back, with gap report"),
    "video": ("udpcore.cli.video", "live video: frames in fragments"),
    "voip": ("udpcore.cli.voip", "one end of a call"),
}

#: what people also type: the names of the modules of `udpcore.apps`
ALIASES = {
    "discovery": "discover",
    "game_events": "game",
    "multicast_video": "stream",
    "rtt": "ping",
    "safe": "send",
    "tcp_echo": "echo",
}


class Verb(Protocol):
    """What the module of a verb offers."""

    def main(self, prog: str, argv: list[str]) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``udpcore`` command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words:
        print(_overview(), file=sys.stderr)
        return EXIT_USAGE
    verb, rest = ALIASES.get(words[0], words[0]), words[1:]
    if verb in ("-h", "--help"):
        print(_overview())
        return EXIT_OK
    if verb in ("-V", "--version"):
        print(f"udpcore {__version__}")
        return EXIT_OK
    if verb not in VERBS:
        hint = did_you_mean(verb, [*VERBS, *ALIASES, "--help", "--version"])
        print(f"udpcore: unknown verb {verb!r}{hint}\nTry 'udpcore --help'.", file=sys.stderr)
        return EXIT_USAGE
    return _guarded(f"udpcore {verb}", VERBS[verb][0], rest)


def netem_main(argv: Sequence[str] | None = None) -> int:
    """Run the ``netem`` command, the same as ``udpcore netem``."""
    return _guarded("netem", VERBS["netem"][0], list(sys.argv[1:] if argv is None else argv))


def _guarded(prog: str, module: str, argv: list[str]) -> int:
    try:
        with prompt_interrupts():
            code = cast(Verb, importlib.import_module(module)).main(prog, argv)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our standard output went away (`udpcore ... | head`): not our failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except (ImportError, OSError, ValueError) as error:
        # An ImportError of ours names the extra that is missing, and the pip command.
        print(f"{prog}: {_in_words(error)}", file=sys.stderr)
        return EXIT_FAILED


def _in_words(error: Exception) -> str:
    """What went wrong, without the number that the system has for it."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)


def _overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {line}" for name, (_, line) in VERBS.items())
    return f"usage: udpcore VERB [arguments]\n\n{verbs}\n\n'udpcore VERB --help' tells more."
