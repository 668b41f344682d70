//! The round-trip time estimator of RFC 9002 §5 and the probe timeout built on it (§6.2.1).

use super::time::{Micros, Time};

/// The round trip assumed before the first sample (RFC 9002 §6.2.2).
pub(crate) const RTT_INITIAL: Micros = Micros::from_ms(333);

/// The finest time the timers are trusted with (RFC 9002 §6.1.2).
pub(crate) const GRANULARITY: Micros = Micros::from_ms(1);

/// What is known about the round trip of a path.
#[derive(Clone, Debug)]
pub(crate) struct Rtt {
    latest: Micros,
    smoothed: Micros,
    variation: Micros,
    min: Micros,
    first_sample_at: Option<Time>,
}

impl Default for Rtt {
    /// RFC 9002 §5.3: before any sample, `smoothed = initial`, `variation = initial / 2`.
    fn default() -> Self {
        Self {
            latest: RTT_INITIAL,
            smoothed: RTT_INITIAL,
            variation: RTT_INITIAL / 2,
            min: RTT_INITIAL,
            first_sample_at: None,
        }
    }
}

impl Rtt {
    /// Takes one sample; `ack_delay` is what the peer says it held the acknowledgement back.
    pub(crate) fn sample(&mut self, now: Time, latest: Micros, ack_delay: Micros) {
        let latest = latest.max(Micros(1));
        self.latest = latest;
        // RFC 9002 §5.2 and §5.3: the first sample sets all.
        if self.first_sample_at.is_none() {
            self.first_sample_at = Some(now);
            self.min = latest;
            self.smoothed = latest;
            self.variation = latest / 2;
            return;
        }
        // RFC 9002 §5.2: the minimum ignores the delay the peer reports.
        self.min = self.min.min(latest);
        // RFC 9002 §5.3: the delay is taken off unless that goes below the minimum.
        let adjusted = if latest >= self.min + ack_delay { latest - ack_delay } else { latest };
        self.variation = Micros((3 * self.variation.0 + self.smoothed.abs_diff(adjusted).0) / 4);
        self.smoothed = Micros((7 * self.smoothed.0 + adjusted.0) / 8);
    }

    /// The latest sample.
    pub(crate) fn latest(&self) -> Micros {
        self.latest
    }

    /// The smoothed round trip, `srtt`.
    pub(crate) fn smoothed(&self) -> Micros {
        self.smoothed
    }

    /// The mean deviation, `rttvar`.
    pub(crate) fn variation(&self) -> Micros {
        self.variation
    }

    /// The least sample of the path.
    pub(crate) fn min(&self) -> Micros {
        self.min
    }

    /// When the first sample was taken.
    pub(crate) fn first_sample_at(&self) -> Option<Time> {
        self.first_sample_at
    }

    /// How long to wait for an acknowledgement before probing (RFC 9002 §6.2.1).
    pub(crate) fn pto(&self, ack_delay_max: Micros) -> Micros {
        self.smoothed + (self.variation * 4).max(GRANULARITY) + ack_delay_max
    }

    /// The greater of the latest and the smoothed, for the time threshold of loss.
    pub(crate) fn conservative(&self) -> Micros {
        self.latest.max(self.smoothed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_sets_all_and_the_next_moves_by_an_eighth() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.pto(Micros::ZERO), Micros(333_000 + 4 * 166_500));
        rtt.sample(Time(0), Micros(80_000), Micros(5_000));
        assert_eq!((rtt.smoothed(), rtt.variation()), (Micros(80_000), Micros(40_000)));
        rtt.sample(Time(1), Micros(170_000), Micros(10_000));
        assert_eq!(rtt.smoothed(), Micros(90_000));
        assert_eq!(rtt.variation(), Micros(50_000));
        assert_eq!(rtt.min(), Micros(80_000));
    }

    #[test]
    fn an_ack_delay_never_pulls_a_sample_below_the_minimum() {
        let mut rtt = Rtt::default();
        rtt.sample(Time(0), Micros(80_000), Micros::ZERO);
        rtt.sample(Time(1), Micros(82_000), Micros(10_000));
        assert_eq!(rtt.smoothed(), Micros(80_250));
    }
}
