//! The twelve octets in front of every message: id, flags, codes and counts. RFC 1035 §4.1.1.

use super::reader::{Reader, Result};
use std::fmt;

/// Octets of a header.
pub const HEADER_LEN: usize = 12;

/// The flag word without opcode and rcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// This is a response.
    pub const QR: u16 = 0x8000;
    /// The answer comes from an authority.
    pub const AA: u16 = 0x0400;
    /// Truncated: ask again over TCP.
    pub const TC: u16 = 0x0200;
    /// Recursion desired.
    pub const RD: u16 = 0x0100;
    /// Recursion available.
    pub const RA: u16 = 0x0080;
    /// Authentic data. RFC 4035 §3.2.3.
    pub const AD: u16 = 0x0020;
    /// Checking disabled. RFC 4035 §3.2.2.
    pub const CD: u16 = 0x0010;
    /// Every bit that is a flag, the reserved Z bit included.
    pub const MASK: u16 = 0x87f0;

    /// Whether all bits of `flag` are set.
    pub fn has(self, flag: u16) -> bool {
        self.0 & flag == flag
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (Self::QR, " qr"),
            (Self::AA, " aa"),
            (Self::TC, " tc"),
            (Self::RD, " rd"),
            (Self::RA, " ra"),
            (Self::AD, " ad"),
            (Self::CD, " cd"),
        ];
        words.iter().filter(|(flag, _)| self.has(*flag)).try_for_each(|(_, w)| out.write_str(w))
    }
}

/// A response code with its upper bits from EDNS. RFC 6895 §2.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The server could not read the query.
    pub const FORMERR: Self = Self(1);
    /// The server failed.
    pub const SERVFAIL: Self = Self(2);
    /// No such name.
    pub const NXDOMAIN: Self = Self(3);
    /// The server does not know this kind of query.
    pub const NOTIMP: Self = Self(4);
    /// The server does not want to answer.
    pub const REFUSED: Self = Self(5);
    /// The server does not know this EDNS version. RFC 6891 §6.1.3.
    pub const BADVERS: Self = Self(16);
    /// The server wants its cookie back. RFC 7873 §5.3.
    pub const BADCOOKIE: Self = Self(23);
}

impl fmt::Display for Rcode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WORDS: [&str; 12] = [
            "NOERROR",
            "FORMERR",
            "SERVFAIL",
            "NXDOMAIN",
            "NOTIMP",
            "REFUSED",
            "YXDOMAIN",
            "YXRRSET",
            "NXRRSET",
            "NOTAUTH",
            "NOTZONE",
            "DSOTYPENI",
        ];
        match (WORDS.get(usize::from(self.0)), self.0) {
            (Some(word), _) => out.write_str(word),
            (None, 16) => out.write_str("BADVERS"),
            (None, 23) => out.write_str("BADCOOKIE"),
            (None, code) => write!(out, "RCODE{code}"),
        }
    }
}

/// What kind of query; 0 is the usual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl fmt::Display for Opcode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WORDS: [&str; 7] = ["QUERY", "IQUERY", "STATUS", "", "NOTIFY", "UPDATE", "DSO"];
        match WORDS.get(usize::from(self.0)).filter(|word| !word.is_empty()) {
            Some(word) => out.write_str(word),
            None => write!(out, "OPCODE{}", self.0),
        }
    }
}

/// The header as values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Matches an answer with its query.
    pub id: u16,
    /// The flag bits.
    pub flags: Flags,
    /// Kind of query.
    pub opcode: Opcode,
    /// The lower four bits of the response code.
    pub rcode_low: u8,
    /// Questions, answers, authorities, additionals.
    pub counts: [u16; 4],
}

impl Header {
    /// Reads the twelve octets.
    pub fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let b = reader.take(HEADER_LEN, "header")?;
        let word = |at: usize| u16::from_be_bytes([b[at], b[at + 1]]);
        let bits = word(2);
        Ok(Self {
            id: word(0),
            flags: Flags(bits & Flags::MASK),
            // RFC 1035 §4.1.1: the opcode is four bits behind QR, the rcode the last four.
            opcode: Opcode((bits >> 11 & 0xf) as u8),
            rcode_low: (bits & 0xf) as u8,
            counts: [word(4), word(6), word(8), word(10)],
        })
    }

    /// The twelve octets.
    pub fn compose(&self) -> [u8; HEADER_LEN] {
        let bits = self.flags.0 & Flags::MASK
            | u16::from(self.opcode.0 & 0xf) << 11
            | u16::from(self.rcode_low & 0xf);
        let [qd, an, ns, ar] = self.counts;
        let mut out = [0; HEADER_LEN];
        for (place, word) in out.chunks_exact_mut(2).zip([self.id, bits, qd, an, ns, ar]) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        out
    }
}
