//! The least round trip of the last ten seconds, and when it must be measured anew
//! (draft-ietf-ccwg-bbr-06 §5.3.4.3).

use crate::transport::time::{Micros, Time};

/// §2.16.1: BBR.MinRTTFilterLen.
const FILTER: Micros = Micros::from_secs(10);
/// §2.16.2: BBR.ProbeRTTInterval.
const PROBE_INTERVAL: Micros = Micros::from_secs(5);

#[derive(Clone, Copy, Debug)]
struct Seen {
    rtt: Micros,
    at: Time,
}

#[derive(Debug, Default)]
pub(super) struct MinRtt {
    ten: Option<Seen>,
    five: Option<Seen>,
    /// The path was not seen empty for five seconds.
    pub(super) is_probe_due: bool,
}

impl MinRtt {
    pub(super) fn get(&self) -> Option<Micros> {
        self.ten.map(|seen| seen.rtt)
    }

    /// §5.3.4.3, UpdateMinRTT.
    pub(super) fn on_sample(&mut self, now: Time, rtt: Micros) {
        self.is_probe_due = self.five.is_some_and(|seen| now > seen.at + PROBE_INTERVAL);
        let five = match self.five {
            Some(seen) if rtt >= seen.rtt && !self.is_probe_due => seen,
            _ => Seen { rtt, at: now },
        };
        self.five = Some(five);
        let is_old = self.ten.is_some_and(|seen| now > seen.at + FILTER);
        if is_old || self.ten.is_none_or(|seen| five.rtt < seen.rtt) {
            self.ten = Some(five);
        }
    }

    /// The path was emptied and measured: the next time is due in five seconds.
    pub(super) fn on_probed(&mut self, now: Time) {
        if let Some(seen) = &mut self.five {
            seen.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_kept_for_ten_seconds_and_a_probe_is_due_after_five() {
        let mut min = MinRtt::default();
        let ms = Micros::from_ms;
        min.on_sample(Time(0), ms(20));
        for second in 1..=5 {
            min.on_sample(Time(second * 1_000_000), ms(30));
            assert!(!min.is_probe_due, "{second}");
        }
        min.on_sample(Time(5_000_001), ms(30));
        assert!(min.is_probe_due);
        assert_eq!(min.get(), Some(ms(20)));
        min.on_sample(Time(10_000_001), ms(30));
        assert_eq!(min.get(), Some(ms(30)), "the path has become longer");
        min.on_sample(Time(10_000_002), ms(10));
        assert_eq!(min.get(), Some(ms(10)));
    }

    #[test]
    fn a_path_that_is_often_nearly_empty_needs_no_probe() {
        let mut min = MinRtt::default();
        for tenth in 0..600 {
            let rtt = if tenth % 40 == 0 { 20_000 - tenth / 40 } else { 30_000 };
            min.on_sample(Time(tenth * 100_000), Micros(rtt));
            assert!(!min.is_probe_due, "{tenth}");
        }
    }
}
