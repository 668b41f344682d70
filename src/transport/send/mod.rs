//! The outgoing side: queues, the scheduler, and what must be sent again.
//!
//! Order: strict priority, then the earliest deadline (the messages, then their repair), then
//! turns between channels. A message's bytes are kept once, from `send` to its acknowledgement;
//! packets name ranges of them.

mod channel;
mod live;
mod outbox;
mod repair;

pub(crate) use outbox::{AckInfo, Outbox, OutboxLimits, Room};

use super::fec_control::Fec;
use super::time::{Micros, Time};
use crate::wire::transport::Mode;

/// A channel's unsettled messages span at most this many ids; the peer counts on it.
pub(crate) const SPAN_MAX: u64 = 65_536;

/// How a message is to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// The channel; channel 0 is ordered unless opened otherwise.
    pub channel: u32,
    /// After this long the message is worthless: not sent any more, not delivered any more.
    pub deadline: Option<Micros>,
    /// Higher goes first, whatever else waits.
    pub priority: u8,
    /// Whether repair symbols go with it.
    pub fec: Fec,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The send buffer is full; try again when something was acknowledged.
    #[error("the send buffer is full: wait for acknowledgements, then send again")]
    Full,
    /// The connection takes no more messages.
    #[error("the connection is closed")]
    Closed,
    /// Longer than the peer takes.
    #[error("a message of {len} bytes is too long: the limit is {max}")]
    TooLong {
        /// The length of the message, in bytes.
        len: usize,
        /// The longest that is taken, in bytes.
        max: u64,
    },
    /// The channel's number is too high.
    #[error("channel {channel} does not exist: channels are 0 to {max}")]
    NoChannel {
        /// The channel asked for.
        channel: u32,
        /// The highest there is.
        max: u64,
    },
    /// The deadline is further away than any clock goes.
    #[error("a deadline of {deadline:?} is too far away: leave it out")]
    TooFar {
        /// The deadline asked for.
        deadline: Micros,
    },
    /// The channel is in use with another mode.
    #[error("channel {channel} is {mode}: its mode cannot change")]
    ModeConflict {
        /// The channel.
        channel: u32,
        /// The mode it has.
        mode: Mode,
    },
}

/// How urgent a message is; less is more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    /// 255 minus the priority.
    rank: u8,
    has_no_deadline: bool,
    /// Repair of messages with deadlines goes behind the messages themselves: on a window too small
    /// for both, what is lost for want of repair is less than what is late because of it.
    is_repair: bool,
    pub(crate) deadline: Time,
}

impl Default for Class {
    fn default() -> Self {
        Self::new(0, None)
    }
}

impl Class {
    const MOST_URGENT: Self =
        Self { rank: 0, has_no_deadline: false, is_repair: false, deadline: Time(0) };

    fn new(priority: u8, deadline: Option<Time>) -> Self {
        let (rank, has_no_deadline) = (u8::MAX - priority, deadline.is_none());
        Self { rank, has_no_deadline, is_repair: false, deadline: deadline.unwrap_or(Time::FAR) }
    }

    /// The class of the repair of such a message.
    fn of_repair(self) -> Self {
        Self { is_repair: !self.has_no_deadline, ..self }
    }

    /// When a message of this class becomes worthless, if ever.
    fn expires_at(self) -> Option<Time> {
        (self.deadline != Time::FAR).then_some(self.deadline)
    }
}
