//! How much more than expected acknowledgements name at once, so that the window can bridge the
//! silence between them (draft-ietf-ccwg-bbr-06 §5.5.9).

use super::filter::RecentMax;
use crate::transport::congestion::delivery::Bandwidth;
use crate::transport::time::Time;

/// Half of BBR.ExtraAckedFilterLen (§2.12): the filter has two such stretches.
const STRETCH_ROUNDS: u64 = 5;

#[derive(Debug, Default)]
pub(super) struct Aggregation {
    start: Time,
    delivered: u64,
    filter: RecentMax<u64>,
    rounds: u64,
}

impl Aggregation {
    /// Bytes.
    pub(super) fn extra(&self) -> u64 {
        self.filter.get()
    }

    /// Nothing was under way: the count begins now.
    pub(super) fn restart(&mut self, now: Time) {
        self.start = now;
    }

    /// A round trip is over; in Startup only the last two are remembered.
    pub(super) fn on_round(&mut self, was_full: bool) {
        self.rounds += 1;
        if self.rounds >= if was_full { STRETCH_ROUNDS } else { 1 } {
            self.rounds = 0;
            self.filter.advance();
        }
    }

    pub(super) fn on_acked(&mut self, now: Time, bytes: u64, bandwidth: Bandwidth, window: u64) {
        let mut expected = bandwidth.bytes_in(now.since(self.start));
        if self.delivered <= expected {
            (self.delivered, self.start, expected) = (0, now, 0);
        }
        self.delivered += bytes;
        self.filter.update(self.delivered.saturating_sub(expected).min(window));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bunch_of_acknowledgements_counts_for_what_it_brings_beyond_the_rate() {
        let mut aggregation = Aggregation::default();
        let rate = Bandwidth(1_000_000);
        for ms in 1..=100 {
            aggregation.on_acked(Time(ms * 1000), 1000, rate, 100_000);
        }
        assert_eq!(aggregation.extra(), 1000, "one packet a millisecond is what was expected");
        // Ten packets at once after ten milliseconds of silence.
        aggregation.on_acked(Time(110_000), 10_000, rate, 100_000);
        assert_eq!(aggregation.extra(), 10_000);
        (0..2 * STRETCH_ROUNDS).for_each(|round| {
            aggregation.on_round(true);
            aggregation.on_acked(Time(200_000 + round * 1000), 500, rate, 100_000);
        });
        assert!(aggregation.extra() < 10_000, "forgotten after ten rounds");
    }
}
