//! Congestion control behind one trait; one controller, one file.
//!
//! A controller owns the window and nothing else: what is in flight, what is lost and when a
//! round ends are told to it. Loss *repaired* by any means is still loss to a controller.

mod bbr;
mod cubic;
mod delivery;
mod hystart;
mod new_reno;
mod window;

pub(crate) use bbr::Bbr;
pub(crate) use cubic::Cubic;
pub(crate) use delivery::{Bandwidth, Stamp, StampedPacket};
pub(crate) use new_reno::NewReno;
use window::Window;

use super::rtt::Rtt;
use super::time::{Micros, Time};
use std::fmt;

/// Which controller a connection uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// RFC 9438 with the slow start of RFC 9406.
    #[default]
    Cubic,
    /// RFC 9002 §7: the plain one, for teaching and comparison.
    NewReno,
    /// The third version of BBR, draft-ietf-ccwg-bbr-06: for long paths that lose by themselves.
    Bbr,
}

impl Congestion {
    /// A controller for a new path; `seed` is for one that draws.
    pub(crate) fn build(self, mtu: u64, seed: u64) -> Box<dyn Controller> {
        match self {
            Self::Cubic => Box::new(Cubic::new(mtu)),
            Self::NewReno => Box::new(NewReno::new(mtu)),
            Self::Bbr => Box::new(Bbr::new(mtu, seed)),
        }
    }

    /// Whether its packets are stamped when they leave: [`Controller::on_sent`] and the like are
    /// called only then.
    pub(crate) fn stamps_packets(self) -> bool {
        self == Self::Bbr
    }
}

/// What a controller is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Doubling every round.
    SlowStart,
    /// Growing slowly past the point of the last loss.
    Avoidance,
    /// Waiting for the losses of one round to be behind it.
    Recovery,
    /// BBR: looking for the bandwidth, faster every round.
    Startup,
    /// BBR: letting the queue of Startup drain.
    Drain,
    /// BBR: letting the queue of a probe drain.
    ProbeBwDown,
    /// BBR: as fast as the path delivers.
    ProbeBwCruise,
    /// BBR: filling the path before a probe.
    ProbeBwRefill,
    /// BBR: probing for more bandwidth.
    ProbeBwUp,
    /// BBR: with little in flight, to see the least round trip.
    ProbeRtt,
}

impl Phase {
    /// Its name in traces and statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::SlowStart => "slow_start",
            Self::Avoidance => "congestion_avoidance",
            Self::Recovery => "recovery",
            Self::Startup => "startup",
            Self::Drain => "drain",
            Self::ProbeBwDown => "probe_bw_down",
            Self::ProbeBwCruise => "probe_bw_cruise",
            Self::ProbeBwRefill => "probe_bw_refill",
            Self::ProbeBwUp => "probe_bw_up",
            Self::ProbeRtt => "probe_rtt",
        }
    }
}

/// One acknowledgement, as a controller sees it.
#[derive(Debug)]
pub(crate) struct Acked<'a> {
    pub(crate) now: Time,
    /// Bytes newly acknowledged, sent after the last congestion event began.
    pub(crate) bytes: u64,
    pub(crate) largest_acked: u64,
    /// The number the next packet will have.
    pub(crate) next_number: u64,
    pub(crate) rtt: &'a Rtt,
    /// The window was not what limited sending, so it must not grow (RFC 9002 §7.8).
    pub(crate) app_limited: bool,
    /// Bytes still in flight.
    pub(crate) in_flight: u64,
    /// The latest round trip, without the time the peer says it held the acknowledgement back.
    pub(crate) round_trip: Micros,
}

/// A congestion controller.
pub(crate) trait Controller: fmt::Debug + Send {
    /// Packets were acknowledged.
    fn on_acked(&mut self, acked: &Acked<'_>);

    /// Congestion was met by packets, the last of which was sent at `sent_at`.
    fn on_congestion(&mut self, now: Time, sent_at: Time, is_persistent: bool);

    /// The congestion event in progress turned out to be reordering only.
    fn on_spurious(&mut self);

    /// A packet leaves; `in_flight` counts it. Its stamp comes back with its fate.
    fn on_sent(&mut self, _now: Time, _size: u64, _in_flight: u64) -> Option<Stamp> {
        None
    }

    /// There is room in the window, and nothing to send.
    fn on_app_limited(&mut self, _in_flight: u64) {}

    /// One packet of those that [`on_acked`](Self::on_acked) will tell of.
    fn on_packet_acked(&mut self, _now: Time, _packet: &StampedPacket) {}

    /// One packet of those that [`on_congestion`](Self::on_congestion) will tell of.
    fn on_packet_lost(&mut self, _now: Time, _packet: &StampedPacket) {}

    /// The congestion that [`on_congestion`](Self::on_congestion) will tell of is a router's mark.
    fn on_marked(&mut self, _now: Time) {}

    /// How fast to send, if that does not follow from the window.
    fn pacing_rate(&self) -> Option<Bandwidth> {
        None
    }

    /// The window and what belongs to it.
    fn state(&self) -> &Window;

    /// The same, to be changed.
    fn state_mut(&mut self) -> &mut Window;

    /// Datagrams may have another size from now on.
    fn on_mtu(&mut self, mtu: u64) {
        self.state_mut().on_mtu(mtu);
    }

    /// How many bytes may be in flight.
    fn window(&self) -> u64 {
        self.state().bytes
    }

    /// The threshold above which slow start ends.
    fn ssthresh(&self) -> Option<u64> {
        self.state().ssthresh
    }

    /// What the controller is doing at `now`.
    fn phase(&self) -> Phase {
        self.state().phase()
    }

    /// Packets sent up to this moment belong to the last congestion event.
    fn recovery_start(&self) -> Option<Time> {
        self.state().recovery_start()
    }
}
