//! The counters of one direction. They balance: `received + duplicated = delivered + dropped +
//! queued`, always.

use crate::units::Nanos;
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
    /// How long packets take, as was known when they went on their way: queue, rate, delay, and
    /// waiting for their place; being held back by `reorder` comes on top.
    pub delays: DelayHistogram,
    dropped: [u64; DropReason::ALL.len()],
}

/// Times counted in classes, each twice as wide as the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DelayHistogram {
    counts: [u64; Self::CLASSES],
    sum_ns: u64,
}

impl DelayHistogram {
    /// How many classes there are: up to 1 us, 2 us, 4 us… 8.4 s, and all above.
    pub const CLASSES: usize = 25;

    #[inline]
    pub(crate) fn count(&mut self, delay: Nanos) {
        let delay_ns = delay.as_nanos();
        let micros = delay_ns.div_ceil(1000).max(1);
        let class = (u64::BITS - (micros - 1).leading_zeros()) as usize;
        self.counts[class.min(Self::CLASSES - 1)] += 1;
        self.sum_ns = self.sum_ns.saturating_add(delay_ns);
    }

    /// The upper end of each class (`None`: no end) and how many are in it.
    ///
    /// ```
    /// let classes = netem::LinkStats::default();
    /// let ends: Vec<_> = classes.delays.classes().map(|(end, _)| end).collect();
    /// assert_eq!(ends[2].unwrap().to_string(), "4us");
    /// assert_eq!(ends[24], None);
    /// ```
    pub fn classes(&self) -> impl Iterator<Item = (Option<Nanos>, u64)> + '_ {
        let end = |class| (class < Self::CLASSES - 1).then(|| Nanos::from_micros(1u64 << class));
        self.counts.iter().enumerate().map(move |(class, &count)| (end(class), count))
    }

    /// All times together.
    pub const fn sum(&self) -> Nanos {
        Nanos::from_nanos(self.sum_ns)
    }

    /// How many times were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The end of the class in which the share `per_mille` of all times ends; `None` without any,
    /// or above the last end.
    pub fn quantile(&self, per_mille: u64) -> Option<Nanos> {
        let wanted = (self.total() * per_mille).div_ceil(1000);
        let mut seen = 0;
        let reaches = |&(_, count): &(Option<Nanos>, u64)| {
            seen += count;
            seen >= wanted && wanted > 0
        };
        self.classes().find(reaches).and_then(|(end, _)| end)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_where_they_belong() {
        let mut delays = DelayHistogram::default();
        assert_eq!(delays.quantile(500), None);
        for micros in [0, 1, 2, 3, 4, 5, 20_000, 1 << 40] {
            delays.count(Nanos::from_micros(micros));
        }
        let counts: Vec<u64> = delays.classes().map(|(_, count)| count).collect();
        assert_eq!((counts[0], counts[1], counts[2], counts[3]), (2, 1, 2, 1));
        assert_eq!((counts[15], counts[24]), (1, 1));
        assert_eq!(delays.quantile(500), Some(Nanos::from_micros(4)));
        assert_eq!(delays.quantile(1000), None);
        assert_eq!(delays.total(), 8);
    }
}
