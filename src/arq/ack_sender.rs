//! The sending half of `UDPWithACK`: numbers messages, repeats them until they are acknowledged
//! or their retries are used up, and remembers which ones failed.
//!
//! One counter numbers the messages to all destinations, as in the tutorial. Inside, a message is
//! known by its ordinal (64 bits, never wraps); on the wire by its [`Serial`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::arq::rtt::RttEstimator;
use crate::arq::send_policy::SendPolicy;
use crate::flow::peer_table::PeerTable;
use crate::flow::time::Micros;
use crate::wire::ack::{AckDatagram, HEADER_LEN};
use crate::wire::serial::Serial;

/// Unacknowledged messages at once, unless asked otherwise.
pub const MAX_PENDING: usize = 1_024;

/// Numbers between the oldest unacknowledged message and the newest. It keeps the duplicates of
/// an old message within what a receiver remembers of one peer (`flow::dedup::Limits`).
pub const MAX_SPAN: u64 = 65_536;

/// Failures remembered; older ones are forgotten, and asking for them says so.
pub const MAX_FAILURES: usize = 65_536;

/// The longest payload: what UDP over IPv4 carries, without the header.
pub const MAX_PAYLOAD: usize = 65_507 - HEADER_LEN;

/// Peers whose round-trip time is known at once.
const MAX_PATHS: usize = 1_024;

/// Why a message was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// Longer than a datagram can be.
    #[error("message of {len} bytes is too long: at most {MAX_PAYLOAD} fit into a datagram")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// As many messages as allowed are unacknowledged: try again after the next ACK or failure.
    #[error("too many unacknowledged messages")]
    WindowFull,
    /// The endpoint is closed.
    #[error("the endpoint is closed")]
    Closed,
}

/// Why a message failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailReason {
    /// No ACK came after all retries.
    NoAck,
    /// The endpoint was closed before the ACK came.
    Closed,
    /// The system refused to send it at all.
    NotSent,
}

impl FailReason {
    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoAck => "no ACK",
            Self::Closed => "closed",
            Self::NotSent => "not sent",
        }
    }
}

/// A message that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Where it was sent.
    pub to: SocketAddr,
    /// Why it was given up.
    pub reason: FailReason,
    /// How often it was repeated.
    pub retries: u32,
}

/// A message that waits for its ACK.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Where it is sent.
    pub to: SocketAddr,
    /// How often it was repeated so far.
    pub retries: u32,
    /// When it was sent first.
    pub first_sent: Micros,
    policy: SendPolicy,
    deadline: Micros,
    datagram: Arc<Vec<u8>>,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It waits for its ACK.
    Pending,
    /// It was acknowledged.
    Acked,
    /// It was given up.
    Failed(Failure),
    /// No message had this number, or it failed so long ago that it is forgotten.
    Unknown,
}

/// What an ACK did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckOutcome {
    /// It acknowledged a pending message; the round-trip time if it is unambiguous (Karn).
    Acked(Option<Duration>),
    /// The message was settled before.
    Again,
    /// The number was never sent.
    Unknown,
    /// The message was sent to somebody else.
    WrongPeer,
}

/// What is due.
#[derive(Debug, Clone)]
pub enum Due {
    /// Send this message again, for the n-th time.
    Retransmit(Serial, SocketAddr, u32, Arc<Vec<u8>>),
    /// This message has just failed.
    Failed(Serial, Failure),
}

/// The machine.
#[derive(Debug)]
pub struct AckSender {
    first_seq: Serial,
    next_ordinal: u64,
    max_pending: usize,
    pending: BTreeMap<u64, Pending>,
    deadlines: BTreeSet<(Micros, u64)>,
    failures: BTreeMap<u64, Failure>,
    /// Ordinals below this one may have failed without being remembered.
    forgotten_below: u64,
    paths: PeerTable<SocketAddr, RttEstimator>,
}

impl AckSender {
    /// A sender whose first message gets the number `first_seq`.
    pub fn new(first_seq: Serial, max_pending: usize) -> Self {
        Self {
            first_seq,
            next_ordinal: 0,
            max_pending,
            pending: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            failures: BTreeMap::new(),
            forgotten_below: 0,
            paths: PeerTable::new(MAX_PATHS),
        }
    }

    // Getters.

    /// The messages that wait for their ACK, oldest first.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = (Serial, &Pending)> {
        self.pending.iter().map(|(&ordinal, message)| (self.seq_of(ordinal), message))
    }

    /// The messages that failed, as far as remembered, oldest first.
    pub fn failures(&self) -> impl ExactSizeIterator<Item = (Serial, &Failure)> {
        self.failures.iter().map(|(&ordinal, failure)| (self.seq_of(ordinal), failure))
    }

    /// The number the next message will get.
    pub fn next_seq(&self) -> Serial {
        self.seq_of(self.next_ordinal)
    }

    /// Whether one more message would be accepted now.
    pub fn has_room(&self) -> bool {
        let span = self.pending.keys().next().map_or(0, |oldest| self.next_ordinal - oldest);
        self.pending.len() < self.max_pending && span < MAX_SPAN
    }

    /// Where the message with the number `seq` stands.
    pub fn status(&self, seq: Serial) -> Status {
        let Some(ordinal) = self.ordinal_of(seq) else { return Status::Unknown };
        if self.pending.contains_key(&ordinal) {
            return Status::Pending;
        }
        match self.failures.get(&ordinal) {
            Some(&failure) => Status::Failed(failure),
            None if ordinal < self.forgotten_below => Status::Unknown,
            None => Status::Acked,
        }
    }

    /// The smoothed round-trip time to `peer`, once measured.
    pub fn srtt(&self, peer: &SocketAddr) -> Option<Duration> {
        self.paths.get(peer)?.srtt()
    }

    // Handlers.

    /// An ACK of `seq` arrived from `from`.
    pub fn handle_ack(&mut self, now: Micros, from: SocketAddr, seq: Serial) -> AckOutcome {
        let Some(ordinal) = self.ordinal_of(seq) else { return AckOutcome::Unknown };
        let Some(message) = self.pending.get(&ordinal) else { return AckOutcome::Again };
        if message.to != from && !message.to.ip().is_multicast() {
            return AckOutcome::WrongPeer;
        }
        // Karn's algorithm (RFC 6298 §3): no sample from a message sent more than once.
        let rtt = (message.retries == 0).then(|| now.since(message.first_sent));
        self.settle(ordinal);
        if let Some(rtt) = rtt {
            self.paths.heard(now, &from, RttEstimator::default, drop).sample(rtt);
        }
        AckOutcome::Acked(rtt)
    }

    /// What is due at `now`, one thing per call; `None` when nothing is.
    pub fn handle_timeout(&mut self, now: Micros) -> Option<Due> {
        let &(deadline, ordinal) = self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        let seq = self.seq_of(ordinal);
        let message = self.pending.get_mut(&ordinal)?;
        if message.retries >= message.policy.max_retries() {
            return self.fail(ordinal, FailReason::NoAck).map(|failure| Due::Failed(seq, failure));
        }
        message.retries += 1;
        let rto = self.paths.get(&message.to).and_then(RttEstimator::rto);
        let next = message.policy.next_deadline(message.first_sent, message.retries, now, rto);
        message.deadline = next;
        let due = Due::Retransmit(seq, message.to, message.retries, Arc::clone(&message.datagram));
        self.deadlines.pop_first();
        self.deadlines.insert((next, ordinal));
        Some(due)
    }

    // Commands.

    /// Accepts a message: its number, and the datagram to transmit now.
    ///
    /// # Errors
    /// [`SendError::TooLong`], [`SendError::WindowFull`].
    pub fn send(
        &mut self,
        now: Micros,
        to: SocketAddr,
        payload: &[u8],
        policy: SendPolicy,
    ) -> Result<(Serial, Arc<Vec<u8>>), SendError> {
        if payload.len() > MAX_PAYLOAD {
            return Err(SendError::TooLong { len: payload.len() });
        }
        if !self.has_room() {
            return Err(SendError::WindowFull);
        }
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        let seq = self.seq_of(ordinal);
        let datagram = Arc::new(AckDatagram::Data { seq, payload }.compose());
        let rto = self.paths.get(&to).and_then(RttEstimator::rto);
        let deadline = policy.next_deadline(now, 0, now, rto);
        let message = Pending {
            to,
            retries: 0,
            first_sent: now,
            policy,
            deadline,
            datagram: Arc::clone(&datagram),
        };
        self.pending.insert(ordinal, message);
        self.deadlines.insert((deadline, ordinal));
        Ok((seq, datagram))
    }

    /// Gives up the message `seq`, if it is still pending.
    pub fn give_up(&mut self, seq: Serial, reason: FailReason) -> Option<Failure> {
        self.fail(self.ordinal_of(seq)?, reason)
    }

    /// Gives up the oldest pending message. Returns `None` when nothing is pending.
    pub fn give_up_oldest(&mut self, reason: FailReason) -> Option<(Serial, Failure)> {
        let (&ordinal, _) = self.pending.first_key_value()?;
        self.fail(ordinal, reason).map(|failure| (self.seq_of(ordinal), failure))
    }

    /// Forgets and returns the failures so far, oldest first.
    pub fn take_failures(&mut self) -> Vec<(Serial, Failure)> {
        let taken = self.failures().map(|(seq, &failure)| (seq, failure)).collect();
        if let Some((&last, _)) = self.failures.last_key_value() {
            self.forgotten_below = self.forgotten_below.max(last + 1);
        }
        self.failures.clear();
        taken
    }

    // Polls.

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Micros> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    fn fail(&mut self, ordinal: u64, reason: FailReason) -> Option<Failure> {
        let message = self.settle(ordinal)?;
        let failure = Failure { to: message.to, reason, retries: message.retries };
        if self.failures.len() >= MAX_FAILURES
            && let Some((oldest, _)) = self.failures.pop_first()
        {
            self.forgotten_below = oldest + 1;
        }
        self.failures.insert(ordinal, failure);
        Some(failure)
    }

    fn settle(&mut self, ordinal: u64) -> Option<Pending> {
        let message = self.pending.remove(&ordinal)?;
        self.deadlines.remove(&(message.deadline, ordinal));
        Some(message)
    }

    fn seq_of(&self, ordinal: u64) -> Serial {
        // The counter wraps: RFC 1982 §3.1.
        self.first_seq.plus(ordinal as u32)
    }

    /// The latest ordinal with the number `seq`, if one was sent.
    fn ordinal_of(&self, seq: Serial) -> Option<u64> {
        let newest = self.next_ordinal.checked_sub(1)?;
        let behind = self.seq_of(newest).get().wrapping_sub(seq.get());
        newest.checked_sub(u64::from(behind))
    }
}
