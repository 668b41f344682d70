"""``udpcore dns``: ask a name server, with dig's words."""

from __future__ import annotations

import argparse
import ipaddress
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from udpcore import _core
from udpcore.cli import _dns_many
from udpcore.cli._apps import count
from udpcore.cli._parser import EXIT_OK, Parser, did_you_mean
from udpcore.dns._ask import exchange
from udpcore.dns._codes import Flags, Rcode
from udpcore.dns._connection import Transport
from udpcore.dns._plan import Exchange
from udpcore.dns._system import read_system

EPILOG = """\
words, in any order, as dig knows them:
  NAME              the name to ask for (default: the root)
  TYPE              A, AAAA, MX, TXT, ... or TYPE123 (default: A; NS for the root)
  @SERVER           the name server (default: those of /etc/resolv.conf)
  +short            only the data of the records
  +json             one JSON object
  +tcp              ask over TCP             +ignore     take a truncated answer as it is
  +dnssec           ask for signatures       +cdflag     also what fails validation
  +norecurse        no recursion             +noedns     no EDNS
  +bufsize=BYTES    EDNS buffer size         +no0x20     keep the case of the name
  +nocookie         no DNS cookie            +validate   check the signatures (DNSSEC)
  +tls              ask over TLS             +https[=PATH]   ask over HTTPS (/dns-query)
  +tls-ca=FILE      roots in PEM             +tls-hostname=NAME   name in the certificate
  +anchor=FILE      DS or DNSKEY records to validate from (the keys of the root)
  +time=SECONDS     wait of each try (2)     +tries=N    how many tries (4)

exit codes: 0 a server answered, whatever it said; 1 none did (with --many: not to all);
2 usage"""

#: Words that switch something on; ``no`` in front switches it off.
SWITCHES = {
    "short": "short",
    "json": "json",
    "tcp": "tcp",
    "vc": "tcp",
    "ignore": "ignore",
    "dnssec": "dnssec",
    "cdflag": "cdflag",
    "recurse": "recurse",
    "edns": "edns",
    "0x20": "mix_case",
    "cookie": "cookie",
    "validate": "validate",
    "tls": "tls",
    "https": "https",
}
#: Words with a text: attribute.
TEXTS = {"https": "path", "tls-ca": "cafile", "tls-hostname": "server_name", "anchor": "anchor"}
#: Words with a number: attribute, kind of number, smallest, largest.
NUMBERS: dict[str, tuple[str, type[int] | type[float], float, float]] = {
    "bufsize": ("bufsize", int, 0, 65535),
    "time": ("time", float, 0.001, 86_400),
    "timeout": ("time", float, 0.001, 86_400),
    "tries": ("tries", int, 1, 21),
}


@dataclass
class Request:
    """What the words of the command line come to."""

    name: str | None = None
    rdtype: str | None = None
    servers: list[str] = field(default_factory=list)
    short: bool = False
    json: bool = False
    tcp: bool = False
    ignore: bool = False
    dnssec: bool = False
    cdflag: bool = False
    recurse: bool = True
    edns: bool = True
    mix_case: bool = True
    cookie: bool = True
    validate: bool = False
    tls: bool = False
    https: bool = False
    path: str = "/dns-query"
    cafile: str | None = None
    server_name: str | None = None
    anchor: str | None = None
    bufsize: int = 1232
    time: float = 2.0
    tries: int = 4


def main(prog: str, argv: list[str]) -> int:
    """Run ``udpcore dns`` with `argv` and return its exit code."""
    parser = _parser(prog)
    # dig's words may stand on both sides of an option, which argparse does not foresee.
    options, later = parser.parse_known_args(argv)
    if any(word.startswith("-") for word in later):
        parser.parse_args(argv)
    request = Request(rdtype=options.type and _type_or_error(parser, options.type))
    if options.reverse:
        request.name, request.rdtype = _reverse(parser, options.reverse), request.rdtype or "PTR"
    for word in [*options.words, *later]:
        _take(parser, request, word)
    if (request.dnssec or request.validate) and not request.edns:
        parser.error("+dnssec and +validate need EDNS: leave +noedns out")
    if options.many:
        if request.name is not None:
            parser.error(f"--many reads the names from its file: what is {request.name!r}?")
        if options.many != "-" and not Path(options.many).exists():
            parser.error(f"--many: there is no file {options.many!r}")
        return _dns_many.run(
            options.many,
            request.rdtype or "A",
            request.servers or list(read_system().servers),
            options.port,
            concurrency=options.concurrency,
            rate=options.rate,
            as_json=request.json,
            edns=request.bufsize if request.edns else None,
            dnssec_ok=request.dnssec,
            recursion_desired=request.recurse,
            mix_case=request.mix_case,
            # Over UDP nothing could be validated.
            transport=_transport(request, "tcp" if request.tcp or request.validate else "udp"),
            **_secured(request),
        )
    name = request.name or "."
    rdtype = request.rdtype or ("NS" if request.name is None else "A")
    try:
        _core.dns_normalise(name)
    except ValueError as error:
        parser.error(str(error))
    answer = exchange(
        name,
        rdtype,
        request.servers or read_system().servers,
        options.port,
        request.time,
        request.tries - 1,
        request.tcp,
        edns=request.bufsize if request.edns else None,
        dnssec_ok=request.dnssec,
        recursion_desired=request.recurse,
        checking_disabled=request.cdflag,
        ignore_truncation=request.ignore,
        mix_case=request.mix_case,
        cookies=request.cookie,
        transport=_transport(request, "udp"),
        **_secured(request),
    )
    print(_shown(request, answer), end="")
    return EXIT_OK


def _transport(request: Request, plain: Transport) -> Transport:
    return "https" if request.https else "tls" if request.tls else plain


class Secured(TypedDict):
    """What TLS and DNSSEC need to know."""

    server_name: str | None
    cafile: str | None
    path: str
    dnssec: bool
    trust_anchor: str | None


def _secured(request: Request) -> Secured:
    return {
        "server_name": request.server_name,
        "cafile": request.cafile,
        "path": request.path,
        "dnssec": request.validate,
        "trust_anchor": request.anchor and Path(request.anchor).read_text(encoding="utf-8"),
    }


def _parser(prog: str) -> Parser:
    parser = Parser(prog, "Ask a name server and show its answer.", EPILOG)
    parser.add_argument("words", nargs="*", metavar="WORD", help="see below")
    parser.add_argument("-p", "--port", type=_port, default=53, help="port of the server (53)")
    parser.add_argument("-t", "--type", help="the record type")
    parser.add_argument("-x", "--reverse", metavar="ADDRESS", help="the name of an address")
    many = parser.add_argument_group("many names")
    many.add_argument("--many", metavar="FILE", help="ask for each name in FILE, - for stdin")
    many.add_argument("--concurrency", type=count, default=1000, help="questions at once (1000)")
    many.add_argument("--rate", type=count, help="most queries a second")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"port {text!r} is out of range: give 1 to 65535")
    return int(text)


def _take(parser: Parser, request: Request, word: str) -> None:
    if word.startswith("@"):
        if not word[1:]:
            parser.error("@ needs the name or address of a server behind it")
        request.servers.append(word[1:])
    elif word.startswith("+"):
        _take_option(parser, request, word[1:])
    elif request.name is None:
        request.name = word
    elif request.rdtype is None:
        request.rdtype = _type_or_error(parser, word)
    else:
        parser.error(f"one question at a time: what is {word!r}?")


def _take_option(parser: Parser, request: Request, word: str) -> None:
    key, equals, value = word.partition("=")
    if not equals and key in SWITCHES:
        setattr(request, SWITCHES[key], True)
    elif not equals and key.removeprefix("no") in SWITCHES:
        setattr(request, SWITCHES[key.removeprefix("no")], False)
    elif key in TEXTS and value:
        setattr(request, TEXTS[key], value)
        request.https |= key == "https"
    elif key in NUMBERS:
        attribute, kind, least, most = NUMBERS[key]
        try:
            number = kind(value)
        except ValueError:
            number = kind(-1)
        if not least <= number <= most:
            parser.error(f"+{key}={value}: give a number from {least:g} to {most:g}")
        setattr(request, attribute, number)
    else:
        known = [*SWITCHES, *(f"no{switch}" for switch in SWITCHES), *NUMBERS, *TEXTS]
        hint = did_you_mean(f"+{key}", [f"+{word}" for word in known])
        parser.error(f"unknown option '+{word}'{hint}")


def _type_or_error(parser: Parser, word: str) -> str:
    try:
        return _core.Question(".", word).rdtype
    except ValueError as error:
        parser.error(str(error))


def _reverse(parser: Parser, text: str) -> str:
    try:
        return ipaddress.ip_address(text).reverse_pointer
    except ValueError:
        parser.error(f"-x {text}: give an IPv4 or IPv6 address")


def _shown(request: Request, answer: Exchange) -> str:
    if request.json:
        return json.dumps(_as_json(answer), ensure_ascii=False) + "\n"
    if request.short:
        return "".join(f"{record.to_text()}\n" for record in answer.message.answers)
    address = answer.server.rpartition("#")[0]
    security = answer.message.security
    return (
        f"{answer.message}\n"
        + (f";; DNSSEC: {security.state} ({security.reason})\n" if security else "")
        + f";; Query time: {answer.rtt_us / 1000:.3f} msec\n"
        f";; SERVER: {answer.server}({address}) ({answer.transport.upper()})\n"
        f";; MSG SIZE  rcvd: {len(answer.message.wire)}\n"
    )


def _as_json(answer: Exchange) -> dict[str, object]:
    message = answer.message
    sections = {
        name: [
            {
                "name": record.name,
                "type": record.rdtype,
                "class": record.rdclass,
                "ttl": record.ttl,
                "data": record.to_text(),
            }
            for record in records
            if record.rdtype != "OPT"
        ]
        for name, records in (
            ("answers", message.answers),
            ("authorities", message.authorities),
            ("additionals", message.additionals),
        )
    }
    edns = message.edns
    return {
        "id": message.id,
        "rcode": str(Rcode(message.rcode)) if message.rcode in list(Rcode) else message.rcode,
        "flags": str(Flags(message.flags)).split(),
        "questions": [
            {"name": q.name, "type": q.rdtype, "class": q.rdclass} for q in message.questions
        ],
        **sections,
        "edns": None
        if edns is None
        else {
            "udp_size": edns.udp_size,
            "version": edns.version,
            "dnssec_ok": edns.dnssec_ok,
            "options": [{"code": code, "data": data.hex()} for code, data in edns.options],
        },
        "security": message.security and message.security._asdict(),
        "server": answer.server,
        "transport": answer.transport,
        "rtt_ms": answer.rtt_us / 1000,
        "size_bytes": len(message.wire),
    }
