//! The repair datagram of the sliding-window code: `[key u16][density 4 bits, count 12 bits]
//! [first u32][symbol]`, big-endian, the Explicit Repair FEC Payload ID of RFC 8681 §4.1.3.

use crate::wire::error::{WireError, WireFault, split_header};
use crate::wire::serial::Serial;

/// Bytes before the symbol.
pub const HEADER_LEN: usize = 8;

/// The most source symbols one repair symbol can cover: 12 bits.
pub const COUNT_MAX: u16 = 0xfff;

/// The most a density can be: 4 bits; then no coefficient is zero.
pub const DENSITY_MAX: u8 = 15;

/// One repair datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RlcRepair<'a> {
    /// The seed of the coefficients (Repair_Key).
    pub key: u16,
    /// A coefficient is other than zero with the probability (density + 1) / 16 (DT).
    pub density: u8,
    /// How many source symbols it covers (NSS), at least 1.
    pub count: u16,
    /// The number of the first of them (FSS_ESI).
    pub first: Serial,
    /// The sum.
    pub symbol: &'a [u8],
}

impl<'a> RlcRepair<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`WireFault::Truncated`]; [`WireFault::ImpossibleValue`] when it covers nothing.
    ///
    /// ```
    /// use udpcore::wire::rlc::RlcRepair;
    /// let repair = RlcRepair::parse(b"\0\x07\xf0\x03\0\0\0\x09sum").unwrap();
    /// assert_eq!((repair.key, repair.density, repair.count), (7, 15, 3));
    /// assert_eq!((repair.first.get(), repair.symbol), (9, &b"sum"[..]));
    /// ```
    pub fn parse(datagram: &'a [u8]) -> Result<Self, WireError> {
        let (&[a, b, c, d, e, f, g, h], symbol) = split_header::<HEADER_LEN>(datagram)?;
        let count = u16::from_be_bytes([c, d]) & COUNT_MAX;
        if count == 0 {
            return Err(WireError::new(2, WireFault::ImpossibleValue(0)));
        }
        Ok(Self {
            key: u16::from_be_bytes([a, b]),
            density: c >> 4,
            count,
            first: Serial::new(u32::from_be_bytes([e, f, g, h])),
            symbol,
        })
    }

    /// Writes the datagram. Density and count are cut to their bits.
    pub fn compose(&self) -> Vec<u8> {
        let covered = u16::from(self.density & DENSITY_MAX) << 12 | (self.count & COUNT_MAX);
        let header = [self.key.to_be_bytes(), covered.to_be_bytes()].concat();
        [&header[..], &self.first.get().to_be_bytes(), self.symbol].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written() {
        let datagram = b"\xab\xcd\x3f\xff\xff\xff\xff\xfe";
        let repair = RlcRepair::parse(datagram).unwrap();
        assert_eq!((repair.key, repair.density, repair.count), (0xabcd, 3, 0xfff));
        assert_eq!(repair.compose(), datagram);
    }

    #[test]
    fn every_fault_has_its_place() {
        let short = RlcRepair::parse(b"\0\0\0").unwrap_err();
        assert_eq!(short, WireError::new(3, WireFault::Truncated { needed: 8, have: 3 }));
        let empty = RlcRepair::parse(b"\0\0\xf0\0\0\0\0\0").unwrap_err();
        assert_eq!(empty, WireError::new(2, WireFault::ImpossibleValue(0)));
    }
}
