//! What an endpoint can tell while it runs, and in which words.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::arq::ack_receiver::Taken;
use crate::arq::ack_sender::{AckOutcome, FailReason, Failure};
use crate::wire::error::WireError;
use crate::wire::serial::Serial;

/// Something worth telling. Its `Display` is one line for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A message was accepted and sent.
    Sent(Serial, SocketAddr),
    /// A message was repeated; the count includes this time.
    Retransmitted(Serial, SocketAddr, u32),
    /// A message was acknowledged; with the round-trip time when unambiguous.
    Acked(Serial, SocketAddr, Option<Duration>),
    /// A message was given up.
    Failed(Serial, Failure),
    /// A DATA datagram arrived.
    Data(Serial, SocketAddr, Taken),
    /// An ACK arrived that settles nothing.
    StrayAck(Serial, SocketAddr, AckOutcome),
    /// A datagram that does not follow the format arrived.
    Malformed(SocketAddr, WireError),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(seq, to) => write!(f, "DATA {seq} sent to {to}"),
            Self::Retransmitted(seq, to, n) => {
                write!(f, "DATA {seq} sent again to {to}: no ACK yet (retry {n})")
            }
            Self::Acked(seq, from, Some(rtt)) => {
                write!(
                    f,
                    "DATA {seq} acknowledged by {from} after {:.1} ms",
                    rtt.as_secs_f64() * 1e3
                )
            }
            Self::Acked(seq, from, None) => write!(f, "DATA {seq} acknowledged by {from}"),
            Self::Failed(seq, Failure { to, reason, retries }) => match reason {
                FailReason::NoAck => {
                    write!(f, "DATA {seq} failed: no ACK from {to} after {retries} retries")
                }
                FailReason::Closed => {
                    write!(f, "DATA {seq} failed: closed before the ACK from {to} came")
                }
                FailReason::NotSent => {
                    write!(f, "DATA {seq} failed: the system could not send it to {to}")
                }
            },
            Self::Data(seq, from, taken) => {
                let what = match taken {
                    Taken::Delivered => "ACK sent",
                    Taken::Restarted => "a new message under an old number, ACK sent",
                    Taken::Duplicate => "a duplicate, not delivered, ACK sent again",
                    Taken::QueueFull => "too many messages wait to be received, no ACK",
                };
                write!(f, "DATA {seq} received from {from}: {what}")
            }
            Self::StrayAck(seq, from, outcome) => {
                let why = match outcome {
                    AckOutcome::WrongPeer => "that message was sent to somebody else",
                    AckOutcome::Unknown => "no message has this number",
                    AckOutcome::Again | AckOutcome::Acked(_) => "settled before",
                };
                write!(f, "ACK {seq} from {from} ignored: {why}")
            }
            Self::Malformed(from, error) => {
                write!(f, "datagram from {from} ignored: {error}")
            }
        }
    }
}
