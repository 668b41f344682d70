//! The counters of a run in time: bounded, coarser as the run gets longer.

use crate::stats::LinkStats;
use crate::units::Nanos;
use crate::verdict::DropReason;

/// More samples than this are thinned out: every second one goes.
pub const SAMPLES_MAX: usize = 2048;

/// The counters of both directions (up, down) at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Since the start.
    pub at: Nanos,
    /// Up, down.
    pub stats: [LinkStats; 2],
}

/// What happened between two samples in one direction, a second.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// Packets that came in.
    pub received: f64,
    /// Packets that came out.
    pub delivered: f64,
    /// Packets that were dropped.
    pub dropped: f64,
    /// Bits that came out.
    pub bits: f64,
}

/// Samples in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    samples: Vec<Sample>,
    every: Nanos,
}

impl History {
    /// Keeps one sample in `every` at most.
    ///
    /// ```
    /// use netem::live::History;
    /// use netem::{LinkStats, Nanos};
    /// let mut history = History::new(Nanos::from_millis(500));
    /// for milli in [0, 200, 500] {
    ///     history.add(Nanos::from_millis(milli), [LinkStats::default(); 2]);
    /// }
    /// assert_eq!(history.samples().len(), 2);
    /// ```
    pub const fn new(every: Nanos) -> Self {
        Self { samples: Vec::new(), every }
    }

    /// Whether the next sample is due.
    pub fn is_due(&self, now: Nanos) -> bool {
        self.samples.last().is_none_or(|last| now >= last.at + self.every)
    }

    /// Adds a sample, if it is due.
    pub fn add(&mut self, at: Nanos, stats: [LinkStats; 2]) {
        if !self.is_due(at) {
            return;
        }
        self.samples.push(Sample { at, stats });
        if self.samples.len() > SAMPLES_MAX {
            let mut place = 0;
            self.samples.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            self.every = self.every + self.every;
        }
    }

    /// All samples.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The rates of a direction (0 up, 1 down) between each two samples.
    pub fn rates(&self, side: usize) -> impl DoubleEndedIterator<Item = Rates> + '_ {
        self.samples.windows(2).map(move |pair| {
            let seconds = (pair[1].at - pair[0].at).as_secs_f64();
            let (before, now) = (&pair[0].stats[side], &pair[1].stats[side]);
            let rate = |count: fn(&LinkStats) -> u64| {
                count(now).saturating_sub(count(before)) as f64 / seconds
            };
            Rates {
                received: rate(|stats| stats.received),
                delivered: rate(|stats| stats.delivered),
                dropped: rate(LinkStats::dropped_total),
                bits: rate(|stats| stats.delivered_bytes) * 8.0,
            }
        })
    }
}

/// Why packets of one direction were dropped, those reasons that occurred.
pub fn reasons(stats: &LinkStats) -> impl Iterator<Item = (DropReason, u64)> + '_ {
    stats.dropped_by_reason().filter(|&(_, count)| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_is_kept_in_coarser_steps() {
        let mut history = History::new(Nanos::from_millis(1));
        let mut stats = LinkStats::default();
        for milli in 0..100_000 {
            stats.received = 3 * milli;
            history.add(Nanos::from_millis(milli), [stats, LinkStats::default()]);
        }
        assert!((SAMPLES_MAX / 2..=SAMPLES_MAX).contains(&history.samples().len()));
        assert_eq!(history.samples()[0].at, Nanos::ZERO);
        for rates in history.rates(0) {
            assert!((rates.received - 3000.0).abs() < 1e-6, "{rates:?}");
        }
        assert!(history.rates(1).all(|rates| rates == Rates::default()));
    }
}
