//! How losses bound the model (§5.5.10), and how bounds are taken back (§5.5.11).
//!
//! **Where we depart from the draft.** It takes every loss for congestion, so a path that loses
//! more than LossThresh by itself, as radio and long paths do, is hardly used. But a queue that
//! overflows is full, and what is delivered beside the lost packet comes late by the length of the
//! queue. So a loss counts only if the round trip shows a queue; or, while we probe, if more is
//! lost than when we do not probe ([`OwnLoss`](super::own_loss::OwnLoss)), for a queue may be too
//! short to be seen, and a policer has none; or if a quarter of a flight is lost. What counts is
//! answered as the draft says. Delay of any other cause errs on the careful side.

use super::probe_bw::Feedback;
use super::{Bbr, Mode, Stage};
use crate::transport::congestion::delivery::{Bandwidth, Sample, StampedPacket};
use crate::transport::time::{Micros, Time};

/// §2.8: BBR.LossThresh, in percent.
const LOSS_PERCENT_MAX: u64 = 2;
/// A round trip longer than the least one by this part of it shows a queue.
const QUEUE_PARTS: u64 = 16;
/// So much of a flight that does not probe may be lost without a sign of a queue.
const UNPROBED_LOSS_PERCENT_MAX: u64 = 25;
/// No more than this counts as the path's own loss.
const OWN_LOSS_PERCENT_MAX: u64 = 20;
/// What chance may add to the losses of a flight, beside half of its own.
const CHANCE_DATAGRAMS: u64 = 3;
/// §2.8: BBR.Beta, in percent.
const BETA: u64 = 70;
/// §2.8: BBR.Headroom is 15 percent.
const HEADROOM_REST: u64 = 85;
/// §5.3.1.3: BBRStartupFullLossCnt.
const STARTUP_LOSSES: u32 = 6;

/// What the path is known to bear (§2.9); `None` is no bound.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    pub(super) bw_short: Option<Bandwidth>,
    pub(super) inflight_short: Option<u64>,
    pub(super) inflight_long: Option<u64>,
}

impl Bounds {
    /// §5.5.10.3, BoundBWForModel.
    pub(super) fn bandwidth(&self, max: Bandwidth) -> Bandwidth {
        self.bw_short.map_or(max, |short| short.min(max))
    }

    /// §5.5.10.3, ResetShortTermModel.
    pub(super) fn reset_short(&mut self) {
        (self.bw_short, self.inflight_short) = (None, None);
    }
}

/// What the present round tells of congestion (§2.10).
#[derive(Debug, Default)]
pub(super) struct Signals {
    bw_latest: Bandwidth,
    inflight_latest: u64,
    /// The round that began with a loss is over when what left after so much was delivered is
    /// acknowledged.
    round_ends_at: u64,
    is_round_start: bool,
    is_loss_in_round: bool,
    /// Runs of lost packets in this round, the end of the last one, and the runs of the last round.
    runs: u32,
    last_lost: Option<u64>,
    runs_before: u32,
}

/// What to go back to if the losses were none (§2.15).
#[derive(Debug)]
pub(super) struct Undo {
    left: Option<Mode>,
    bounds: Bounds,
    window: u64,
    /// The start of the event before the one that may be undone.
    event_before: Option<Time>,
}

impl Bbr {
    /// Whether what is lost may be our doing: see the head of this file.
    fn is_congestion(&self, sample: &Sample) -> bool {
        let queue = |min: Micros| self.latest_rtt > min + min / QUEUE_PARTS;
        self.min_rtt.get().is_some_and(queue) || sample.lost > self.borne(sample)
    }

    /// How much may be lost of a flight though no queue is to be seen, in bytes.
    fn borne(&self, sample: &Sample) -> u64 {
        let Sample { in_flight, .. } = *sample;
        if !self.cycle.is_sample {
            return in_flight * UNPROBED_LOSS_PERCENT_MAX / 100;
        }
        let own = self.own_loss.of(in_flight).min(in_flight * OWN_LOSS_PERCENT_MAX / 100);
        let chance = own / 2 + CHANCE_DATAGRAMS * self.window.mtu;
        own + in_flight * LOSS_PERCENT_MAX / 100 + chance
    }

    /// Counts what becomes of a packet that was not sent to probe.
    pub(super) fn count_own_loss(&mut self, is_lost: bool) {
        if self.full_pipe.was_full && self.mode != Mode::Drain && !self.cycle.is_sample {
            self.own_loss.on_packet(is_lost);
        }
    }

    /// §5.5.10.2, IsInflightTooHigh.
    pub(super) fn is_inflight_too_high(&self, sample: &Sample) -> bool {
        sample.lost * 100 > sample.in_flight * LOSS_PERCENT_MAX && self.is_congestion(sample)
    }

    /// §5.5.10.2, HandleLostPacket.
    pub(super) fn handle_lost(&mut self, now: Time, packet: &StampedPacket, sample: Sample) {
        if !self.is_congestion(&sample) {
            return;
        }
        // One event may last for several rounds: what was before it is what counts.
        let is_saved = |undo: &Undo| undo.event_before == self.window.recovery_start();
        if self.window.is_new_event(packet.sent_at) && !self.undo.as_ref().is_some_and(is_saved) {
            self.save_state();
        }
        self.note_loss();
        if self.signals.last_lost.is_none_or(|last| last + 1 != packet.number) {
            self.signals.runs += 1;
        }
        self.signals.last_lost = Some(packet.number);
        if self.cycle.is_sample && self.is_inflight_too_high(&sample) {
            let in_flight = inflight_at_loss(packet.size.into(), &sample);
            self.handle_inflight_too_high(now, &Sample { in_flight, ..sample });
        }
    }

    /// A mark is a loss that crosses the threshold: it says that a queue stands.
    pub(super) fn handle_mark(&mut self, now: Time) {
        self.note_loss();
        self.signals.runs = self.signals.runs.max(STARTUP_LOSSES);
        if self.cycle.is_sample {
            let sample = Sample { in_flight: self.in_flight, ..Sample::default() };
            self.handle_inflight_too_high(now, &sample);
        }
    }

    /// §5.5.10.2, NoteLoss.
    fn note_loss(&mut self) {
        if !self.signals.is_loss_in_round {
            self.signals.round_ends_at = self.delivery.delivered();
        }
        self.signals.is_loss_in_round = true;
    }

    /// §5.5.11.1, SaveStateUponLoss.
    fn save_state(&mut self) {
        let (window, event_before) = (self.window.bytes, self.window.recovery_start());
        self.undo = Some(Undo { left: None, bounds: self.bounds, window, event_before });
    }

    /// §5.5.10.2, HandleInflightTooHigh.
    fn handle_inflight_too_high(&mut self, now: Time, sample: &Sample) {
        self.cycle.was_too_high = true;
        self.cycle.is_sample = false;
        if !sample.is_app_limited {
            let least = self.target_inflight() * BETA / 100;
            self.bounds.inflight_long = Some(sample.in_flight.max(least));
        }
        if self.mode == Mode::ProbeBw(Stage::Up) {
            if let Some(undo) = &mut self.undo {
                undo.left = Some(self.mode);
            }
            self.start_down(now);
        }
    }

    /// §5.3.3.8.3, TargetInflight.
    pub(super) fn target_inflight(&self) -> u64 {
        self.bdp(self.bw, super::control::GAIN_ONE).min(self.window.bytes)
    }

    /// §5.3.3.9, InflightWithHeadroom.
    pub(super) fn inflight_with_headroom(&self) -> Option<u64> {
        self.bounds.inflight_long.map(|long| {
            let rest = (long * HEADROOM_REST / 100).min(long.saturating_sub(self.window.mtu));
            rest.max(self.pipe_min())
        })
    }

    /// §5.3.1.3, CheckStartupHighLoss.
    pub(super) fn check_startup_loss(&mut self, sample: &Sample) {
        let is_high =
            self.signals.runs_before >= STARTUP_LOSSES && self.is_inflight_too_high(sample);
        if !self.signals.is_round_start || !is_high || self.full_pipe.was_full {
            return;
        }
        if let Some(undo) = &mut self.undo {
            undo.left = Some(Mode::Startup);
        }
        self.full_pipe.was_full = true;
        let inflight = self.bdp(self.bw, super::control::GAIN_ONE);
        self.bounds.inflight_long = Some(inflight.max(self.signals.inflight_latest));
    }

    /// §5.5.10.3, UpdateLatestDeliverySignals.
    pub(super) fn update_latest_signals(&mut self, sample: &Sample) {
        let signals = &mut self.signals;
        signals.bw_latest = signals.bw_latest.max(sample.rate);
        signals.inflight_latest = signals.inflight_latest.max(sample.delivered);
        signals.is_round_start = sample.prior_delivered >= signals.round_ends_at;
        if signals.is_round_start {
            signals.round_ends_at = self.delivery.delivered();
        }
    }

    /// §5.5.10.3, AdvanceLatestDeliverySignals.
    pub(super) fn advance_latest_signals(&mut self, sample: &Sample) {
        if self.signals.is_round_start {
            self.signals.bw_latest = sample.rate;
            self.signals.inflight_latest = sample.delivered;
        }
    }

    /// §5.5.10.3, ResetCongestionSignals.
    pub(super) fn reset_signals(&mut self) {
        self.signals.is_loss_in_round = false;
        self.signals.bw_latest = Bandwidth(0);
        self.signals.inflight_latest = 0;
    }

    /// §5.5.10.3, AdaptLowerBoundsFromCongestion: once a round with losses, towards what is
    /// delivered now.
    pub(super) fn adapt_bounds(&mut self) {
        if !self.signals.is_round_start {
            return;
        }
        let has_loss = std::mem::take(&mut self.signals.is_loss_in_round);
        self.signals.runs_before = std::mem::take(&mut self.signals.runs);
        if !has_loss || self.is_probing() {
            return;
        }
        let bw = self.bounds.bw_short.unwrap_or(self.max_bw.get());
        let inflight = self.bounds.inflight_short.unwrap_or(self.window.bytes);
        self.bounds.bw_short = Some(self.signals.bw_latest.max(bw.percent(BETA)));
        self.bounds.inflight_short = Some(self.signals.inflight_latest.max(inflight * BETA / 100));
    }

    /// §5.5.11.2, HandleSpuriousLossDetection.
    pub(super) fn handle_spurious(&mut self) {
        self.window.end_event();
        let Some(Undo { left, bounds, window, .. }) = self.undo.take() else { return };
        self.window.bytes = self.window.bytes.max(window);
        self.signals.is_loss_in_round = false;
        self.full_pipe.restart(Bandwidth(0));
        let at_least = |now: Option<u64>, then: Option<u64>| Some(now?.max(then?));
        let short = |bounds: &Bounds| bounds.bw_short.map(|bw| bw.0);
        self.bounds = Bounds {
            bw_short: at_least(short(&self.bounds), short(&bounds)).map(Bandwidth),
            inflight_short: at_least(self.bounds.inflight_short, bounds.inflight_short),
            inflight_long: at_least(self.bounds.inflight_long, bounds.inflight_long),
        };
        match left {
            Some(Mode::Startup) if self.mode != Mode::Startup => {
                self.full_pipe.was_full = false;
                if self.mode != Mode::ProbeRtt {
                    self.enter_startup();
                }
            }
            Some(Mode::ProbeBw(_))
                if !matches!(self.mode, Mode::ProbeRtt | Mode::ProbeBw(Stage::Up)) =>
            {
                self.start_refill();
            }
            _ => {}
        }
    }

    /// §5.3.3.9, the first half of AdaptLongTermModel: what the samples of a probe mean now.
    pub(super) fn has_feedback_ended(&mut self) -> bool {
        if !self.rounds.is_start {
            return false;
        }
        match self.cycle.feedback {
            Feedback::Starting => {
                self.cycle.feedback = Feedback::Coming;
                false
            }
            Feedback::Stopping => {
                self.cycle.is_sample = false;
                self.cycle.feedback = Feedback::None;
                true
            }
            Feedback::None | Feedback::Refilling | Feedback::Coming => false,
        }
    }
}

/// §5.5.10.2, InflightAtLoss: what was in flight when the losses crossed the threshold.
fn inflight_at_loss(size: u64, sample: &Sample) -> u64 {
    let inflight_before = sample.in_flight.saturating_sub(size);
    let lost_before = sample.lost.saturating_sub(size);
    let borne = inflight_before * LOSS_PERCENT_MAX / 100;
    inflight_before + borne.saturating_sub(lost_before) * 100 / (100 - LOSS_PERCENT_MAX)
}
