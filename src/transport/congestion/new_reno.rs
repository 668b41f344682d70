//! NewReno as RFC 9002 §7.3 describes it: the plain one, for teaching and comparison.

use super::{Acked, Controller, Phase, Window};
use crate::transport::time::Time;

#[derive(Debug)]
pub(crate) struct NewReno {
    state: Window,
    /// Bytes acknowledged towards the next datagram of growth.
    credit: u64,
    /// Before the last congestion event.
    before: Option<Window>,
}

impl NewReno {
    pub(crate) fn new(mtu: u64) -> Self {
        Self { state: Window::new(mtu), credit: 0, before: None }
    }
}

impl Controller for NewReno {
    fn on_acked(&mut self, acked: &Acked<'_>) {
        if acked.app_limited || acked.bytes == 0 {
            return;
        }
        if self.phase() == Phase::SlowStart {
            // RFC 9002 §7.3.1: as many bytes as were acknowledged.
            self.state.bytes += acked.bytes;
        } else {
            // RFC 9002 §7.3.3: at most one datagram a window of acknowledged bytes.
            self.credit += acked.bytes;
            while self.credit >= self.state.bytes {
                self.credit -= self.state.bytes;
                self.state.bytes += self.state.mtu;
            }
        }
    }

    fn on_congestion(&mut self, now: Time, sent_at: Time, is_persistent: bool) {
        if self.state.is_new_event(sent_at) {
            self.before = Some(self.state.clone());
            // RFC 9002 §7.3.2 and B.2: kLossReductionFactor is a half.
            self.state.reduce(now, self.state.bytes / 2);
            self.credit = 0;
        }
        if is_persistent {
            self.state.collapse();
            self.before = None;
        }
    }

    fn on_spurious(&mut self) {
        if let Some(before) = self.before.take() {
            self.state.restore(&before);
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

    fn ack(controller: &mut NewReno, bytes: u64) {
        let rtt = Rtt::default();
        controller.on_acked(&Acked {
            now: Time(0),
            bytes,
            largest_acked: 0,
            next_number: 1,
            rtt: &rtt,
            app_limited: false,
            in_flight: 0,
            round_trip: rtt.latest(),
        });
    }

    #[test]
    fn doubles_then_halves_then_adds_one_datagram_a_round() {
        let mut reno = NewReno::new(1000);
        assert_eq!(reno.window(), 10_000);
        ack(&mut reno, 10_000);
        assert_eq!((reno.window(), reno.phase()), (20_000, Phase::SlowStart));
        reno.on_congestion(Time(10), Time(5), false);
        reno.on_congestion(Time(11), Time(9), false);
        assert_eq!((reno.window(), reno.phase()), (10_000, Phase::Avoidance));
        ack(&mut reno, 9_999);
        assert_eq!(reno.window(), 10_000);
        ack(&mut reno, 1);
        assert_eq!(reno.window(), 11_000);
        reno.on_spurious();
        assert_eq!((reno.window(), reno.ssthresh()), (20_000, None));
        reno.on_congestion(Time(20), Time(19), true);
        assert_eq!(reno.window(), 2_000);
    }

    #[test]
    fn one_reduction_a_round_never_below_two_datagrams_and_no_growth_without_use() {
        let mut reno = NewReno::new(1000);
        for round in 1..=10 {
            reno.on_congestion(Time(round * 10), Time(round * 10 - 1), false);
            let window = reno.window();
            // RFC 9002 §7.3.2: what was sent before belongs to the same event.
            reno.on_congestion(Time(round * 10 + 5), Time(round * 10), false);
            assert_eq!(reno.window(), window, "round {round}");
        }
        assert_eq!(reno.window(), 2_000);
        let rtt = Rtt::default();
        let (now, largest_acked, next_number) = (Time(200), 1, 2);
        reno.on_acked(&Acked {
            now,
            bytes: 100_000,
            largest_acked,
            next_number,
            rtt: &rtt,
            app_limited: true,
            in_flight: 0,
            round_trip: rtt.latest(),
        });
        assert_eq!(reno.window(), 2_000);
    }

    #[test]
    fn after_persistent_congestion_slow_start_leads_back_to_the_threshold() {
        let mut reno = NewReno::new(1000);
        ack(&mut reno, 30_000);
        reno.on_congestion(Time(10), Time(5), true);
        assert_eq!((reno.window(), reno.phase()), (2_000, Phase::SlowStart));
        assert_eq!((reno.ssthresh(), reno.recovery_start()), (Some(20_000), None));
        ack(&mut reno, 18_000);
        assert_eq!((reno.window(), reno.phase()), (20_000, Phase::Avoidance));
        // RFC 9002 §7.6.2 undoes nothing when the packets come after all.
        reno.on_spurious();
        assert_eq!(reno.window(), 20_000);
    }
}
