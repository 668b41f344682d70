//! HyStart++ (RFC 9406): leaves slow start when the round trip grows, before packets are lost.

use crate::transport::time::Micros;

// RFC 9406 §4.3.
const RTT_THRESH_MIN: Micros = Micros::from_ms(4);
const RTT_THRESH_MAX: Micros = Micros::from_ms(16);
const RTT_SAMPLES: u32 = 8;
const CSS_GROWTH_DIVISOR: u64 = 4;
const CSS_ROUNDS: u32 = 5;

/// The state of one slow start.
#[derive(Clone, Debug)]
pub(super) struct HyStart {
    /// The round ends when a packet with this number or a later one is acknowledged.
    round_end: u64,
    current_min: Option<Micros>,
    last_min: Option<Micros>,
    samples: u32,
    /// In conservative slow start: the round trip it began with, and its rounds so far.
    css: Option<(Micros, u32)>,
}

/// How slow start goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// Grow by this many bytes.
    By(u64),
    /// Slow start is over.
    Over,
}

impl HyStart {
    pub(super) fn new() -> Self {
        Self { round_end: 0, current_min: None, last_min: None, samples: 0, css: None }
    }

    /// One acknowledgement of `bytes` during slow start (RFC 9406 §4.2).
    pub(super) fn on_acked(
        &mut self,
        bytes: u64,
        largest_acked: u64,
        next_number: u64,
        latest: Micros,
    ) -> Growth {
        if largest_acked >= self.round_end {
            if let Some((_, rounds)) = &mut self.css {
                *rounds += 1;
                if *rounds >= CSS_ROUNDS {
                    return Growth::Over;
                }
            }
            self.last_min = self.current_min.take().or(self.last_min);
            self.samples = 0;
            self.round_end = next_number;
        }
        self.samples += 1;
        let current = self.current_min.map_or(latest, |min| min.min(latest));
        self.current_min = Some(current);
        if self.samples >= RTT_SAMPLES {
            self.look(current);
        }
        Growth::By(if self.css.is_some() { bytes / CSS_GROWTH_DIVISOR } else { bytes })
    }

    fn look(&mut self, current: Micros) {
        match self.css {
            None => {
                let Some(last) = self.last_min else { return };
                let threshold = (last / 8).clamp(RTT_THRESH_MIN, RTT_THRESH_MAX);
                if current >= last + threshold {
                    self.css = Some((current, 0));
                }
            }
            // The growth was noise: back to plain slow start.
            Some((baseline, _)) if current < baseline => self.css = None,
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten acknowledgements a round, all with this round trip.
    fn round(hystart: &mut HyStart, number: &mut u64, rtt_ms: u64) -> Vec<Growth> {
        (0..10)
            .map(|_| {
                *number += 1;
                hystart.on_acked(1000, *number, *number + 10, Micros::from_ms(rtt_ms))
            })
            .collect()
    }

    #[test]
    fn a_growing_round_trip_ends_slow_start_after_five_careful_rounds() {
        let mut hystart = HyStart::new();
        let mut number = 0;
        for _ in 0..3 {
            let growth = round(&mut hystart, &mut number, 50);
            assert!(growth.iter().all(|growth| *growth == Growth::By(1000)));
        }
        let mut rounds = 0;
        while !round(&mut hystart, &mut number, 60).contains(&Growth::Over) {
            rounds += 1;
            assert!(rounds < 10);
        }
        assert!((5..=7).contains(&rounds), "{rounds}");
    }

    #[test]
    fn a_round_trip_that_falls_back_resumes_slow_start() {
        let mut hystart = HyStart::new();
        let mut number = 0;
        for rtt_ms in [50, 50, 60, 60, 50] {
            round(&mut hystart, &mut number, rtt_ms);
        }
        assert!(hystart.css.is_none());
    }
}
