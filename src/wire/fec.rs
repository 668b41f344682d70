//! The format of `send_with_fec`: `[index u16][k u16][chunk]`, big-endian.
//!
//! Below `k` the chunk is a source chunk verbatim, as in the tutorial. From `k` on it is a repair
//! chunk, which begins with `[version u8][m u16][length u32][crc32 u32]`: how many repair chunks
//! there are, and length and CRC-32 of the whole data; the repair symbol follows.

use crate::wire::error::{WireError, WireFault, split_header};

/// Bytes before the chunk.
pub const HEADER_LEN: usize = 4;

/// Bytes before the symbol of a repair chunk.
pub const REPAIR_HEADER_LEN: usize = HEADER_LEN + 11;

/// The version of the repair chunks.
pub const VERSION: u8 = 1;

/// One datagram of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FecDatagram<'a> {
    /// The number of the chunk.
    pub index: u16,
    /// How many source chunks the transfer has; at least 1.
    pub k: u16,
    /// What it carries.
    pub chunk: FecChunk<'a>,
}

/// What a datagram carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FecChunk<'a> {
    /// A piece of the data.
    Source(&'a [u8]),
    /// A repair symbol, and what it says of the whole.
    Repair(Summary, &'a [u8]),
}

/// What every repair chunk says of the whole transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// How many repair chunks there are.
    pub m: u16,
    /// Bytes of the data.
    pub length: u32,
    /// The CRC-32 of the data.
    pub crc32: u32,
}

impl<'a> FecDatagram<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`WireFault::Truncated`], [`WireFault::UnknownVersion`]; [`WireFault::ImpossibleValue`] for
    /// a `k` of 0 or a repair chunk beyond the `m`-th.
    ///
    /// ```
    /// use udpcore::wire::fec::{FecChunk, FecDatagram};
    /// let datagram = FecDatagram::parse(b"\0\x01\0\x03chunk").unwrap();
    /// assert_eq!((datagram.index, datagram.k), (1, 3));
    /// assert_eq!(datagram.chunk, FecChunk::Source(b"chunk"));
    /// ```
    pub fn parse(datagram: &'a [u8]) -> Result<Self, WireError> {
        let (&[i, j, k, l], chunk) = split_header::<HEADER_LEN>(datagram)?;
        let (index, k) = (u16::from_be_bytes([i, j]), u16::from_be_bytes([k, l]));
        if k == 0 {
            return Err(WireError::new(2, WireFault::ImpossibleValue(0)));
        }
        if index < k {
            return Ok(Self { index, k, chunk: FecChunk::Source(chunk) });
        }
        if let Some(&version) = chunk.first().filter(|&&version| version != VERSION) {
            return Err(WireError::new(HEADER_LEN, WireFault::UnknownVersion(version)));
        }
        let (header, _) = split_header::<REPAIR_HEADER_LEN>(datagram)?;
        let [_, _, _, _, _, m, n, a, b, c, d, e, f, g, h] = *header;
        let summary = Summary {
            m: u16::from_be_bytes([m, n]),
            length: u32::from_be_bytes([a, b, c, d]),
            crc32: u32::from_be_bytes([e, f, g, h]),
        };
        if u32::from(index) >= u32::from(k) + u32::from(summary.m) {
            return Err(WireError::new(5, WireFault::ImpossibleValue(summary.m.into())));
        }
        let symbol = &datagram[REPAIR_HEADER_LEN..];
        Ok(Self { index, k, chunk: FecChunk::Repair(summary, symbol) })
    }

    /// Writes the datagram.
    pub fn compose(&self) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(REPAIR_HEADER_LEN + self.body().len());
        datagram.extend(self.index.to_be_bytes());
        datagram.extend(self.k.to_be_bytes());
        if let FecChunk::Repair(summary, _) = self.chunk {
            datagram.push(VERSION);
            datagram.extend(summary.m.to_be_bytes());
            datagram.extend(summary.length.to_be_bytes());
            datagram.extend(summary.crc32.to_be_bytes());
        }
        datagram.extend(self.body());
        datagram
    }

    fn body(&self) -> &'a [u8] {
        match self.chunk {
            FecChunk::Source(chunk) => chunk,
            FecChunk::Repair(_, symbol) => symbol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        let summary = Summary { m: 2, length: 0x0102_0304, crc32: 0xdead_beef };
        for (value, datagram) in [
            (FecDatagram { index: 0, k: 1, chunk: FecChunk::Source(b"") }, &b"\0\0\0\x01"[..]),
            (
                FecDatagram { index: 258, k: 300, chunk: FecChunk::Source(b"data") },
                b"\x01\x02\x01\x2cdata",
            ),
            (
                FecDatagram { index: 4, k: 3, chunk: FecChunk::Repair(summary, b"sym") },
                b"\0\x04\0\x03\x01\0\x02\x01\x02\x03\x04\xde\xad\xbe\xefsym",
            ),
        ] {
            assert_eq!(value.compose(), datagram);
            assert_eq!(FecDatagram::parse(datagram), Ok(value));
        }
    }

    #[test]
    fn every_fault_has_its_place() {
        for (datagram, offset, fault) in [
            (&b"\0\0\0"[..], 3, WireFault::Truncated { needed: 4, have: 3 }),
            (b"\0\0\0\0x", 2, WireFault::ImpossibleValue(0)),
            (b"\0\x01\0\x01", 4, WireFault::Truncated { needed: 15, have: 4 }),
            (b"\0\x01\0\x01\x07", 4, WireFault::UnknownVersion(7)),
            (b"\0\x01\0\x01\x01\0\0\0\0\0\0\0\0\0\0", 5, WireFault::ImpossibleValue(0)),
            (b"\0\x05\0\x03\x01\0\x02\0\0\0\0\0\0\0\0", 5, WireFault::ImpossibleValue(2)),
        ] {
            assert_eq!(FecDatagram::parse(datagram), Err(WireError::new(offset, fault)));
        }
    }
}
