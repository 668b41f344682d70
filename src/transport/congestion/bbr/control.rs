//! From the model to what is controlled: the pacing rate and the window (§5.6).

use super::{Bbr, Mode, Stage};
use crate::transport::congestion::delivery::Bandwidth;
use crate::transport::time::Micros;

/// Gains are in percent.
pub(super) const GAIN_ONE: u64 = 100;
/// §5.6.2: BBR.PacingMarginPercent is 1.
const PACING_MARGIN: u64 = 99;
/// §2.8: BBR.MinPipeCwnd, in datagrams.
const PIPE_DATAGRAMS_MIN: u64 = 4;
/// §5.6.3: what is sent at once, at most.
const QUANTUM: Micros = Micros::from_ms(1);
const QUANTUM_BYTES_MAX: u64 = 64 * 1024;
const QUANTUM_DATAGRAMS_MIN: u64 = 2;

impl Bbr {
    /// §5.6.1: the gain of the pacing rate.
    pub(super) fn pacing_gain(&self) -> u64 {
        match self.mode {
            // §5.3.1.1: the least that doubles the rate every round.
            Mode::Startup => 277,
            Mode::Drain => 50,
            Mode::ProbeBw(Stage::Down) => 90,
            Mode::ProbeBw(Stage::Up) => 125,
            Mode::ProbeBw(Stage::Cruise | Stage::Refill) | Mode::ProbeRtt => GAIN_ONE,
        }
    }

    /// §5.6.1: the gain of the window.
    fn window_gain(&self) -> u64 {
        match self.mode {
            Mode::ProbeBw(Stage::Up) => 225,
            Mode::ProbeRtt => 50,
            _ => 200,
        }
    }

    /// §5.6.2, InitPacingRate: the first window in the first round trip.
    pub(super) fn init_pacing_rate(&mut self, srtt: Micros) {
        if self.pacing_rate.is_none() {
            let nominal = Bandwidth::of(self.window_initial, srtt);
            self.pacing_rate = Some(nominal.percent(self.pacing_gain()));
        }
    }

    /// §5.6.2, SetPacingRateWithGain: until the path was full the rate only grows.
    pub(super) fn set_pacing_rate(&mut self, gain: u64) {
        let rate = self.bw.percent(gain).percent(PACING_MARGIN);
        if rate > Bandwidth(0) && (self.full_pipe.was_full || Some(rate) > self.pacing_rate) {
            self.pacing_rate = Some(rate);
        }
    }

    /// §5.6.4.3: BBR.MinPipeCwnd in bytes.
    pub(super) fn pipe_min(&self) -> u64 {
        PIPE_DATAGRAMS_MIN * self.window.mtu
    }

    /// §5.6.4.2, BDPMultiple.
    pub(super) fn bdp(&self, bw: Bandwidth, gain: u64) -> u64 {
        self.min_rtt.get().map_or(self.window_initial, |rtt| bw.bytes_in(rtt) * gain / 100)
    }

    /// §5.6.4.2, QuantizationBudget.
    fn quantized(&self, inflight: u64) -> u64 {
        let rate = self.pacing_rate.unwrap_or_default();
        let quantum = rate
            .bytes_in(QUANTUM)
            .min(QUANTUM_BYTES_MAX)
            .max(QUANTUM_DATAGRAMS_MIN * self.window.mtu);
        let inflight = inflight.max(quantum).max(self.pipe_min());
        let is_up = self.mode == Mode::ProbeBw(Stage::Up);
        inflight + if is_up { 2 * self.window.mtu } else { 0 }
    }

    /// §5.6.4.2, Inflight(1.0): what fills the path and no queue.
    pub(super) fn inflight(&self, bw: Bandwidth) -> u64 {
        self.quantized(self.bdp(bw, GAIN_ONE))
    }

    /// §5.6.4.6, SetCwnd.
    pub(super) fn set_window(&mut self, newly_acked: u64) {
        let extra = self.aggregation.extra();
        let inflight_max = self.quantized(self.bdp(self.bw, self.window_gain()) + extra);
        let grown = self.window.bytes + newly_acked;
        if self.full_pipe.was_full {
            self.window.bytes = grown.min(inflight_max);
        } else if self.window.bytes < inflight_max
            || self.delivery.delivered() < self.window_initial
        {
            self.window.bytes = grown;
        }
        self.window.bytes = self.window.bytes.max(self.pipe_min());
        // §5.6.4.5, BoundCwndForProbeRTT.
        if self.mode == Mode::ProbeRtt {
            self.window.bytes = self.window.bytes.min(self.probe_rtt_window());
        }
        self.window.bytes = self.window.bytes.min(self.cap());
    }

    /// §5.6.4.5, ProbeRTTCwnd.
    pub(super) fn probe_rtt_window(&self) -> u64 {
        self.bdp(self.bw, self.window_gain()).max(self.pipe_min())
    }

    /// §5.6.4.7, BoundCwndForModel.
    fn cap(&self) -> u64 {
        let long = match self.mode {
            Mode::ProbeBw(Stage::Cruise) | Mode::ProbeRtt => self.inflight_with_headroom(),
            Mode::ProbeBw(_) => self.bounds.inflight_long,
            Mode::Startup | Mode::Drain => None,
        };
        let caps = long.into_iter().chain(self.bounds.inflight_short);
        caps.min().unwrap_or(u64::MAX).max(self.pipe_min())
    }
}
