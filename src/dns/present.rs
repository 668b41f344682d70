//! Presentation format: names, record data and records as dig prints them.
//!
//! RFC 1035 §5.1 (escapes), RFC 3597 §5 (unknown types), RFC 4034, RFC 5155 §3.3, RFC 9460 §2.1.
//! Times are shown for the years 1970 to 2106: there is no clock here to choose another era.

use super::message::Record;
use super::rdtype::{Class, RdType};
use super::reader::NameRef;
use super::schema::Kind;
use super::value::{self, Value};
use std::fmt::{self, Display, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Long base 16 and base 64 fields are cut into words of this many characters, as dig does.
const WORD_LEN_MAX: usize = 56;

/// Writes a name with its final dot; dots and octets that are not printable are escaped.
pub fn write_name(name: &NameRef<'_>, out: &mut impl Write) -> fmt::Result {
    let mut root = true;
    for label in name.labels() {
        root = false;
        // Hostname letters need no escape: write runs of them at once.
        let mut rest = label;
        while !rest.is_empty() {
            let run = rest.iter().take_while(|b| plain_in_name(**b)).count();
            out.write_str(std::str::from_utf8(&rest[..run]).unwrap_or_default())?;
            rest = &rest[run..];
            if let Some((octet, tail)) = rest.split_first() {
                write_escaped(*octet, octet.is_ascii_graphic(), out)?;
                rest = tail;
            }
        }
        out.write_char('.')?;
    }
    if root { out.write_char('.') } else { Ok(()) }
}

fn plain_in_name(octet: u8) -> bool {
    octet.is_ascii_graphic()
        && !matches!(octet, b'"' | b'(' | b')' | b'.' | b';' | b'\\' | b'@' | b'$')
}

fn write_escaped(octet: u8, printable: bool, out: &mut impl Write) -> fmt::Result {
    if printable { write!(out, "\\{}", char::from(octet)) } else { write!(out, "\\{octet:03}") }
}

/// Writes a string; `quoted` is for the zone file, and without it blanks are escaped.
pub fn write_text(bytes: &[u8], quoted: bool, out: &mut impl Write) -> fmt::Result {
    if quoted {
        out.write_char('"')?;
    }
    for octet in bytes {
        match octet {
            b'"' | b'\\' => write_escaped(*octet, true, out)?,
            b' ' if quoted => out.write_char(' ')?,
            _ if octet.is_ascii_graphic() => out.write_char(char::from(*octet))?,
            _ => write_escaped(*octet, false, out)?,
        }
    }
    if quoted { out.write_char('"') } else { Ok(()) }
}

/// The data of a record alone: `10 mail.example.` for MX.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a, 'm>(pub &'a Record<'m>);

impl Display for Data<'_, '_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(values) = self.0.values() else {
            return write_opaque(self.0.data(), out);
        };
        let mut first = true;
        for (field, value) in values {
            // An empty list is the only field that may print nothing.
            if let Value::Types([]) | Value::Pairs([]) = value {
                continue;
            }
            if !first {
                out.write_char(' ')?;
            }
            first = false;
            write_value(field.kind, &value, out)?;
        }
        Ok(())
    }
}

/// RFC 3597 §5: `\# 4 0A000001`.
fn write_opaque(data: &[u8], out: &mut impl Write) -> fmt::Result {
    write!(out, "\\# {}", data.len())?;
    if !data.is_empty() {
        out.write_char(' ')?;
        write_words(&hex(data), out)?;
    }
    Ok(())
}

fn write_value(kind: Kind, value: &Value<'_>, out: &mut impl Write) -> fmt::Result {
    match (value, kind) {
        (Value::Int(code), Kind::Type) => write!(out, "{}", RdType(*code as u16)),
        (Value::Int(code), Kind::CertType) => write_word(*code, CERTIFICATES, out),
        (Value::Int(code), Kind::Algorithm) => write_word(*code, ALGORITHMS, out),
        (Value::Int(seconds), Kind::Time) => write_time(*seconds, out),
        (Value::Int(number), _) => write!(out, "{number}"),
        (Value::Ip4(address), _) => write!(out, "{address}"),
        (Value::Ip6(address), _) => write!(out, "{address}"),
        (Value::Name(name), _) => write_name(name, out),
        (Value::Bytes(bytes), Kind::Tag) => write_text(bytes, false, out),
        (Value::Bytes(bytes), Kind::Text | Kind::RestText) => write_text(bytes, true, out),
        (Value::Bytes(bytes), Kind::Base64) => write_words(&base64(bytes), out),
        (Value::Bytes([]), Kind::Salt) => out.write_char('-'),
        (Value::Bytes(bytes), Kind::Salt) => out.write_str(&hex(bytes)),
        (Value::Bytes(bytes), Kind::Hash) => out.write_str(&base32_hex(bytes)),
        (Value::Bytes(bytes), Kind::Eui(_)) => {
            separated(bytes.iter(), "-", out, |octet, out| write!(out, "{octet:02x}"))
        }
        (Value::Bytes(bytes), _) => write_words(&hex(bytes), out),
        (Value::Texts([]), _) => out.write_str("\"\""),
        (Value::Texts(raw), _) => {
            separated(value::texts(raw), " ", out, |text, out| write_text(text, true, out))
        }
        (Value::Types(raw), _) => {
            separated(value::types(raw), " ", out, |rdtype, out| write!(out, "{rdtype}"))
        }
        (Value::Pairs(raw), Kind::Params) => {
            separated(value::pairs(raw), " ", out, |(key, data), out| write_param(key, data, out))
        }
        (Value::Pairs(raw), _) => write_words(&hex(raw), out),
    }
}

fn separated<T, W: Write>(
    items: impl Iterator<Item = T>,
    separator: &str,
    out: &mut W,
    write: impl Fn(T, &mut W) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.write_str(separator)?;
        }
        write(item, out)?;
    }
    Ok(())
}

/// The names of service parameter keys, by number. RFC 9460 §14.3.2, RFC 9461 §5.
pub const PARAM_KEYS: [&str; 8] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath"];

fn write_key(key: u16, out: &mut impl Write) -> fmt::Result {
    match PARAM_KEYS.get(usize::from(key)) {
        Some(word) => out.write_str(word),
        None => write!(out, "key{key}"),
    }
}

/// One `key=value` of SVCB; a value that does not fit its key is shown as octets.
fn write_param(key: u16, data: &[u8], out: &mut impl Write) -> fmt::Result {
    write_key(key, out)?;
    if data.is_empty() {
        return Ok(());
    }
    out.write_char('=')?;
    match key {
        0 if data.len().is_multiple_of(2) => {
            separated(data.chunks_exact(2), ",", out, |pair, out| {
                write_key(u16::from_be_bytes([pair[0], pair[1]]), out)
            })
        }
        1 => write_alpn(data, out),
        3 if data.len() == 2 => write!(out, "{}", u16::from_be_bytes([data[0], data[1]])),
        4 if data.len().is_multiple_of(4) => separated(data.chunks_exact(4), ",", out, |b, out| {
            write!(out, "{}", Ipv4Addr::new(b[0], b[1], b[2], b[3]))
        }),
        5 => write!(out, "{}", base64(data)),
        6 if data.len().is_multiple_of(16) => {
            separated(data.chunks_exact(16), ",", out, |octets, out| {
                let octets = <[u8; 16]>::try_from(octets).unwrap_or_default();
                write!(out, "{}", Ipv6Addr::from(octets))
            })
        }
        _ => write_text(data, true, out),
    }
}

/// A list of protocol names; a comma inside one is escaped twice. RFC 9460 appendix A.1.
fn write_alpn(data: &[u8], out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    separated(value::texts(data), ",", out, |protocol, out| {
        for octet in protocol {
            match octet {
                b',' => out.write_str("\\\\,")?,
                b'\\' => out.write_str("\\\\\\\\")?,
                b'"' => out.write_str("\\\"")?,
                _ if octet.is_ascii_graphic() => out.write_char(char::from(*octet))?,
                _ => write_escaped(*octet, false, out)?,
            }
        }
        Ok(())
    })?;
    out.write_char('"')
}

/// Kinds of certificates. RFC 4398 §2.1.
const CERTIFICATES: &[(u32, &str)] = &[
    (1, "PKIX"),
    (2, "SPKI"),
    (3, "PGP"),
    (4, "IPKIX"),
    (5, "ISPKI"),
    (6, "IPGP"),
    (7, "ACPKIX"),
    (8, "IACPKIX"),
    (253, "URI"),
    (254, "OID"),
];
/// Algorithms of DNSSEC: the registry behind RFC 4398 §2.2.
const ALGORITHMS: &[(u32, &str)] = &[
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DSA"),
    (5, "RSASHA1"),
    (6, "NSEC3DSA"),
    (7, "NSEC3RSASHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECCGOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];

/// The word of `code`, or its number.
fn write_word(code: u32, words: &[(u32, &str)], out: &mut impl Write) -> fmt::Result {
    match words.binary_search_by_key(&code, |(known, _)| *known) {
        Ok(found) => out.write_str(words[found].1),
        Err(_) => write!(out, "{code}"),
    }
}

/// `YYYYMMDDHHmmSS` in UTC. RFC 4034 §3.2.
fn write_time(seconds: u32, out: &mut impl Write) -> fmt::Result {
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of year 0, so that the leap day ends a year; proleptic Gregorian.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    write!(out, "{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

fn write_words(text: &str, out: &mut impl Write) -> fmt::Result {
    let chunks = text.as_bytes().chunks(WORD_LEN_MAX);
    separated(chunks, " ", out, |word, out| {
        out.write_str(std::str::from_utf8(word).unwrap_or_default())
    })
}

/// Upper-case base 16.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for octet in bytes {
        let _ = write!(out, "{octet:02X}");
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = in_groups(bytes, 6, ALPHABET);
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

/// Base 32 with the extended hex alphabet and without padding. RFC 5155 §1.3.
pub fn base32_hex(bytes: &[u8]) -> String {
    in_groups(bytes, 5, b"0123456789ABCDEFGHIJKLMNOPQRSTUV")
}

/// The bits of `bytes` in groups of `width`, from the left, one letter each. RFC 4648.
fn in_groups(bytes: &[u8], width: u32, alphabet: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / width as usize + 4);
    let (mut bits, mut held) = (0u32, 0u32);
    let mask = (1 << width) - 1;
    for octet in bytes {
        bits = bits << 8 | u32::from(*octet);
        held += 8;
        while held >= width {
            held -= width;
            out.push(char::from(alphabet[(bits >> held & mask) as usize]));
        }
    }
    if held > 0 {
        out.push(char::from(alphabet[(bits << (width - held) & mask) as usize]));
    }
    out
}

/// A record as one line of a zone file, in dig's columns.
impl Display for Record<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Columns::default();
        line.cell(0, format_args!("{}", self.name))?;
        line.cell(24, format_args!("{}", self.ttl))?;
        line.cell(32, format_args!("{}", self.class))?;
        line.cell(40, format_args!("{}", self.rdtype))?;
        // RFC 2136 §2.4: in an update, class ANY and NONE stand for records without data.
        if !self.data().is_empty() || !matches!(self.class, Class::ANY | Class::NONE) {
            line.cell(48, format_args!("{}", Data(self)))?;
        }
        out.write_str(&line.text)
    }
}

/// A line whose cells begin at given columns, moved there with tabs where one fits.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) text: String,
}

impl Columns {
    /// Appends `cell` at `column`, or one blank after the last cell if that is further right.
    pub(super) fn cell(&mut self, column: usize, cell: fmt::Arguments<'_>) -> fmt::Result {
        const TAB: usize = 8;
        if column > 0 {
            let from = self.width();
            let to = column.max(from + 1);
            let tabs = to / TAB - from / TAB;
            let blanks = if tabs > 0 { to % TAB } else { to - from };
            self.text.extend(std::iter::repeat_n('\t', tabs));
            self.text.extend(std::iter::repeat_n(' ', blanks));
        }
        self.text.write_fmt(cell)
    }

    fn width(&self) -> usize {
        self.text.chars().fold(0, |at, c| if c == '\t' { at / 8 * 8 + 8 } else { at + 1 })
    }
}
