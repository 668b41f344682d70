//! ProbeBW: looks for more bandwidth every few seconds, and leaves room in between (§5.3.3).

use super::{Bbr, Mode, Stage};
use crate::transport::congestion::delivery::Sample;
use crate::transport::time::{Micros, Time};

/// §5.3.3.8.3: a probe every two to three seconds,
const WAIT: Micros = Micros::from_secs(2);
const WAIT_RANDOM: Micros = Micros::from_secs(1);
/// but after so many rounds at the latest, when Reno would have grown by as many packets.
const RENO_ROUNDS_MAX: u64 = 63;
/// §5.3.3.9, RaiseInflightLongtermSlope.
const UP_ROUNDS_MAX: u32 = 30;

/// What acknowledgements tell of a probe (§2.14, BBR.ack_phase).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feedback {
    None,
    Refilling,
    Starting,
    Coming,
    Stopping,
}

/// The present cycle (§2.14).
#[derive(Debug)]
pub(super) struct Cycle {
    pub(super) feedback: Feedback,
    /// What is acknowledged now was sent to probe.
    pub(super) is_sample: bool,
    /// The last probe lost too much.
    pub(super) was_too_high: bool,
    /// The last probe was ended before it could lose much.
    was_careful: bool,
    up_acked: u64,
    /// So many bytes acknowledged raise the long-term bound by a datagram.
    up_acked_per_step: u64,
    up_rounds: u32,
    rounds_since_up: u64,
    wait: Micros,
    started_at: Time,
    random: u64,
}

impl Cycle {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            feedback: Feedback::None,
            is_sample: false,
            was_too_high: false,
            was_careful: false,
            up_acked: 0,
            up_acked_per_step: u64::MAX,
            up_rounds: 0,
            rounds_since_up: 0,
            wait: Micros::ZERO,
            started_at: Time(0),
            random: seed,
        }
    }

    pub(super) fn on_round(&mut self) {
        self.rounds_since_up += 1;
    }

    /// The next number of SplitMix64 (Steele, Lea, Flood 2014).
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// §5.3.3.8.3, PickProbeWait: flows that share a path probe at different times.
    fn pick_wait(&mut self) {
        self.rounds_since_up = self.draw() % 2;
        self.wait = WAIT + Micros(self.draw() % WAIT_RANDOM.0);
    }
}

impl Bbr {
    /// §5.3.3.9, IsProbingBW.
    pub(super) fn is_probing(&self) -> bool {
        matches!(self.mode, Mode::Startup | Mode::ProbeBw(Stage::Refill | Stage::Up))
    }

    /// §5.3.3.9, StartProbeBW_DOWN.
    pub(super) fn start_down(&mut self, now: Time) {
        self.reset_signals();
        self.cycle.up_acked_per_step = u64::MAX;
        self.cycle.pick_wait();
        self.cycle.started_at = now;
        self.cycle.feedback = Feedback::Stopping;
        self.start_round();
        self.mode = Mode::ProbeBw(Stage::Down);
    }

    /// §5.3.3.9, StartProbeBW_CRUISE.
    pub(super) fn start_cruise(&mut self) {
        self.mode = Mode::ProbeBw(Stage::Cruise);
    }

    /// §5.3.3.9, StartProbeBW_REFILL.
    pub(super) fn start_refill(&mut self) {
        self.bounds.reset_short();
        self.cycle.up_rounds = 0;
        self.cycle.up_acked = 0;
        self.cycle.was_careful = false;
        self.cycle.feedback = Feedback::Refilling;
        self.start_round();
        self.mode = Mode::ProbeBw(Stage::Refill);
    }

    /// §5.3.3.9, StartProbeBW_UP.
    fn start_up(&mut self, sample: &Sample) {
        self.cycle.is_sample = true;
        self.cycle.feedback = Feedback::Starting;
        self.start_round();
        self.full_pipe.restart(sample.rate);
        self.mode = Mode::ProbeBw(Stage::Up);
        self.raise_slope();
    }

    /// §5.3.3.9, UpdateProbeBWCyclePhase.
    pub(super) fn update_cycle(&mut self, now: Time, sample: &Sample) {
        if !self.full_pipe.was_full || self.adapt_long(sample) {
            return;
        }
        let Mode::ProbeBw(stage) = self.mode else { return };
        match stage {
            Stage::Down | Stage::Cruise if self.is_time_to_probe(now) => self.start_refill(),
            Stage::Down if self.is_time_to_cruise() => self.start_cruise(),
            // §5.3.3.3: a round that fills the path, so that the probe finds no room left over.
            Stage::Refill if self.rounds.is_start => self.start_up(sample),
            Stage::Up if self.is_time_to_go_down(sample) => {
                self.cycle.was_too_high = false;
                self.start_down(now);
            }
            Stage::Down | Stage::Cruise | Stage::Refill | Stage::Up => {}
        }
    }

    /// §5.3.3.8.3, IsTimeToProbeBW.
    fn is_time_to_probe(&self, now: Time) -> bool {
        let rounds = (self.target_inflight() / self.window.mtu).min(RENO_ROUNDS_MAX);
        now > self.cycle.started_at + self.cycle.wait || self.cycle.rounds_since_up >= rounds
    }

    /// §5.3.3.9, IsTimeToCruise.
    fn is_time_to_cruise(&self) -> bool {
        self.inflight_with_headroom().is_none_or(|headroom| self.in_flight <= headroom)
            && self.in_flight <= self.inflight(self.max_bw.get())
    }

    /// §5.3.3.9, IsTimeToGoDown.
    fn is_time_to_go_down(&mut self, sample: &Sample) -> bool {
        // §5.3.3.6: what lost too much the last time is not touched for a whole round.
        let long = self.bounds.inflight_long;
        if self.cycle.was_too_high && long.is_some_and(|long| self.in_flight >= long) {
            self.cycle.was_careful = true;
            return true;
        }
        if self.is_bound_used() {
            self.full_pipe.restart(sample.rate);
            return false;
        }
        self.full_pipe.is_full
    }

    /// Whether the window was full, and the long-term bound is what keeps it from being larger.
    fn is_bound_used(&self) -> bool {
        let is_full = self.rounds.is_window_full || self.rounds.was_window_full;
        is_full && self.bounds.inflight_long.is_some_and(|long| self.window.bytes >= long)
    }

    /// §5.3.3.9, RaiseInflightLongtermSlope.
    fn raise_slope(&mut self) {
        let growth = 1 << self.cycle.up_rounds;
        self.cycle.up_rounds = (self.cycle.up_rounds + 1).min(UP_ROUNDS_MAX);
        self.cycle.up_acked_per_step = (self.window.bytes / growth).max(self.window.mtu);
    }

    /// §5.3.3.9, ProbeInflightLongtermUpward.
    fn probe_upward(&mut self, newly_acked: u64) {
        if !self.is_bound_used() {
            return;
        }
        let cycle = &mut self.cycle;
        cycle.up_acked += newly_acked;
        let steps = cycle.up_acked / cycle.up_acked_per_step;
        cycle.up_acked %= cycle.up_acked_per_step;
        if let Some(long) = &mut self.bounds.inflight_long {
            *long += steps * self.window.mtu;
        }
        if self.rounds.is_start {
            self.raise_slope();
        }
    }

    /// §5.3.3.9, AdaptLongTermModel: whether it decided where to go.
    fn adapt_long(&mut self, sample: &Sample) -> bool {
        if self.has_feedback_ended() && matches!(self.mode, Mode::ProbeBw(_)) {
            if !sample.is_app_limited {
                self.max_bw.advance();
            }
            // §5.3.3.6: the careful probe lost little, so the next may go on at once.
            if self.cycle.was_careful && !self.cycle.was_too_high {
                self.start_refill();
                return true;
            }
        }
        let Some(long) = self.bounds.inflight_long else { return false };
        if !self.is_inflight_too_high(sample) {
            self.bounds.inflight_long = Some(long.max(sample.in_flight));
            if self.mode == Mode::ProbeBw(Stage::Up) {
                self.probe_upward(sample.newly_acked);
            }
        }
        false
    }
}
