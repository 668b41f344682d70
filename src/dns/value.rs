//! One field of record data, read where it lies: checked, but not copied.

use super::rdtype::RdType;
use super::reader::{Fault, NameRef, ParseError, Reader, Result};
use super::schema::{self, Field, Kind};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A field as a value; the [`Kind`] beside it says how it is shown and composed.
#[derive(Debug, Clone, Copy)]
pub enum Value<'w> {
    /// A number: `U8`, `U16`, `U32`, `Time`, `Type`.
    Int(u32),
    /// An IPv4 address.
    Ip4(Ipv4Addr),
    /// An IPv6 address.
    Ip6(Ipv6Addr),
    /// A name.
    Name(NameRef<'w>),
    /// The octets of a string, a hash, a key, without a length.
    Bytes(&'w [u8]),
    /// The strings of TXT, each still behind its length octet.
    Texts(&'w [u8]),
    /// A type bitmap.
    Types(&'w [u8]),
    /// Pairs of a 16-bit key and octets behind a 16-bit length: SVCB parameters, EDNS options.
    Pairs(&'w [u8]),
}

/// The fields of the data of `rdtype` in `wire[at..end]`; `None` if the type is opaque here.
pub fn values(wire: &[u8], rdtype: RdType, at: usize, end: usize) -> Option<Values<'_>> {
    let fields = schema::fields(rdtype)?;
    Some(Values { reader: Reader::window(wire, at, end), fields: fields.iter() })
}

/// Walks the fields of one record; stops at the first fault.
#[derive(Debug, Clone)]
pub struct Values<'w> {
    reader: Reader<'w>,
    fields: std::slice::Iter<'static, Field>,
}

impl<'w> Values<'w> {
    /// Reads all fields and makes sure that nothing is left over.
    pub fn check(mut self) -> Result<()> {
        for field in self.fields.by_ref() {
            read(&mut self.reader, field.kind)?;
        }
        match self.reader.left() {
            0 => Ok(()),
            left => Err(self.reader.fault(Fault::RdataLeftOver(left))),
        }
    }
}

impl<'w> Iterator for Values<'w> {
    type Item = (&'static Field, Value<'w>);

    /// The next field. The data was checked by [`Values::check`]: a fault only ends the walk.
    fn next(&mut self) -> Option<Self::Item> {
        let field = self.fields.next()?;
        read(&mut self.reader, field.kind).ok().map(|value| (field, value))
    }
}

fn read<'w>(reader: &mut Reader<'w>, kind: Kind) -> Result<Value<'w>> {
    Ok(match kind {
        Kind::U8 | Kind::Algorithm => Value::Int(u32::from(reader.u8("8-bit field")?)),
        Kind::U16 | Kind::CertType | Kind::Type => {
            Value::Int(u32::from(reader.u16("16-bit field")?))
        }
        Kind::U32 | Kind::Time => Value::Int(reader.u32("32-bit field")?),
        Kind::Ip4 => {
            let b = reader.take(4, "IPv4 address")?;
            Value::Ip4(Ipv4Addr::new(b[0], b[1], b[2], b[3]))
        }
        Kind::Ip6 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(reader.take(16, "IPv6 address")?);
            Value::Ip6(Ipv6Addr::from(octets))
        }
        Kind::Name | Kind::PlainName => Value::Name(reader.name()?),
        Kind::Text | Kind::Tag => Value::Bytes(reader.counted("character string")?),
        Kind::Salt | Kind::Hash => Value::Bytes(reader.counted("counted octets")?),
        Kind::Texts => Value::Texts(checked_texts(reader)?),
        Kind::RestText | Kind::Hex | Kind::Base64 => Value::Bytes(reader.rest()),
        Kind::Eui(len) => Value::Bytes(reader.take(usize::from(len), "EUI address")?),
        Kind::Types => Value::Types(checked_types(reader)?),
        Kind::Params => Value::Pairs(checked_pairs(reader, true)?),
        Kind::Options => Value::Pairs(checked_pairs(reader, false)?),
    })
}

fn checked_texts<'w>(reader: &mut Reader<'w>) -> Result<&'w [u8]> {
    let mut walk = *reader;
    // RFC 1035 §3.3.14 has one or more strings; but there are responders that send none, which is
    // to be taken as one that is empty (RFC 6763 §6.1).
    while walk.left() > 0 {
        walk.counted("character string")?;
    }
    Ok(reader.rest())
}

fn checked_types<'w>(reader: &mut Reader<'w>) -> Result<&'w [u8]> {
    let mut walk = *reader;
    let mut window_prev: Option<u8> = None;
    while walk.left() > 0 {
        let offset = walk.at();
        let window = walk.u8("bitmap window")?;
        let bits = walk.counted("bitmap")?;
        // RFC 4034 §4.1.2: 1 to 32 octets, windows in rising order.
        let rising = window_prev.is_none_or(|prev| prev < window);
        if bits.is_empty() || bits.len() > 32 || !rising {
            return Err(ParseError { offset, fault: Fault::TypeBitmap(bits.len() as u8) });
        }
        window_prev = Some(window);
    }
    Ok(reader.rest())
}

fn checked_pairs<'w>(reader: &mut Reader<'w>, rising: bool) -> Result<&'w [u8]> {
    let mut walk = *reader;
    let mut key_prev: Option<u16> = None;
    while walk.left() > 0 {
        let offset = walk.at();
        let key = walk.u16("key of a pair")?;
        let len = walk.u16("length of a pair")?;
        walk.take(usize::from(len), "value of a pair")?;
        // RFC 9460 §2.2: keys in strictly increasing order.
        if rising && key_prev.is_some_and(|prev| prev >= key) {
            return Err(ParseError { offset, fault: Fault::ParamOrder(key) });
        }
        key_prev = Some(key);
    }
    Ok(reader.rest())
}

/// The strings of a checked [`Value::Texts`].
pub fn texts(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(raw);
    std::iter::from_fn(move || reader.counted("character string").ok())
}

/// The types of a checked [`Value::Types`], in rising order.
pub fn types(raw: &[u8]) -> impl Iterator<Item = RdType> {
    let mut reader = Reader::new(raw);
    std::iter::from_fn(move || {
        let window = reader.u8("bitmap window").ok()?;
        Some((window, reader.counted("bitmap").ok()?))
    })
    .flat_map(|(window, bits)| {
        // Bit 0 is the leftmost of the first octet. RFC 4034 §4.1.2.
        (0..bits.len() * 8)
            .filter(|bit| bits[bit / 8] & (0x80 >> (bit % 8)) != 0)
            .map(move |bit| RdType(u16::from(window) << 8 | bit as u16))
    })
}

/// The keys and values of a checked [`Value::Pairs`].
pub fn pairs(raw: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut reader = Reader::new(raw);
    std::iter::from_fn(move || {
        let key = reader.u16("key").ok()?;
        let len = reader.u16("length").ok()?;
        Some((key, reader.take(usize::from(len), "value").ok()?))
    })
}

/// The bitmap of `types`, whatever their order. RFC 4034 §4.1.2.
pub fn bitmap(mut types: Vec<RdType>) -> Vec<u8> {
    types.sort_unstable();
    let mut out = Vec::new();
    for group in types.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let mut bits = [0u8; 32];
        for rdtype in group {
            let low = usize::from(rdtype.0 & 0xff);
            bits[low / 8] |= 0x80 >> (low % 8);
        }
        let len = bits.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
        out.extend_from_slice(&[(group[0].0 >> 8) as u8, len as u8]);
        out.extend_from_slice(&bits[..len]);
    }
    out
}
