//! Congestion control behind one trait; one controller, one file.
//!
//! A controller owns the window and nothing else: what is in flight, what is lost and when a
//! round ends are told to it. Loss *repaired* by any means is still loss to a controller.

mod cubic;
mod hystart;
mod new_reno;
mod window;

pub(crate) use cubic::Cubic;
pub(crate) use new_reno::NewReno;
use window::Window;

use super::rtt::Rtt;
use super::time::Time;
use std::fmt;

/// Which controller a connection uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// RFC 9438 with the slow start of RFC 9406.
    #[default]
    Cubic,
    /// RFC 9002 §7: the plain one, for teaching and comparison.
    NewReno,
}

impl Congestion {
    pub(crate) fn build(self, mtu: u64) -> Box<dyn Controller> {
        match self {
            Self::Cubic => Box::new(Cubic::new(mtu)),
            Self::NewReno => Box::new(NewReno::new(mtu)),
        }
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
}

/// A congestion controller.
pub(crate) trait Controller: fmt::Debug + Send {
    /// Packets were acknowledged.
    fn on_acked(&mut self, acked: &Acked<'_>);

    /// Congestion was met by packets, the last of which was sent at `sent_at`.
    fn on_congestion(&mut self, now: Time, sent_at: Time, is_persistent: bool);

    /// The congestion event in progress turned out to be reordering only.
    fn on_spurious(&mut self);

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
