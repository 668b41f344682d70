//! What the data of each record type is made of: one line per type, one word per field.
//!
//! Everything else reads this table: the checked walk, the text dig prints, the Python tuples
//! (fields have the same names and order there), zone files, composing. A new type is a new line.
//!
//! Why not the record types of the `domain` crate, which reads zone files and validates
//! signatures here: the walk checks a message once and builds nothing, so that records which
//! nobody reads cost nothing; and the same line gives Python its tuple. The tests hold this
//! table to `domain`, dnspython, dig and three name servers.

use super::rdtype::RdType;

/// How a field looks on the wire, and with it how it looks as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One octet.
    U8,
    /// Two octets.
    U16,
    /// Four octets.
    U32,
    /// Four octets of time, shown as `YYYYMMDDHHmmSS`. RFC 4034 §3.2.
    Time,
    /// Two octets that name a record type.
    Type,
    /// Two octets that name a kind of certificate. RFC 4398 §2.1.
    CertType,
    /// One octet that names an algorithm of DNSSEC, shown as a word. RFC 4398 §2.2.
    Algorithm,
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// A name that may be compressed: the types of RFC 1035 only. RFC 3597 §4.
    Name,
    /// A name that is never compressed on write.
    PlainName,
    /// A string with its length in one octet.
    Text,
    /// The same, shown without quotes.
    Tag,
    /// One or more such strings up to the end.
    Texts,
    /// A string up to the end, shown in quotes.
    RestText,
    /// Octets up to the end, shown in base 16.
    Hex,
    /// Octets up to the end, shown in base 64.
    Base64,
    /// Octets with their length in one octet, shown in base 16 or `-`. RFC 5155 §3.3.
    Salt,
    /// Octets with their length in one octet, shown in base 32. RFC 5155 §3.3.
    Hash,
    /// The types of a type bitmap. RFC 4034 §4.1.2.
    Types,
    /// The parameters of SVCB. RFC 9460 §2.2.
    Params,
    /// A fixed count of octets, shown with hyphens. RFC 7043.
    Eui(u8),
    /// The options of OPT. RFC 6891 §6.1.2.
    Options,
}

/// One field: its name in Python, its form on the wire.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The attribute of the Python tuple.
    pub name: &'static str,
    /// The form.
    pub kind: Kind,
}

macro_rules! schema {
    ($($($rdtype:ident)|+: [$($name:ident $kind:expr),*],)*) => {
        /// The fields of `rdtype`, `None` for a type that is opaque here (RFC 3597).
        pub fn fields(rdtype: RdType) -> Option<&'static [Field]> {
            use Kind::*;
            Some(match rdtype {
                $($(RdType::$rdtype)|+ =>
                    const { &[$(Field { name: stringify!($name), kind: $kind }),*] },)*
                _ => return None,
            })
        }
        /// Every type that has fields.
        pub const TYPED: &[RdType] = &[$($(RdType::$rdtype),+),*];
    };
}

schema! {
    // RFC 1035 §3.3 and §3.4, RFC 3596 §2.2
    A: [address Ip4],
    AAAA: [address Ip6],
    NS | CNAME | PTR: [target Name],
    SOA: [mname Name, rname Name, serial U32, refresh U32, retry U32, expire U32, minimum U32],
    MX: [preference U16, exchange Name],
    TXT | SPF: [strings Texts],
    HINFO: [cpu Text, os Text],
    MINFO: [rmailbx Name, emailbx Name],
    // RFC 1183, RFC 2230, RFC 6672
    RP: [mbox PlainName, txt PlainName],
    AFSDB: [subtype U16, hostname PlainName],
    KX: [preference U16, exchanger PlainName],
    DNAME: [target PlainName],
    // RFC 2782, RFC 3403, RFC 7553, RFC 8659
    SRV: [priority U16, weight U16, port U16, target PlainName],
    NAPTR: [order U16, preference U16, flags Text, services Text, regexp Text,
            replacement PlainName],
    URI: [priority U16, weight U16, target RestText],
    CAA: [flags U8, tag Tag, value RestText],
    // RFC 9460
    SVCB | HTTPS: [priority U16, target PlainName, params Params],
    // RFC 4034, RFC 5155, RFC 7344, RFC 7477, RFC 8976
    DS | CDS | DLV: [key_tag U16, algorithm U8, digest_type U8, digest Hex],
    DNSKEY | CDNSKEY: [flags U16, protocol U8, algorithm U8, key Base64],
    RRSIG: [type_covered Type, algorithm U8, labels U8, original_ttl U32, expiration Time,
            inception Time, key_tag U16, signer PlainName, signature Base64],
    NSEC: [next_name PlainName, types Types],
    NSEC3: [algorithm U8, flags U8, iterations U16, salt Salt, next_hash Hash, types Types],
    NSEC3PARAM: [algorithm U8, flags U8, iterations U16, salt Salt],
    CSYNC: [serial U32, flags U16, types Types],
    ZONEMD: [serial U32, scheme U8, algorithm U8, digest Hex],
    // RFC 6698, RFC 8162, RFC 4255, RFC 7929, RFC 4701, RFC 4398, RFC 7043
    TLSA | SMIMEA: [usage U8, selector U8, matching_type U8, certificate Hex],
    SSHFP: [algorithm U8, fingerprint_type U8, fingerprint Hex],
    OPENPGPKEY: [key Base64],
    DHCID: [digest Base64],
    CERT: [certificate_type CertType, key_tag U16, algorithm Algorithm, certificate Base64],
    EUI48: [address Eui(6)],
    EUI64: [address Eui(8)],
    // RFC 6891 §6.1.2
    OPT: [options Options],
}
