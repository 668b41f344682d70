//! Fields of a header: reading, writing and naming runs of bits.
//!
//! A field is at most 128 bits wide (an IPv6 address). Network bit order: bit 0 is the first.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How people write the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 1500
    Decimal,
    /// 0x0800
    Hex,
    /// 02:00:00:00:00:01
    Mac,
    /// 192.0.2.1
    Ipv4,
    /// 2001:db8::1
    Ipv6,
}

/// One field in the table of a header.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldSpec {
    pub(super) name: &'static str,
    pub(super) bits: u32,
    pub(super) format: Format,
}

/// One field of a parsed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name the RFC uses, in lower case with underscores.
    pub name: &'static str,
    /// Its width.
    pub bits: u32,
    /// Its value.
    pub value: u128,
    /// How people write it.
    pub format: Format,
}

impl Field {
    /// The value as people write it.
    pub fn text(&self) -> String {
        match self.format {
            Format::Decimal => self.value.to_string(),
            Format::Hex => format!("{:#0width$x}", self.value, width = self.bits as usize / 4 + 2),
            Format::Ipv4 => Ipv4Addr::from(self.value as u32).to_string(),
            Format::Ipv6 => Ipv6Addr::from(self.value).to_string(),
            Format::Mac => {
                let bytes = &self.value.to_be_bytes()[10..];
                let mut text = String::new();
                for (n, byte) in bytes.iter().enumerate() {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{}{byte:02x}", if n == 0 { "" } else { ":" });
                }
                text
            }
        }
    }
}

/// Read the fields of `specs` from the start of `bytes`, which must be long enough.
pub(super) fn read(specs: &[FieldSpec], bytes: &[u8]) -> Vec<Field> {
    let mut at = 0;
    let mut fields = Vec::with_capacity(specs.len());
    for spec in specs {
        let value = read_bits(bytes, at, spec.bits);
        fields.push(Field { name: spec.name, bits: spec.bits, value, format: spec.format });
        at += spec.bits as usize;
    }
    fields
}

/// Write values, in the order of `specs`, as bytes.
pub(super) fn write(specs: &[FieldSpec], values: &[u128]) -> Vec<u8> {
    let total: u32 = specs.iter().map(|spec| spec.bits).sum();
    let mut bytes = vec![0; total as usize / 8];
    let mut at = 0;
    for (spec, value) in specs.iter().zip(values) {
        for bit in 0..spec.bits as usize {
            let set = (value >> (spec.bits as usize - 1 - bit)) & 1 == 1;
            bytes[(at + bit) / 8] |= u8::from(set) << (7 - (at + bit) % 8);
        }
        at += spec.bits as usize;
    }
    bytes
}

/// Bytes a table describes.
pub(super) fn bytes_of(specs: &[FieldSpec]) -> usize {
    specs.iter().map(|spec| spec.bits as usize).sum::<usize>() / 8
}

fn read_bits(bytes: &[u8], at: usize, bits: u32) -> u128 {
    (at..at + bits as usize).fold(0, |value, bit| {
        let byte = bytes.get(bit / 8).copied().unwrap_or_default();
        value << 1 | u128::from(byte >> (7 - bit % 8) & 1)
    })
}
