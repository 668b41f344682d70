"""DNS: build any query, read any answer, trust none that was not asked for.

>>> from udpcore import dns
>>> wire = dns.build_query("example.com", "AAAA", id=1)
>>> message = dns.parse(wire)
>>> message.questions[0]
Question('example.com.', 'AAAA', 'IN')

Asking goes from the raw to the finished: :func:`query` returns the message whatever it says,
:func:`resolve` returns the records as text or raises why there are none, :func:`dns_query`
returns one IPv4 address or ``None``.
"""

from udpcore._core import Message, Question, Record, Server
from udpcore._core import dns_build_query as build_query
from udpcore._core import dns_parse as parse
from udpcore.dns._ask import dns_query, query, resolve
from udpcore.dns._cache import Cache
from udpcore.dns._codes import Flags, Rcode, Security
from udpcore.dns._connection import Connection
from udpcore.dns._errors import (
    BogusError,
    DnsTimeoutError,
    NoDataError,
    NXDomainError,
    ParseError,
    RefusedError,
    ResolveError,
    ServFailError,
)
from udpcore.dns._many import resolve_many
from udpcore.dns._mdns import Service, browse, mdns_query
from udpcore.dns._records import (
    AAAA,
    CAA,
    CNAME,
    DNAME,
    DNSKEY,
    DS,
    HINFO,
    HTTPS,
    MX,
    NAPTR,
    NS,
    NSEC,
    NSEC3,
    NSEC3PARAM,
    OPT,
    PTR,
    RRSIG,
    SOA,
    SRV,
    SSHFP,
    SVCB,
    TLSA,
    TXT,
    URI,
    A,
    Generic,
)

__all__ = [
    "AAAA",
    "CAA",
    "CNAME",
    "DNAME",
    "DNSKEY",
    "DS",
    "HINFO",
    "HTTPS",
    "MX",
    "NAPTR",
    "NS",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "OPT",
    "PTR",
    "RRSIG",
    "SOA",
    "SRV",
    "SSHFP",
    "SVCB",
    "TLSA",
    "TXT",
    "URI",
    "A",
    "BogusError",
    "Cache",
    "Connection",
    "DnsTimeoutError",
    "Flags",
    "Generic",
    "Message",
    "NXDomainError",
    "NoDataError",
    "ParseError",
    "Question",
    "Rcode",
    "Record",
    "RefusedError",
    "ResolveError",
    "Security",
    "ServFailError",
    "Server",
    "Service",
    "browse",
    "build_query",
    "dns_query",
    "mdns_query",
    "parse",
    "query",
    "resolve",
    "resolve_many",
]
