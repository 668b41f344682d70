//! The ACK frame (RFC 9000 §19.3): ranges of received packet numbers, delay, ECN counts.
//!
//! Parsed ranges stay in the packet's bytes and are walked newest first; nothing is allocated.

use super::{ACK_RANGES_MAX, Reader, VARINT_MAX, WireError, WireErrorKind, put_varint};
use std::ops::RangeInclusive;

/// How many packets arrived with each ECN mark (RFC 9000 §19.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnCounts {
    /// Packets marked ECT(0).
    pub ect0: u64,
    /// Packets marked ECT(1).
    pub ect1: u64,
    /// Packets marked as having met congestion.
    pub ce: u64,
}

/// A parsed ACK frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckFrame<'a> {
    /// The largest packet number acknowledged.
    pub largest: u64,
    /// How long the peer held the acknowledgement back, in microseconds.
    pub delay_us: u64,
    /// The marks the peer has counted, if it reports them.
    pub ecn: Option<EcnCounts>,
    count: usize,
    first_len: u64,
    encoded: &'a [u8],
}

impl<'a> AckFrame<'a> {
    pub(super) fn parse(reader: &mut Reader<'a>, has_ecn: bool) -> Result<Self, WireError> {
        let largest = reader.varint()?;
        let delay_us = reader.varint()?;
        let count = reader.varint_at_most(ACK_RANGES_MAX as u64 - 1)? as usize;
        let first_len = reader.varint()?;
        let mut walk = *reader;
        let mut low = Self::below(&walk, largest, first_len)?;
        for _ in 0..count {
            let gap = walk.varint()?;
            // RFC 9000 §19.3.1: a gap of n leaves out n + 1 packets.
            low = Self::below(&walk, low, gap.saturating_add(2))?;
            let len = walk.varint()?;
            low = Self::below(&walk, low, len)?;
        }
        let encoded = reader.bytes(walk.offset() - reader.offset())?;
        let ecn = if has_ecn {
            Some(EcnCounts { ect0: reader.varint()?, ect1: reader.varint()?, ce: reader.varint()? })
        } else {
            None
        };
        Ok(Self { largest, delay_us, ecn, count, first_len, encoded })
    }

    fn below(at: &Reader<'_>, high: u64, len: u64) -> Result<u64, WireError> {
        high.checked_sub(len).ok_or(at.error(WireErrorKind::AckRange))
    }

    /// The acknowledged ranges, newest first, not touching each other.
    pub fn ranges(&self) -> AckRanges<'a> {
        let first = self.largest - self.first_len..=self.largest;
        AckRanges { next: Some(first), left: self.count, reader: Reader::new(self.encoded) }
    }
}

/// Walks the ranges of an [`AckFrame`], newest first.
#[derive(Clone, Debug)]
pub struct AckRanges<'a> {
    next: Option<RangeInclusive<u64>>,
    left: usize,
    reader: Reader<'a>,
}

impl Iterator for AckRanges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<RangeInclusive<u64>> {
        let current = self.next.take()?;
        if self.left > 0 {
            self.left -= 1;
            // The frame was walked once when it was parsed: the numbers are there and fit.
            let gap = self.reader.varint().unwrap_or(VARINT_MAX);
            let len = self.reader.varint().unwrap_or(VARINT_MAX);
            let high = current.start().saturating_sub(gap.saturating_add(2));
            self.next = Some(high.saturating_sub(len)..=high);
        }
        Some(current)
    }
}

/// Appends an ACK frame of `ranges`, which come newest first and neither touch nor overlap.
///
/// Writes at most [`ACK_RANGES_MAX`] of them and only while the frame stays within `room` bytes
/// of `out`'s end. Returns the lowest packet number written, or `None` (and leaves `out`
/// untouched) if not even one range fits.
pub fn compose_ack(
    out: &mut Vec<u8>,
    room: usize,
    mut ranges: impl Iterator<Item = RangeInclusive<u64>>,
    delay_us: u64,
    ecn: Option<EcnCounts>,
) -> Option<u64> {
    let start = out.len();
    let first = ranges.next()?;
    out.push(if ecn.is_some() { super::frame::ACK_ECN } else { super::frame::ACK });
    put_varint(out, *first.end());
    put_varint(out, delay_us.min(VARINT_MAX));
    let count_at = out.len();
    // The count is below 64, so it takes one byte, patched below.
    out.push(0);
    put_varint(out, first.end() - first.start());
    let ecn_len = ecn.map_or(0, |_| 24);
    if out.len() - start + ecn_len > room {
        out.truncate(start);
        return None;
    }
    let mut low = *first.start();
    for range in ranges.take(ACK_RANGES_MAX - 1) {
        let undo = out.len();
        put_varint(out, low - range.end() - 2);
        put_varint(out, range.end() - range.start());
        if out.len() - start + ecn_len > room {
            out.truncate(undo);
            break;
        }
        low = *range.start();
        out[count_at] += 1;
    }
    if let Some(counts) = ecn {
        put_varint(out, counts.ect0);
        put_varint(out, counts.ect1);
        put_varint(out, counts.ce);
    }
    Some(low)
}
