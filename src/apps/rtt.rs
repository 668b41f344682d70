//! Round-trip times of numbered probes: min, mean, max, deviation, jitter, loss.
//!
//! An echo counts once, for the probe whose number it carries; a second one is a duplicate, one
//! that overtook another is out of order. Says nothing about when to send.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What an echo turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// The first echo of its probe, after this time.
    Answer(Duration),
    /// Another echo of a probe that was answered.
    Duplicate,
    /// No such probe is waiting: never sent, or given up.
    Unknown,
}

/// The numbers of a run. Times are zero when nothing was answered.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RttSummary {
    /// Probes sent.
    pub sent: u64,
    /// Probes answered.
    pub received: u64,
    /// Further echoes of an answered probe.
    pub duplicates: u64,
    /// Answers to a probe older than one already answered.
    pub out_of_order: u64,
    /// Share of the probes sent that nobody answered, 0 to 1. Those under way count as lost.
    pub loss: f64,
    /// The shortest time.
    pub min: Duration,
    /// The mean.
    pub avg: Duration,
    /// The longest time.
    pub max: Duration,
    /// The standard deviation, as `ping` prints it.
    pub deviation: Duration,
    /// Mean difference of neighbouring times (RFC 3550's idea, without its smoothing).
    pub jitter: Duration,
}

/// Collects the round trips of one run.
///
/// ```
/// # use std::time::Duration;
/// # use udpcore::apps::rtt::{Echo, RttStats};
/// let ms = Duration::from_millis;
/// let mut rtt = RttStats::default();
/// rtt.sent(0, ms(0));
/// assert_eq!(rtt.echoed(0, ms(30)), Echo::Answer(ms(30)));
/// assert_eq!(rtt.summary().avg, ms(30));
/// ```
#[derive(Debug, Default)]
pub struct RttStats {
    waiting: BTreeMap<u32, Duration>,
    answered: BTreeSet<u32>,
    highest: Option<u32>,
    sent: u64,
    received: u64,
    duplicates: u64,
    out_of_order: u64,
    min_ns: u64,
    max_ns: u64,
    sum_ns: u128,
    sum_squares: u128,
    last_ns: Option<u64>,
    differences_ns: u128,
    times: Vec<u32>,
}

impl RttStats {
    /// Note that probe `number` left at `now`.
    pub fn sent(&mut self, number: u32, now: Duration) {
        self.sent += 1;
        self.waiting.insert(number, now);
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_first();
        }
    }

    /// Note that an echo of probe `number` came at `now`.
    pub fn echoed(&mut self, number: u32, now: Duration) -> Echo {
        let Some(sent) = self.waiting.remove(&number) else {
            if self.answered.contains(&number) {
                self.duplicates += 1;
                return Echo::Duplicate;
            }
            return Echo::Unknown;
        };
        self.answered.insert(number);
        if self.answered.len() > WAITING_MAX {
            self.answered.pop_first();
        }
        if self.highest.is_some_and(|highest| number < highest) {
            self.out_of_order += 1;
        }
        self.highest = self.highest.max(Some(number));
        let rtt = now.saturating_sub(sent);
        self.add(u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX));
        Echo::Answer(rtt)
    }

    /// The numbers so far.
    pub fn summary(&self) -> RttSummary {
        let count = u128::from(self.received.max(1));
        let mean = self.sum_ns / count;
        let variance = (self.sum_squares / count).saturating_sub(mean * mean);
        let pairs = u128::from(self.received.saturating_sub(1).max(1));
        let nanos = |value: u128| Duration::from_nanos(u64::try_from(value).unwrap_or(u64::MAX));
        let lost = self.sent.saturating_sub(self.received);
        RttSummary {
            sent: self.sent,
            received: self.received,
            duplicates: self.duplicates,
            out_of_order: self.out_of_order,
            loss: lost as f64 / self.sent.max(1) as f64,
            min: Duration::from_nanos(self.min_ns),
            avg: nanos(mean),
            max: Duration::from_nanos(self.max_ns),
            deviation: nanos(variance.isqrt()),
            jitter: nanos(self.differences_ns / pairs),
        }
    }

    /// The time that `percent` of the answers did not exceed (nearest rank), in 0 to 100.
    pub fn percentile(&self, percent: u8) -> Duration {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * usize::from(percent.min(100))).div_ceil(100).max(1) - 1;
        Duration::from_micros(u64::from(sorted.get(rank).copied().unwrap_or_default()))
    }

    /// How many answers fell into each of `buckets` equal spans from the shortest to the longest.
    pub fn histogram(&self, buckets: usize) -> Vec<u64> {
        let mut counts = vec![0; buckets.clamp(1, BUCKETS_MAX)];
        let low = u64::from(self.times.iter().min().copied().unwrap_or_default());
        let high = u64::from(self.times.iter().max().copied().unwrap_or_default());
        let last = counts.len() - 1;
        for time in &self.times {
            let share = (u64::from(*time) - low) * counts.len() as u64 / (high - low).max(1);
            counts[(share as usize).min(last)] += 1;
        }
        counts
    }

    fn add(&mut self, nanos: u64) {
        self.min_ns = if self.received == 0 { nanos } else { self.min_ns.min(nanos) };
        self.max_ns = self.max_ns.max(nanos);
        self.received += 1;
        let wide = u128::from(nanos);
        self.sum_ns = self.sum_ns.saturating_add(wide);
        self.sum_squares = self.sum_squares.saturating_add(wide * wide);
        if let Some(last) = self.last_ns.replace(nanos) {
            self.differences_ns += u128::from(nanos.abs_diff(last));
        }
        if self.times.len() < TIMES_MAX {
            self.times.push(u32::try_from(nanos / 1000).unwrap_or(u32::MAX));
        }
    }
}

/// Probes that wait for an answer, and answered ones whose duplicates are recognised.
pub const WAITING_MAX: usize = 65_536;
/// Times that percentiles and histogram are made of; later ones still count in the mean.
const TIMES_MAX: usize = 1_000_000;
const BUCKETS_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_run_with_everything_in_it() {
        let mut rtt = RttStats::default();
        for n in 0..5 {
            rtt.sent(n, ms(u64::from(n) * 100));
        }
        assert_eq!(rtt.echoed(0, ms(10)), Echo::Answer(ms(10)));
        assert_eq!(rtt.echoed(2, ms(240)), Echo::Answer(ms(40)));
        assert_eq!(rtt.echoed(1, ms(250)), Echo::Answer(ms(150)));
        assert_eq!(rtt.echoed(1, ms(251)), Echo::Duplicate);
        assert_eq!(rtt.echoed(9, ms(251)), Echo::Unknown);
        let summary = rtt.summary();
        assert_eq!((summary.sent, summary.received, summary.duplicates), (5, 3, 1));
        assert_eq!((summary.out_of_order, summary.loss), (1, 0.4));
        assert_eq!((summary.min, summary.max), (ms(10), ms(150)));
        assert_eq!(summary.avg, Duration::from_nanos(66_666_666));
        assert_eq!(summary.jitter, ms(70));
        // sqrt(((10-66.7)^2 + (40-66.7)^2 + (150-66.7)^2) / 3) = 60.2
        assert_eq!(summary.deviation.as_millis(), 60);
        assert_eq!((rtt.percentile(50), rtt.percentile(100)), (ms(40), ms(150)));
        assert_eq!(rtt.histogram(2), [2, 1]);
    }

    #[test]
    fn nothing_answered_is_all_lost() {
        let mut rtt = RttStats::default();
        assert_eq!(rtt.summary().loss, 0.0);
        rtt.sent(0, ms(0));
        assert_eq!(rtt.summary().loss, 1.0);
        assert_eq!((rtt.summary().avg, rtt.percentile(99)), (ms(0), ms(0)));
        assert_eq!(rtt.histogram(3), [0, 0, 0]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut rtt = RttStats::default();
        for n in 0..WAITING_MAX as u32 + 10 {
            rtt.sent(n, ms(0));
        }
        assert_eq!(rtt.echoed(0, ms(1)), Echo::Unknown);
        assert_eq!(rtt.waiting.len(), WAITING_MAX);
    }
}
