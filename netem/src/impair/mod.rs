//! The impairments: one impairment, one file, with its formula and source.
//!
//! A packet meets them in this order, whatever the order they are configured in:
//!
//! ```text
//! rule -> blackhole -> loss -> ecn -> corrupt -> truncate -> mtu -> duplicate
//!      -> limit -> rate + queue -> delay (+ jitter) -> reorder
//! ```
//!
//! Why so: a rule is what somebody asked for by name, so it comes first; a network that is down
//! loses before anything else can happen; a lost packet is neither marked, damaged nor duplicated;
//! damage happens before the copy is made, so that both carry it; what is cut off may fit through
//! the mtu; the copy takes its own time on the wire; propagation delay follows the wire, and
//! overtaking happens on the way. So a copy cannot be lost by the loss model, and a dropped packet
//! does not count as one that overtook.
//!
//! tc-netem draws the duplicate before the loss, and a packet that is both leaves exactly one
//! copy; a pasted tc string keeps that ([`Semantics::TcNetem`](crate::link::Semantics)).
//!
//! Random models run per flow; rate, queue and blackholes per link. A model with memory (anything
//! with a correlation, the burst models) takes a step for every packet of its flow, also for one
//! that another impairment dropped: so no impairment moves the decisions of another.
//!
//! Rules of this folder: an impairment decides from its configuration, the flow's model state and
//! the packet's own [`Draws`](crate::random::Draws); it reads no clock and allocates nothing.

mod blackhole;
mod chance;
mod codel;
mod corrupt;
mod delay;
mod distribution;
mod duplicate;
mod ecn;
mod four_state;
mod gilbert;
mod loss;
mod packet_set;
mod quantile;
mod queue;
mod rate;
mod reorder;
mod rule;
mod truncate;

pub use blackhole::Blackhole;
pub use chance::Chance;
pub(crate) use codel::CoDelState;
pub use corrupt::{BITS_MAX, Corrupt};
pub use delay::{Delay, DelayTrace};
pub use distribution::{DelayTable, Distribution};
pub use duplicate::Duplicate;
pub use ecn::EcnMarking;
pub use four_state::FourState;
pub use gilbert::GilbertElliott;
pub use loss::{Loss, LossTrace};
pub use packet_set::PacketSet;
pub use queue::{
    CODEL_INTERVAL_DEFAULT, CODEL_TARGET_DEFAULT, CoDel, Discipline, QUEUE_LIMIT_DEFAULT, Queue,
    QueueLimit,
};
pub(crate) use rate::Wire;
pub use rate::{Rate, RateTrace};
pub use reorder::{DISTANCE_DEFAULT, DISTANCE_MAX, FLUSH_DEFAULT, Reorder};
pub use rule::{Action, Condition, PacketView, Predicate, Rule, Rules};
pub use truncate::Truncate;

/// What a draw is for. The numbers are part of the generator's counter layout: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Impairment {
    /// Which packets are lost.
    Loss = 1,
    /// Which packets get a second copy.
    Duplicate = 2,
    /// How long packets are delayed.
    Delay = 3,
    /// Which packets are held back.
    Reorder = 4,
    /// Which packets are corrupted (block 0), and where (the further blocks).
    Corrupt = 5,
    /// Which packets are cut off.
    Truncate = 6,
    /// Which packets are marked.
    Ecn = 7,
}
