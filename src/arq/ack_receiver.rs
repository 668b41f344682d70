//! The receiving half of `UDPWithACK`: every message once, whatever the network repeats.
//!
//! A duplicate is the same peer, number and payload within 30 s (`flow::dedup`). Gaps are normal
//! and never waited for: a tutorial's counter numbers the messages to all its destinations.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::flow::dedup::{Dedup, Limits, Novelty};
use crate::flow::digest::digest;
use crate::flow::time::Micros;
use crate::wire::serial::Serial;

/// Messages that may wait for the application.
pub const MAX_QUEUED: usize = 65_536;

/// Bytes that may wait for the application.
pub const MAX_QUEUED_BYTES: usize = 64 << 20;

/// A message for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub from: SocketAddr,
    /// Its number.
    pub seq: Serial,
    /// What was sent.
    pub payload: Vec<u8>,
}

/// What became of a DATA datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Queued for the application: acknowledge.
    Delivered,
    /// Queued; its number was known with another payload: acknowledge.
    Restarted,
    /// Known already: acknowledge again, the first ACK may be lost.
    Duplicate,
    /// No room. Not acknowledged and not remembered: the sender will repeat it.
    QueueFull,
}

/// The machine.
#[derive(Debug)]
pub struct AckReceiver {
    dedup: Dedup<SocketAddr>,
    queue: VecDeque<Received>,
    queued_bytes: usize,
    max_queued: usize,
}

impl AckReceiver {
    /// A receiver that queues at most `max_queued` messages and [`MAX_QUEUED_BYTES`].
    pub fn new(max_queued: usize, limits: Limits) -> Self {
        Self { dedup: Dedup::new(limits), queue: VecDeque::new(), queued_bytes: 0, max_queued }
    }

    /// How many messages wait for the application.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// A DATA datagram arrived.
    pub fn handle_data(
        &mut self,
        now: Micros,
        from: SocketAddr,
        seq: Serial,
        payload: &[u8],
    ) -> Taken {
        let digest = digest(payload);
        let taken = match self.dedup.check(now, &from, seq, digest) {
            Novelty::Duplicate => Taken::Duplicate,
            _ if !self.has_room(payload.len()) => return Taken::QueueFull,
            Novelty::New => Taken::Delivered,
            Novelty::Renumbered => Taken::Restarted,
        };
        self.dedup.remember(now, &from, seq, digest);
        if taken != Taken::Duplicate {
            self.queued_bytes += payload.len();
            self.queue.push_back(Received { from, seq, payload: payload.to_vec() });
        }
        taken
    }

    /// The oldest message that waits.
    pub fn receive(&mut self) -> Option<Received> {
        let message = self.queue.pop_front()?;
        self.queued_bytes -= message.payload.len();
        Some(message)
    }

    fn has_room(&self, len: usize) -> bool {
        self.queue.len() < self.max_queued && self.queued_bytes + len <= MAX_QUEUED_BYTES
    }
}
