//! Whether the path is full: the delivery rate no longer grows though more is sent
//! (draft-ietf-ccwg-bbr-06 §5.3.1.2).

use crate::transport::congestion::delivery::{Bandwidth, Sample};

/// A round whose rate is not this many percent of the best one did not grow.
const GROWTH_PERCENT: u64 = 125;
/// After so many rounds without growth the path is full.
const ROUNDS: u8 = 3;

#[derive(Debug, Default)]
pub(super) struct FullPipe {
    best: Bandwidth,
    rounds: u8,
    /// Since the search last began.
    pub(super) is_full: bool,
    /// Ever.
    pub(super) was_full: bool,
}

impl FullPipe {
    /// Looks anew for growth beyond this rate.
    pub(super) fn restart(&mut self, best: Bandwidth) {
        *self = Self { best, was_full: self.was_full, ..Self::default() };
    }

    /// The first sample of a round.
    pub(super) fn on_round(&mut self, sample: &Sample) {
        if self.is_full || sample.is_app_limited {
            return;
        }
        if sample.rate >= self.best.percent(GROWTH_PERCENT) {
            self.restart(sample.rate);
            return;
        }
        self.rounds += 1;
        self.is_full = self.rounds >= ROUNDS;
        self.was_full |= self.is_full;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(rate: u64, is_app_limited: bool) -> Sample {
        Sample { rate: Bandwidth(rate), is_app_limited, ..Sample::default() }
    }

    #[test]
    fn three_rounds_that_grow_by_less_than_a_quarter_are_enough() {
        let mut pipe = FullPipe::default();
        for rate in [100, 200, 400, 500, 600, 620] {
            pipe.on_round(&sample(rate, false));
            assert!(!pipe.is_full, "{rate}");
        }
        pipe.on_round(&sample(624, false));
        assert!(pipe.is_full && pipe.was_full);
        pipe.restart(Bandwidth(600));
        assert!(!pipe.is_full && pipe.was_full);
    }

    #[test]
    fn rounds_in_which_the_application_had_nothing_to_send_say_nothing() {
        let mut pipe = FullPipe::default();
        (0..10).for_each(|_| pipe.on_round(&sample(100, true)));
        assert!(!pipe.is_full);
    }
}
