//! CUBIC (RFC 9438) with HyStart++ (RFC 9406) in the first slow start. The default.
//!
//! Windows are in bytes and times in seconds as floating point inside the cubic function; every
//! other quantity is whole.

use super::hystart::{Growth, HyStart};
use super::{Acked, Controller, Phase, Window};
use crate::transport::time::{Micros, Time};

/// RFC 9438 §4.6: the multiplicative decrease.
const BETA: f64 = 0.7;
/// RFC 9438 §5: how aggressively the window grows, in segments a second cubed.
const C: f64 = 0.4;
/// RFC 9438 §4.3: the additive increase that is as aggressive as Reno's.
const ALPHA: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);

/// The state of one stay in congestion avoidance.
#[derive(Clone, Debug)]
struct Epoch {
    start: Time,
    /// Seconds until the window is back at `w_max` (RFC 9438 §4.2).
    k: f64,
    w_max: f64,
    /// What Reno would have (RFC 9438 §4.3).
    w_est: f64,
    last_acked_at: Time,
}

#[derive(Debug)]
pub(crate) struct Cubic {
    state: Window,
    /// The window before the last reduction, in bytes (after fast convergence).
    w_max: f64,
    /// The window just before the last reduction, in bytes.
    w_prior: f64,
    epoch: Option<Epoch>,
    hystart: HyStart,
    before: Option<Before>,
    /// Fractions of bytes not yet in `window`.
    carry: f64,
}

/// What to go back to if a congestion event was spurious (RFC 9438 §4.9.2).
#[derive(Debug)]
struct Before {
    state: Window,
    w_max: f64,
    w_prior: f64,
    epoch: Option<Epoch>,
}

impl Cubic {
    pub(crate) fn new(mtu: u64) -> Self {
        Self {
            state: Window::new(mtu),
            w_max: 0.0,
            w_prior: 0.0,
            epoch: None,
            hystart: HyStart::new(),
            before: None,
            carry: 0.0,
        }
    }

    fn slow_start(&mut self, acked: &Acked<'_>) {
        let growth = if self.state.ssthresh.is_none() {
            let latest = acked.rtt.latest();
            self.hystart.on_acked(acked.bytes, acked.largest_acked, acked.next_number, latest)
        } else {
            // RFC 9406 §4.2: only the first slow start looks at the round trip.
            Growth::By(acked.bytes)
        };
        match growth {
            Growth::By(bytes) => self.state.bytes += bytes,
            Growth::Over => self.state.ssthresh = Some(self.state.bytes),
        }
    }

    fn avoid(&mut self, acked: &Acked<'_>) {
        let segment = self.state.mtu as f64;
        let window = self.state.bytes as f64;
        let (w_max, w_prior) = (self.w_max, self.w_prior);
        let epoch = self.epoch.get_or_insert_with(|| {
            // RFC 9438 §4.2: without a reduction behind us, the plateau is here.
            let w_max = w_max.max(window);
            let k = ((w_max - window) / segment / C).cbrt();
            Epoch { start: acked.now, k, w_max, w_est: window, last_acked_at: acked.now }
        });
        epoch.last_acked_at = acked.now;
        let t = acked.now.since(epoch.start).as_secs_f64();
        let w_cubic = |t: f64| C * (t - epoch.k).powi(3) * segment + epoch.w_max;
        // RFC 9438 §4.3: from the prior maximum on, Reno's estimate grows as Reno does.
        let alpha = if epoch.w_est >= w_prior { 1.0 } else { ALPHA };
        epoch.w_est += alpha * segment * acked.bytes as f64 / window;
        let grown = if w_cubic(t) < epoch.w_est {
            epoch.w_est.max(window)
        } else {
            // RFC 9438 §4.2 and §4.4: towards where the curve is one round trip from now, at
            // most half again the window.
            let ahead = t + acked.rtt.smoothed().as_secs_f64();
            let target = w_cubic(ahead).clamp(window, 1.5 * window);
            window + (target - window) * acked.bytes as f64 / window
        };
        let sum = grown + self.carry;
        self.state.bytes = sum as u64;
        self.carry = sum - sum.floor();
    }
}

impl Controller for Cubic {
    fn on_acked(&mut self, acked: &Acked<'_>) {
        if acked.bytes == 0 {
            return;
        }
        if acked.app_limited {
            // RFC 9438 §4.2: time without enough to send does not count.
            if let Some(epoch) = &mut self.epoch {
                let idle: Micros = acked.now.since(epoch.last_acked_at);
                epoch.start += idle;
                epoch.last_acked_at = acked.now;
            }
            return;
        }
        if self.phase() == Phase::SlowStart { self.slow_start(acked) } else { self.avoid(acked) }
    }

    fn on_congestion(&mut self, now: Time, sent_at: Time, is_persistent: bool) {
        if self.state.is_new_event(sent_at) {
            self.before = Some(Before {
                state: self.state.clone(),
                w_max: self.w_max,
                w_prior: self.w_prior,
                epoch: self.epoch.take(),
            });
            let window = self.state.bytes as f64;
            // RFC 9438 §4.7: fast convergence leaves room for newcomers.
            self.w_max = if window < self.w_max { window * (1.0 + BETA) / 2.0 } else { window };
            self.w_prior = window;
            // RFC 9438 §4.6.
            self.state.reduce(now, (window * BETA) as u64);
            self.carry = 0.0;
        }
        if is_persistent {
            // RFC 9438 §4.8: start again from the bottom.
            self.w_max = self.state.bytes as f64;
            self.state.collapse();
            self.epoch = None;
            self.before = None;
        }
    }

    fn on_spurious(&mut self) {
        if let Some(before) = self.before.take() {
            self.state.restore(&before.state);
            self.w_max = before.w_max;
            self.w_prior = before.w_prior;
            self.epoch = before.epoch;
        }
    }

    fn state(&self) -> &Window {
        &self.state
    }

    fn state_mut(&mut self) -> &mut Window {
        &mut self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::rtt::Rtt;

    fn rtt(ms: u64) -> Rtt {
        let mut rtt = Rtt::default();
        rtt.sample(Time(0), Micros::from_ms(ms), Micros::ZERO);
        rtt
    }

    /// Acknowledges one window every round trip and returns the windows.
    fn rounds(cubic: &mut Cubic, start: Time, count: u64, rtt: &Rtt) -> Vec<u64> {
        (1..=count)
            .map(|round| {
                let now = start + rtt.smoothed() * round;
                let bytes = cubic.window();
                let (largest_acked, next_number) = (round, round + 1);
                cubic.on_acked(&Acked {
                    now,
                    bytes,
                    largest_acked,
                    next_number,
                    rtt,
                    app_limited: false,
                    in_flight: 0,
                    round_trip: rtt.latest(),
                });
                cubic.window()
            })
            .collect()
    }

    #[test]
    fn the_window_returns_to_its_maximum_after_k_seconds() {
        let mut cubic = Cubic::new(1000);
        cubic.state.bytes = 400_000;
        cubic.on_congestion(Time(1_000_000), Time(1), false);
        assert_eq!(cubic.window(), 280_000);
        // RFC 9438 §4.2: K = cbrt((400 - 280) / 0.4) = 6.69 s.
        let windows = rounds(&mut cubic, Time(1_000_000), 100, &rtt(100));
        assert!(windows.windows(2).all(|pair| pair[0] <= pair[1]));
        let at_k = windows[66] as f64;
        assert!((380_000.0..420_000.0).contains(&at_k), "{at_k}");
        assert!(windows[99] > 410_000, "convex beyond the plateau");
    }

    #[test]
    fn on_short_paths_it_is_as_fast_as_reno() {
        let mut cubic = Cubic::new(1000);
        cubic.state.bytes = 20_000;
        cubic.on_congestion(Time(1_000_000), Time(1), false);
        let windows = rounds(&mut cubic, Time(1_000_000), 20, &rtt(1));
        // Reno-friendly: about ALPHA segments a round up to the old maximum, one beyond it.
        let grown = windows[19] - 14_000;
        assert!((10_000..=20_000).contains(&grown), "{grown}");
    }

    #[test]
    fn a_spurious_event_is_undone_and_persistent_congestion_is_not() {
        let mut cubic = Cubic::new(1000);
        cubic.state.bytes = 100_000;
        cubic.on_congestion(Time(10), Time(1), false);
        cubic.on_spurious();
        assert_eq!((cubic.window(), cubic.ssthresh()), (100_000, None));
        cubic.on_congestion(Time(20), Time(15), true);
        cubic.on_spurious();
        assert_eq!(cubic.window(), 2_000);
    }
}
