//! The incoming side: reassembly, delivery modes, credit, and what waits for the application.
//!
//! Everything that could grow is bounded by credit the peer must have: see `flow_control`.

mod channel;
mod inbox;
mod partial;

pub(crate) use inbox::{Inbox, InboxLimits};

use super::time::Time;

/// A message for the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The channel it came on.
    pub channel: u32,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// How the peer broke the rules of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// More was sent than was granted.
    #[error("the peer sent more than it was granted")]
    FlowControl,
    /// A message is longer than we said we take.
    #[error("the peer sent a message longer than we take")]
    TooLong,
    /// A channel number at or above our limit.
    #[error("the peer used a channel beyond our limit")]
    NoChannel,
    /// Fragments of one message, or messages of one channel, contradict each other.
    #[error("fragments of one message contradict each other")]
    Inconsistent,
    /// Ids run too far ahead of the first message missing.
    #[error("message numbers run too far ahead")]
    Span,
}

/// A complete message before delivery.
#[derive(Debug)]
struct Complete {
    data: Vec<u8>,
    deadline: Option<Time>,
}
