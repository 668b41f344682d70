//! A message some of which was sent: which of its bytes are unsent, lost, acknowledged.

use super::Class;
use super::repair::Repair;
use crate::transport::fec_control::Fec;
use crate::transport::ranges::RangeSet;
use crate::transport::receipts::Receipt;
use std::ops::Range;

/// A message from its first fragment to its end.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) data: Vec<u8>,
    pub(super) receipt: Receipt,
    pub(super) class: Class,
    /// Everything below was sent at least once.
    sent: u32,
    acked: RangeSet,
    acked_len: u64,
    lost: RangeSet,
    /// Given up: only the SKIP that tells the peer is still to be acknowledged.
    pub(super) is_skipped: bool,
    pub(super) fec: Fec,
    /// What repairs it, once it was decided that something does.
    pub(super) repair: Option<Box<Repair>>,
}

impl Live {
    pub(super) fn new(data: Vec<u8>, receipt: Receipt, class: Class, fec: Fec) -> Self {
        Self {
            data,
            receipt,
            class,
            sent: 0,
            acked: RangeSet::new(),
            acked_len: 0,
            lost: RangeSet::new(),
            is_skipped: false,
            fec,
            repair: None,
        }
    }

    pub(super) fn total(&self) -> u32 {
        self.data.len() as u32
    }

    /// An empty message occupies one position, so that its one fragment can be lost.
    fn extent(&self) -> u64 {
        (self.data.len() as u64).max(1)
    }

    fn positions(&self, offset: u32, len: u32) -> Range<u64> {
        let start = u64::from(offset);
        start..start + u64::from(len).max(1)
    }

    pub(super) fn has_unsent(&self) -> bool {
        u64::from(self.sent) < self.extent()
    }

    pub(super) fn has_repair(&self) -> bool {
        self.repair.as_ref().is_some_and(|repair| repair.is_due())
    }

    /// A repair symbol arrived. Returns whether the whole message is there now.
    pub(super) fn on_repair_acked(&mut self) -> bool {
        if let Some(repair) = &mut self.repair {
            repair.on_acked();
        }
        self.is_recoverable()
    }

    fn is_recoverable(&self) -> bool {
        let repair = self.repair.as_ref();
        repair.is_some_and(|repair| repair.is_enough(&self.acked, self.data.len()))
    }

    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Where the next fragment starts and how long it could be: lost bytes first.
    pub(super) fn next_piece(&self) -> Option<Range<u32>> {
        let piece = if let Some(first) = self.lost.first_range() {
            let end = first.end.min(self.data.len() as u64);
            first.start as u32..end as u32
        } else if self.has_unsent() {
            self.sent..self.total()
        } else {
            return None;
        };
        let symbol_end = self.repair.as_ref().map_or(u32::MAX, |r| r.symbol_end(piece.start));
        Some(piece.start..piece.end.min(symbol_end))
    }

    /// How long the next fragment or repair symbol is, at most.
    pub(super) fn next_len(&self) -> usize {
        match (self.next_piece(), &self.repair) {
            (Some(piece), _) => piece.len(),
            (None, Some(repair)) => repair.symbol_len(),
            (None, None) => 0,
        }
    }

    /// `len` bytes from the start of [`next_piece`](Self::next_piece) leave.
    pub(super) fn on_sent(&mut self, len: u32) {
        if self.lost.take_lowest(u64::from(len).max(1)).is_none() {
            self.sent += len.max(u32::from(self.data.is_empty()));
        }
    }

    /// Returns whether the whole message is acknowledged now.
    pub(super) fn on_acked(&mut self, offset: u32, len: u32) -> bool {
        let positions = self.positions(offset, len);
        if positions.end - positions.start == self.extent() {
            return true;
        }
        if !self.lost.is_empty() {
            self.lost.remove(positions.clone());
        }
        self.acked_len += self.acked.insert(positions);
        self.acked_len == self.extent() || self.is_recoverable()
    }

    /// Puts what of these bytes is not acknowledged back in line.
    pub(super) fn on_lost(&mut self, offset: u32, len: u32) {
        for gap in self.acked.missing(self.positions(offset, len)) {
            self.lost.insert(gap);
        }
    }

    /// Drops the bytes; only the SKIP remains. The length stays for it.
    pub(super) fn skip(&mut self) -> u32 {
        self.is_skipped = true;
        self.repair = None;
        let total = self.total();
        self.lost = RangeSet::new();
        self.acked = RangeSet::new();
        self.sent = total.max(1);
        total
    }
}
