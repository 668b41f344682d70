"""What can go wrong, told apart; each class is also the standard one a user would catch.

``except socket.gaierror`` catches every answer without records, ``except TimeoutError`` the
silence, ``except ValueError`` malformed bytes.
"""

from __future__ import annotations

import socket

from udpcore import _core
from udpcore._core import Message
from udpcore.dns._codes import Rcode


class ParseError(ValueError):
    """Bytes that are no DNS message; `offset` is the byte where the fault lies."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text, offset)
        self.offset = offset

    def __str__(self) -> str:
        return str(self.args[0])


class DnsTimeoutError(TimeoutError):
    """No server answered in time; the text says who was asked and what was ignored."""


class ResolveError(socket.gaierror):
    """An answer without the records that were asked for.

    `name` and `rdtype` are the question, `response` is the message.
    """

    #: What ``getaddrinfo`` would say; the ``errno`` of the exception.
    eai = socket.EAI_FAIL

    def __init__(self, text: str, name: str, rdtype: str, response: Message) -> None:
        super().__init__(self.eai, text)
        self.name = name
        self.rdtype = rdtype
        self.response = response

    def __reduce__(self) -> tuple[type[ResolveError], tuple[str, str, str, Message]]:
        return type(self), (str(self.strerror), self.name, self.rdtype, self.response)

    def __str__(self) -> str:
        return str(self.strerror)


class NXDomainError(ResolveError):
    """There is no such name (NXDOMAIN)."""

    eai = socket.EAI_NONAME


class NoDataError(ResolveError):
    """The name exists, but has no record of this type (NODATA)."""

    eai = socket.EAI_NODATA


class ServFailError(ResolveError):
    """The server could not find out (SERVFAIL)."""

    eai = socket.EAI_AGAIN


class RefusedError(ResolveError):
    """The server does not want to answer (REFUSED)."""


class BogusError(ResolveError):
    """DNSSEC: the answer should be signed, and is not, or not rightly."""

    eai = socket.EAI_AGAIN


def error_of(
    verdict: str, name: str, canonical: str, rdtype: str | int, message: Message
) -> ResolveError:
    """Return the exception for an answer without records; `verdict` is the core's word."""
    asked = _core.dns_normalise(name)
    alias = "" if canonical.lower() == asked.lower() else f" (alias of {canonical})"
    kind: type[ResolveError] = ResolveError
    if verdict == "nxdomain":
        kind, text = NXDomainError, f"{asked}{alias}: no such name"
    elif verdict == "nodata":
        kind, text = NoDataError, f"{asked}{alias}: no {rdtype} record"
    elif verdict in ("loop", "elsewhere"):
        text = f"{asked}{alias}: the aliases lead in a circle"
    elif verdict == "referral":
        text = f"{asked}{alias}: the server refers to others and does not resolve; ask a resolver"
    elif verdict == "long":
        text = f"{asked}: more aliases than the 16 that are followed"
    else:
        kinds = {Rcode.SERVFAIL: ServFailError, Rcode.REFUSED: RefusedError}
        kind = kinds.get(Rcode(message.rcode), ResolveError) if message.rcode in kinds else kind
        text = f"{asked}: the server answered {_core.dns_explain(message)}"
    return kind(text, name, str(rdtype), message)
