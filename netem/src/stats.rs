//! The counters of one direction. They balance: `received + duplicated = delivered + dropped +
//! queued`, always.

use crate::verdict::{DropReason, Effects};

/// What one direction has done so far. Packets unless the name says bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStats {
    /// Came in.
    pub received: u64,
    /// Came in, bytes.
    pub received_bytes: u64,
    /// Copies made.
    pub duplicated: u64,
    /// Held back so that others overtake.
    pub reordered: u64,
    /// Let ahead of others.
    pub ahead: u64,
    /// Bits flipped.
    pub corrupted: u64,
    /// Cut off.
    pub truncated: u64,
    /// Marked "congestion experienced".
    pub ecn_marked: u64,
    /// Came out.
    pub delivered: u64,
    /// Came out, bytes.
    pub delivered_bytes: u64,
    /// On their way now.
    pub queued: u64,
    /// The most that were on their way at once.
    pub queued_max: u64,
    dropped: [u64; DropReason::ALL.len()],
}

impl LinkStats {
    /// Dropped for `reason`.
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Every reason with its count, zero included.
    pub fn dropped_by_reason(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().map(|reason| (reason, self.dropped(reason)))
    }

    /// Whether every packet is accounted for.
    ///
    /// ```
    /// assert!(netem::LinkStats::default().is_balanced());
    /// ```
    pub fn is_balanced(&self) -> bool {
        self.received + self.duplicated == self.delivered + self.dropped_total() + self.queued
    }

    #[inline]
    pub(crate) fn count_received(&mut self, size_bytes: u32) {
        self.received += 1;
        self.received_bytes += u64::from(size_bytes);
    }

    #[inline]
    pub(crate) fn count_drop(&mut self, reason: DropReason) {
        self.dropped[reason as usize] += 1;
    }

    #[inline]
    pub(crate) fn count_queued(&mut self) {
        self.queued += 1;
        self.queued_max = self.queued_max.max(self.queued);
    }

    #[inline]
    pub(crate) fn count_delivered(&mut self, size_bytes: u32) {
        self.queued -= 1;
        self.delivered += 1;
        self.delivered_bytes += u64::from(size_bytes);
    }

    /// What was on its way is dropped.
    #[inline]
    pub(crate) fn drop_queued(&mut self, reason: DropReason) {
        self.queued -= 1;
        self.count_drop(reason);
    }

    /// Counts what was done to a packet that goes on its way.
    #[inline]
    pub(crate) fn count_effects(&mut self, effects: Effects) {
        if effects.is_empty() {
            return;
        }
        let has = |effect| u64::from(effects.contains(effect));
        self.reordered += has(Effects::REORDER);
        self.ahead += has(Effects::AHEAD);
        self.corrupted += has(Effects::CORRUPT);
        self.truncated += has(Effects::TRUNCATE);
        self.ecn_marked += has(Effects::MARK);
        self.duplicated += has(Effects::DUPLICATE) + has(Effects::DUPLICATE_DROPPED);
    }

    /// Turns a delivery into a drop: the driver could not send what came out.
    #[inline]
    pub(crate) fn revoke_delivery(&mut self, size_bytes: u32, reason: DropReason) {
        self.delivered -= 1;
        self.delivered_bytes -= u64::from(size_bytes);
        self.count_drop(reason);
    }
}
