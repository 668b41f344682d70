//! What happened, as events: for qlog files, for plots, and for the checkers of the simulator.

use super::congestion::Phase;
use super::stats::DropReason;
use super::time::{Micros, Time};
use super::{Event, State};

/// An event buffer that nobody empties stops growing here.
const EVENTS_MAX: usize = 1 << 20;

/// Something that happened on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceEvent {
    /// The state changed.
    State {
        /// From here.
        from: State,
        /// Because of this.
        event: Event,
        /// To here.
        to: State,
    },
    /// A packet left.
    Sent {
        /// Its number.
        number: u64,
        /// Its length, in bytes.
        size: u32,
        /// Bytes in flight, with it.
        in_flight: u64,
        /// The congestion window.
        cwnd: u64,
        /// Whether it must be acknowledged.
        ack_eliciting: bool,
        /// Whether it is a probe, which may exceed the window.
        is_probe: bool,
    },
    /// A packet arrived and was read.
    Received {
        /// Its number.
        number: u64,
        /// Its length, in bytes.
        size: u32,
    },
    /// A packet was declared lost.
    Lost {
        /// Its number.
        number: u64,
    },
    /// A packet arrived and was dropped.
    Dropped(DropReason),
    /// An acknowledgement was digested.
    Metrics {
        /// Latest round trip.
        latest_rtt: Micros,
        /// Smoothed round trip.
        srtt: Micros,
        /// The congestion window.
        cwnd: u64,
        /// Bytes in flight.
        in_flight: u64,
        /// The slow start threshold.
        ssthresh: Option<u64>,
        /// How fast the controller sends, in bits a second, if it has a rate of its own.
        pacing_rate_bps: Option<u64>,
    },
    /// The congestion controller does something else now.
    Phase {
        /// What it did, if that is known.
        from: Option<Phase>,
        /// What it does.
        to: Phase,
    },
    /// The datagram size changed.
    Mtu(u16),
    /// The peer's address changed.
    Migrated,
}

/// Records events if asked to.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    events: Option<Vec<(Time, TraceEvent)>>,
    phase: Option<Phase>,
}

impl Trace {
    pub(crate) fn new(is_on: bool) -> Self {
        Self { events: is_on.then(Vec::new), phase: None }
    }

    pub(crate) fn record(&mut self, now: Time, event: TraceEvent) {
        if let Some(events) = self.events.as_mut().filter(|events| events.len() < EVENTS_MAX) {
            events.push((now, event));
        }
    }

    /// Records the phase of the congestion controller if it is another one than before.
    pub(crate) fn record_phase(&mut self, now: Time, to: Phase) {
        if self.phase != Some(to) {
            let from = self.phase.replace(to);
            self.record(now, TraceEvent::Phase { from, to });
        }
    }

    pub(crate) fn take(&mut self) -> Vec<(Time, TraceEvent)> {
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
