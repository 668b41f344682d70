"""Flags and response codes of the DNS header. RFC 1035 §4.1.1, RFC 6895 §2.3."""

from __future__ import annotations

import enum
from typing import Literal, NamedTuple


class Flags(enum.IntFlag):
    """The flag bits of a header; ``str()`` is what dig prints.

    >>> str(Flags.QR | Flags.RD)
    'qr rd'
    """

    QR = 0x8000
    AA = 0x0400
    TC = 0x0200
    RD = 0x0100
    RA = 0x0080
    Z = 0x0040
    AD = 0x0020
    CD = 0x0010

    def __str__(self) -> str:
        return " ".join(flag.name.lower() for flag in Flags if flag in self and flag.name)


class Rcode(enum.IntEnum):
    """Response codes; a number to compare with, a word to print.

    >>> print(Rcode.NXDOMAIN, Rcode.NXDOMAIN == 3)
    NXDOMAIN True
    """

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    YXDOMAIN = 6
    YXRRSET = 7
    NXRRSET = 8
    NOTAUTH = 9
    NOTZONE = 10
    DSOTYPENI = 11
    BADVERS = 16
    BADKEY = 17
    BADTIME = 18
    BADMODE = 19
    BADNAME = 20
    BADALG = 21
    BADTRUNC = 22
    BADCOOKIE = 23

    def __str__(self) -> str:
        return self.name


class Security(NamedTuple):
    """What DNSSEC validation says of a message, and why. RFC 4033 §5.

    ``secure``: signed by a chain of keys from the trust anchor. ``insecure``: proven to be
    unsigned, or below no anchor. ``bogus``: it should be signed and is not, or not rightly.

    >>> Security("insecure", "proven to be unsigned").state
    'insecure'
    """

    state: Literal["secure", "insecure", "bogus"]
    reason: str
