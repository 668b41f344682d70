//! BBR, the third version (draft-ietf-ccwg-bbr-06; every § below is one of that draft): models the
//! path by the bandwidth it delivers and its least round trip, and sends at that rate.
//!
//! The steps of an acknowledgement are here, in the draft's order; `loss` bounds the model by
//! losses, `probe_bw` and `probe_rtt` measure the path, `control` turns the model into a rate and a
//! window. One departure, in `loss`: a loss without delay is no sign of congestion, up to a limit.

mod aggregation;
mod control;
mod filter;
mod full_pipe;
mod loss;
mod min_rtt;
mod own_loss;
mod probe_bw;
mod probe_rtt;
#[cfg(test)]
mod tests;

use super::delivery::{Bandwidth, Delivery, Sample, Stamp, StampedPacket};
use super::{Acked, Controller, Phase, Window};
use crate::transport::time::{Micros, Time};
use aggregation::Aggregation;
use filter::RecentMax;
use full_pipe::FullPipe;
use loss::{Bounds, Signals, Undo};
use min_rtt::MinRtt;
use own_loss::OwnLoss;
use probe_bw::Cycle;
use probe_rtt::ProbeRtt;

/// §5.3.2: Drain lasts at most so many rounds.
const DRAIN_ROUNDS_MAX: u64 = 3;

/// Where in its machine the controller is (§5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Startup,
    Drain,
    ProbeBw(Stage),
    ProbeRtt,
}

/// The stages of a cycle of ProbeBW (§5.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Down,
    Cruise,
    Refill,
    Up,
}

/// Round trips counted in packets (§5.5.1).
#[derive(Debug, Default)]
struct Rounds {
    /// This one is over when a packet is acknowledged that left after so much was delivered.
    ends_at: u64,
    is_start: bool,
    count: u64,
    /// Whether the window was full in the round before and in this one.
    was_window_full: bool,
    is_window_full: bool,
}

#[derive(Debug)]
pub(crate) struct Bbr {
    mode: Mode,
    window: Window,
    window_initial: u64,
    /// To go back to after ProbeRTT.
    window_before: u64,
    /// Until the first acknowledgement the window is paced like that of any controller.
    pacing_rate: Option<Bandwidth>,
    delivery: Delivery,
    rounds: Rounds,
    max_bw: RecentMax<Bandwidth>,
    /// BBR.bw: the greatest bandwidth, within the bounds.
    bw: Bandwidth,
    min_rtt: MinRtt,
    latest_rtt: Micros,
    full_pipe: FullPipe,
    aggregation: Aggregation,
    signals: Signals,
    own_loss: OwnLoss,
    bounds: Bounds,
    undo: Option<Undo>,
    cycle: Cycle,
    probe_rtt: ProbeRtt,
    drain_start_round: u64,
    in_flight: u64,
    /// Sending began again after silence, and nothing is acknowledged yet.
    is_idle_restart: bool,
}

impl Bbr {
    /// §5.2.1; `seed` is what the times of the probes are drawn from.
    pub(crate) fn new(mtu: u64, seed: u64) -> Self {
        let window = Window::new(mtu);
        let window_initial = window.bytes;
        Self {
            mode: Mode::Startup,
            window,
            window_initial,
            window_before: window_initial,
            pacing_rate: None,
            delivery: Delivery::default(),
            rounds: Rounds::default(),
            max_bw: RecentMax::default(),
            bw: Bandwidth::default(),
            min_rtt: MinRtt::default(),
            latest_rtt: Micros::ZERO,
            full_pipe: FullPipe::default(),
            aggregation: Aggregation::default(),
            signals: Signals::default(),
            own_loss: OwnLoss::default(),
            bounds: Bounds::default(),
            undo: None,
            cycle: Cycle::new(seed),
            probe_rtt: ProbeRtt::default(),
            drain_start_round: 0,
            in_flight: 0,
            is_idle_restart: false,
        }
    }

    /// §5.5.1, StartRound.
    fn start_round(&mut self) {
        self.rounds.ends_at = self.delivery.delivered();
    }

    /// §5.5.1, UpdateRound.
    fn update_round(&mut self, sample: &Sample) {
        self.rounds.is_start = sample.prior_delivered >= self.rounds.ends_at;
        if self.rounds.is_start {
            self.start_round();
            self.rounds.count += 1;
            self.rounds.was_window_full = std::mem::take(&mut self.rounds.is_window_full);
            self.cycle.on_round();
            self.aggregation.on_round(self.full_pipe.was_full);
        }
    }

    /// §5.5.5, UpdateMaxBw: what the application limited counts only if it is more.
    fn update_max_bw(&mut self, sample: &Sample) {
        if sample.rate >= self.max_bw.get() || !sample.is_app_limited {
            self.max_bw.update(sample.rate);
        }
    }

    /// §5.3.1.1, EnterStartup.
    fn enter_startup(&mut self) {
        self.mode = Mode::Startup;
    }

    /// §5.3.1, CheckStartupDone.
    fn check_startup_done(&mut self, sample: &Sample) {
        if self.mode != Mode::Startup {
            return;
        }
        self.check_startup_loss(sample);
        if self.full_pipe.was_full {
            self.mode = Mode::Drain;
            self.drain_start_round = self.rounds.count;
        }
    }

    /// §5.3.2, CheckDrainDone.
    fn check_drain_done(&mut self, now: Time) {
        let is_over = self.in_flight <= self.inflight(self.bw)
            || self.rounds.count > self.drain_start_round + DRAIN_ROUNDS_MAX;
        if self.mode == Mode::Drain && is_over {
            self.start_down(now);
        }
    }
}

impl Controller for Bbr {
    /// §5.2.2: a rest is over.
    fn on_sent(&mut self, now: Time, size: u64, in_flight: u64) -> Option<Stamp> {
        // §5.4.1, HandleRestartFromIdle.
        if in_flight <= size && self.delivery.is_app_limited() {
            self.is_idle_restart = true;
            self.aggregation.restart(now);
            match self.mode {
                Mode::ProbeBw(_) => self.set_pacing_rate(control::GAIN_ONE),
                Mode::ProbeRtt => self.check_probe_rtt_done(now),
                Mode::Startup | Mode::Drain => {}
            }
        }
        self.rounds.is_window_full |= in_flight + self.window.mtu > self.window.bytes;
        Some(self.delivery.on_sent(now, size, in_flight))
    }

    fn on_app_limited(&mut self, in_flight: u64) {
        if in_flight + self.window.mtu <= self.window.bytes {
            self.delivery.on_app_limited(in_flight);
        }
    }

    fn on_packet_acked(&mut self, now: Time, packet: &StampedPacket) {
        self.delivery.on_packet_acked(now, packet);
        self.count_own_loss(false);
    }

    /// §5.2.3.
    fn on_acked(&mut self, acked: &Acked<'_>) {
        let Some(sample) = self.delivery.take_sample(acked.rtt.min()) else { return };
        let now = acked.now;
        self.in_flight = acked.in_flight;
        self.latest_rtt = acked.round_trip;
        self.init_pacing_rate(acked.rtt.smoothed());
        self.update_latest_signals(&sample);
        self.update_round(&sample);
        self.update_max_bw(&sample);
        self.adapt_bounds();
        self.aggregation.on_acked(now, sample.newly_acked, self.bw, self.window.bytes);
        if self.rounds.is_start {
            self.full_pipe.on_round(&sample);
        }
        self.check_startup_done(&sample);
        self.check_drain_done(now);
        self.update_cycle(now, &sample);
        self.min_rtt.on_sample(now, acked.round_trip);
        self.check_probe_rtt(now, &sample);
        self.advance_latest_signals(&sample);
        self.bw = self.bounds.bandwidth(self.max_bw.get());
        self.set_pacing_rate(self.pacing_gain());
        self.set_window(sample.newly_acked);
    }

    /// §5.2.4.
    fn on_packet_lost(&mut self, now: Time, packet: &StampedPacket) {
        let sample = self.delivery.on_lost(packet.size.into(), &packet.stamp);
        self.count_own_loss(true);
        self.handle_lost(now, packet, sample);
    }

    /// §3.7: a mark must be taken for congestion.
    fn on_marked(&mut self, now: Time) {
        self.handle_mark(now);
    }

    /// The bounds of `loss` are the response; here only the event is noted, and RFC 9002 §7.6.2
    /// obeyed.
    fn on_congestion(&mut self, now: Time, sent_at: Time, is_persistent: bool) {
        if self.window.is_new_event(sent_at) {
            self.window.note_event(now);
        }
        if is_persistent {
            self.window.collapse();
            self.undo = None;
        }
    }

    fn on_spurious(&mut self) {
        self.handle_spurious();
    }

    fn state(&self) -> &Window {
        &self.window
    }

    fn state_mut(&mut self) -> &mut Window {
        &mut self.window
    }

    fn phase(&self) -> Phase {
        match self.mode {
            Mode::Startup => Phase::Startup,
            Mode::Drain => Phase::Drain,
            Mode::ProbeBw(Stage::Down) => Phase::ProbeBwDown,
            Mode::ProbeBw(Stage::Cruise) => Phase::ProbeBwCruise,
            Mode::ProbeBw(Stage::Refill) => Phase::ProbeBwRefill,
            Mode::ProbeBw(Stage::Up) => Phase::ProbeBwUp,
            Mode::ProbeRtt => Phase::ProbeRtt,
        }
    }

    fn pacing_rate(&self) -> Option<Bandwidth> {
        self.pacing_rate
    }
}
