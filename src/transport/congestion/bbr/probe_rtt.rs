//! ProbeRTT: every few seconds the flow steps back, so that its queue drains and the least round
//! trip can be seen (§5.3.4).

use super::probe_bw::Feedback;
use super::{Bbr, Mode};
use crate::transport::congestion::delivery::Sample;
use crate::transport::time::{Micros, Time};

/// §2.16.2: BBR.ProbeRTTDuration.
const DURATION: Micros = Micros::from_ms(200);

/// How far the present stay is.
#[derive(Debug, Default)]
pub(super) struct ProbeRtt {
    /// Set once little enough is in flight.
    done_at: Option<Time>,
    is_round_done: bool,
}

impl Bbr {
    /// §5.3.4.3, CheckProbeRTT.
    pub(super) fn check_probe_rtt(&mut self, now: Time, sample: &Sample) {
        let is_due = self.min_rtt.is_probe_due && !self.is_idle_restart;
        if self.mode != Mode::ProbeRtt && is_due {
            self.window_before = self.window.bytes;
            self.probe_rtt = ProbeRtt::default();
            self.cycle.feedback = Feedback::Stopping;
            self.start_round();
            self.mode = Mode::ProbeRtt;
        }
        if self.mode == Mode::ProbeRtt {
            self.handle_probe_rtt(now);
        }
        self.is_idle_restart &= sample.delivered == 0;
    }

    /// §5.3.4.3, HandleProbeRTT.
    fn handle_probe_rtt(&mut self, now: Time) {
        // What so few packets deliver says nothing of the bandwidth.
        self.delivery.on_app_limited(self.in_flight);
        if self.probe_rtt.done_at.is_some() {
            self.probe_rtt.is_round_done |= self.rounds.is_start;
            if self.probe_rtt.is_round_done {
                self.check_probe_rtt_done(now);
            }
        } else if self.in_flight <= self.probe_rtt_window() {
            self.probe_rtt.done_at = Some(now + DURATION);
            self.start_round();
        }
    }

    /// §5.3.4.3, CheckProbeRTTDone, and §5.3.4.4, ExitProbeRTT.
    pub(super) fn check_probe_rtt_done(&mut self, now: Time) {
        if self.probe_rtt.done_at.is_none_or(|at| now <= at) {
            return;
        }
        self.min_rtt.on_probed(now);
        self.window.bytes = self.window.bytes.max(self.window_before);
        self.bounds.reset_short();
        if self.full_pipe.was_full {
            self.start_down(now);
            self.start_cruise();
        } else {
            self.enter_startup();
        }
    }
}
