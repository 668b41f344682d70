//! Variable-length integers (RFC 9000 §16) and a cursor over bytes that never panics.

use super::{WireError, WireErrorKind};

/// The largest number a varint holds.
pub const VARINT_MAX: u64 = (1 << 62) - 1;

/// The bytes a varint of this value takes: 1, 2, 4 or 8.
pub const fn varint_len(value: u64) -> usize {
    if value < 1 << 6 {
        1
    } else if value < 1 << 14 {
        2
    } else if value < 1 << 30 {
        4
    } else {
        8
    }
}

/// Appends `value` in its shortest form.
///
/// # Panics
/// If `value` is above [`VARINT_MAX`]; callers hold numbers that cannot be.
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    // RFC 9000 §16: the two most significant bits are the base-2 logarithm of the length.
    match varint_len(value) {
        1 => out.push(value as u8),
        2 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        4 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => {
            assert!(value <= VARINT_MAX, "{value} is too large for a varint");
            out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes());
        }
    }
}

/// A cursor: each read takes bytes from the front or says that they are missing.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error of this kind at the current byte.
    pub fn error(&self, kind: WireErrorKind) -> WireError {
        WireError { kind, offset: self.at }
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        if len > self.remaining() {
            return Err(self.error(WireErrorKind::Truncated));
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        let taken = &self.bytes[self.at..];
        self.at = self.bytes.len();
        taken
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.bytes(1)?[0])
    }

    /// The next four bytes as a big-endian number.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        let mut word = [0; 4];
        word.copy_from_slice(self.bytes(4)?);
        Ok(u32::from_be_bytes(word))
    }

    /// The next eight bytes as a big-endian number.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.bytes(8)?);
        Ok(u64::from_be_bytes(word))
    }

    /// The next varint, in any of its forms.
    pub fn varint(&mut self) -> Result<u64, WireError> {
        let first = *self
            .bytes
            .get(self.at)
            .ok_or(WireError { kind: WireErrorKind::Truncated, offset: self.at })?;
        if first < 0x40 {
            self.at += 1;
            return Ok(u64::from(first));
        }
        let tail = self.bytes(1 << (first >> 6))?;
        Ok(tail[1..].iter().fold(u64::from(first & 0x3f), |n, b| n << 8 | u64::from(*b)))
    }

    /// The next varint, which must not be above `max`.
    pub fn varint_at_most(&mut self, max: u64) -> Result<u64, WireError> {
        let start = *self;
        let value = self.varint()?;
        if value > max { Err(start.error(WireErrorKind::Limit)) } else { Ok(value) }
    }
}
