//! Record types and classes: numbers and their mnemonics.
//!
//! IANA "Domain Name System (DNS) Parameters"; unknown ones as `TYPE123` and `CLASS123`,
//! RFC 3597 §5.

use std::fmt;
use std::str::FromStr;

/// The type of a record or of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RdType(pub u16);

/// The class of a record or of a question; nearly always `IN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u16);

/// A word that is no record type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown record type {word:?}{hint}; numbers are written TYPE123")]
pub struct UnknownType {
    /// The word.
    pub word: String,
    hint: String,
}

macro_rules! types {
    ($($name:ident = $code:literal $mnemonic:literal,)*) => {
        impl RdType {
            $(#[doc = concat!("The type ", $mnemonic, ".")] pub const $name: Self = Self($code);)*
        }
        /// Every type that has a mnemonic here, in rising order of the number.
        pub const MNEMONICS: &[(u16, &str)] = &[$(($code, $mnemonic),)*];
    };
}

types! {
    A = 1 "A",
    NS = 2 "NS",
    CNAME = 5 "CNAME",
    SOA = 6 "SOA",
    NULL = 10 "NULL",
    PTR = 12 "PTR",
    HINFO = 13 "HINFO",
    MINFO = 14 "MINFO",
    MX = 15 "MX",
    TXT = 16 "TXT",
    RP = 17 "RP",
    AFSDB = 18 "AFSDB",
    AAAA = 28 "AAAA",
    LOC = 29 "LOC",
    SRV = 33 "SRV",
    NAPTR = 35 "NAPTR",
    KX = 36 "KX",
    CERT = 37 "CERT",
    DNAME = 39 "DNAME",
    OPT = 41 "OPT",
    DS = 43 "DS",
    SSHFP = 44 "SSHFP",
    RRSIG = 46 "RRSIG",
    NSEC = 47 "NSEC",
    DNSKEY = 48 "DNSKEY",
    DHCID = 49 "DHCID",
    NSEC3 = 50 "NSEC3",
    NSEC3PARAM = 51 "NSEC3PARAM",
    TLSA = 52 "TLSA",
    SMIMEA = 53 "SMIMEA",
    CDS = 59 "CDS",
    CDNSKEY = 60 "CDNSKEY",
    OPENPGPKEY = 61 "OPENPGPKEY",
    CSYNC = 62 "CSYNC",
    ZONEMD = 63 "ZONEMD",
    SVCB = 64 "SVCB",
    HTTPS = 65 "HTTPS",
    SPF = 99 "SPF",
    EUI48 = 108 "EUI48",
    EUI64 = 109 "EUI64",
    TKEY = 249 "TKEY",
    TSIG = 250 "TSIG",
    IXFR = 251 "IXFR",
    AXFR = 252 "AXFR",
    ANY = 255 "ANY",
    URI = 256 "URI",
    CAA = 257 "CAA",
    DLV = 32769 "DLV",
}

impl RdType {
    /// The mnemonic, `None` for a type that has none here.
    pub fn mnemonic(self) -> Option<&'static str> {
        let found = MNEMONICS.binary_search_by_key(&self.0, |(code, _)| *code).ok()?;
        Some(MNEMONICS[found].1)
    }
}

impl fmt::Display for RdType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(word) => out.write_str(word),
            None => write!(out, "TYPE{}", self.0),
        }
    }
}

impl FromStr for RdType {
    type Err = UnknownType;

    fn from_str(word: &str) -> Result<Self, UnknownType> {
        if let Some((code, _)) = MNEMONICS.iter().find(|(_, m)| m.eq_ignore_ascii_case(word)) {
            return Ok(Self(*code));
        }
        // RFC 3597 §5: "TYPE" and the decimal number.
        let number = word.get(..4).filter(|head| head.eq_ignore_ascii_case("TYPE"));
        if let Some(code) = number.and_then(|_| decimal(&word[4..])) {
            return Ok(Self(code));
        }
        Err(UnknownType { word: word.chars().take(40).collect(), hint: hint(word) })
    }
}

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
    /// Chaos, where servers keep their version.
    pub const CH: Self = Self(3);
    /// Hesiod.
    pub const HS: Self = Self(4);
    /// No class, in updates only. RFC 2136 §2.4.
    pub const NONE: Self = Self(254);
    /// Any class, in questions and updates only.
    pub const ANY: Self = Self(255);

    /// The class that `word` names: `IN`, `CH`, `HS`, `ANY` or `CLASS123`.
    pub fn parse(word: &str) -> Option<Self> {
        let known = [("IN", Self::IN), ("CH", Self::CH), ("HS", Self::HS), ("ANY", Self::ANY)];
        if let Some((_, class)) = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
            return Some(*class);
        }
        word.get(..5)
            .filter(|head| head.eq_ignore_ascii_case("CLASS"))
            .and_then(|_| decimal(&word[5..]))
            .map(Self)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IN => out.write_str("IN"),
            Self::CH => out.write_str("CH"),
            Self::HS => out.write_str("HS"),
            Self::ANY => out.write_str("ANY"),
            Self(code) => write!(out, "CLASS{code}"),
        }
    }
}

fn decimal(digits: &str) -> Option<u16> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// ` (did you mean "X"?)` for the nearest mnemonic within two edits.
fn hint(word: &str) -> String {
    const WORD_LEN_MAX: usize = 16;
    if word.len() > WORD_LEN_MAX {
        return String::new();
    }
    let word = word.to_ascii_uppercase();
    MNEMONICS
        .iter()
        .map(|(_, mnemonic)| (edits(word.as_bytes(), mnemonic.as_bytes()), *mnemonic))
        .min()
        .filter(|(distance, mnemonic)| *distance <= 2 && *distance < mnemonic.len())
        .map_or_else(String::new, |(_, mnemonic)| format!(" (did you mean {mnemonic:?}?)"))
}

/// How many letters to insert, delete or change to get from `a` to `b` (Levenshtein).
fn edits(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_rises_so_that_it_can_be_searched() {
        assert!(MNEMONICS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (code, mnemonic) in MNEMONICS {
            assert_eq!(mnemonic.to_lowercase().parse(), Ok(RdType(*code)));
            assert_eq!(RdType(*code).to_string(), *mnemonic);
        }
    }

    #[test]
    fn unknown_types_have_numbers_and_typos_a_hint() {
        assert_eq!("type65280".parse(), Ok(RdType(65280)));
        assert_eq!(RdType(65280).to_string(), "TYPE65280");
        assert!("TYPE65536".parse::<RdType>().is_err());
        assert!("TYPE+1".parse::<RdType>().is_err());
        let text = "AAAAA".parse::<RdType>().unwrap_err().to_string();
        assert!(text.contains("did you mean \"AAAA\"?"), "{text}");
        assert_eq!(Class::parse("class42"), Some(Class(42)));
        assert_eq!(Class::parse("éé"), None);
    }
}
