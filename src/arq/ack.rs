//! `UDPWithACK` as a sans-IO machine: both halves of one endpoint, what it counts and tells.
//!
//! Bytes from the network never fail a call: what does not follow the format is counted by
//! reason. See the parent module for the contract between the machine and its driver.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::arq::ack_receiver::{AckReceiver, MAX_QUEUED, Received, Taken};
use crate::arq::ack_sender::{
    AckOutcome, AckSender, Due, FailReason, Failure, MAX_PENDING, Pending, SendError, Status,
};
use crate::arq::event::Event;
use crate::arq::send_policy::SendPolicy;
use crate::arq::stats::AckStats;
use crate::flow::dedup::Limits;
use crate::flow::time::Micros;
use crate::wire::ack::{AckDatagram, HEADER_LEN, compose_ack};
use crate::wire::error::WireFault;
use crate::wire::serial::Serial;

/// ACKs that may wait to be transmitted; a driver that polls after each batch never gets there.
pub const MAX_TRANSMITS: usize = 4_096;

/// Events kept for whoever listens; more are counted in [`AckEndpoint::events_lost`].
pub const MAX_EVENTS: usize = 4_096;

/// How an endpoint is made.
#[derive(Debug, Clone, Copy)]
pub struct AckConfig {
    /// The number of the first message.
    pub first_seq: Serial,
    /// Unacknowledged messages at once.
    pub max_pending: usize,
    /// Received messages that may wait for the application.
    pub max_queued: usize,
    /// The memory of what was received.
    pub dedup: Limits,
    /// Whether [`AckEndpoint::poll_event`] tells what happens.
    pub events: bool,
}

impl Default for AckConfig {
    fn default() -> Self {
        Self {
            first_seq: Serial::new(0),
            max_pending: MAX_PENDING,
            max_queued: MAX_QUEUED,
            dedup: Limits::default(),
            events: false,
        }
    }
}

/// A datagram to transmit.
#[derive(Debug, Clone)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The datagram, shared with the message that waits for its ACK.
    pub contents: Contents,
}

/// The bytes of a [`Transmit`].
#[derive(Debug, Clone)]
pub enum Contents {
    /// A DATA datagram.
    Data(Arc<Vec<u8>>),
    /// An ACK.
    Ack([u8; HEADER_LEN]),
}

impl Contents {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Data(datagram) => datagram,
            Self::Ack(datagram) => datagram,
        }
    }
}

/// One endpoint: sends and receives messages with acknowledgement.
///
/// ```
/// use udpcore::arq::ack::{AckConfig, AckEndpoint};
/// use udpcore::arq::send_policy::SendPolicy;
/// use udpcore::flow::time::Micros;
///
/// let (a, b) = ("10.0.0.1:1000".parse().unwrap(), "10.0.0.2:2000".parse().unwrap());
/// let mut alice = AckEndpoint::new(AckConfig::default());
/// let mut bob = AckEndpoint::new(AckConfig::default());
/// let now = Micros::ZERO;
/// let seq = alice.send(now, b, b"hello", SendPolicy::default()).unwrap();
/// let data = alice.poll_transmit().unwrap();
/// bob.handle_datagram(now, a, data.contents.as_slice());
/// assert_eq!(bob.receive().unwrap().payload, b"hello");
/// let ack = bob.poll_transmit().unwrap();
/// alice.handle_datagram(now, b, ack.contents.as_slice());
/// assert!(alice.is_idle());
/// # let _ = seq;
/// ```
#[derive(Debug)]
pub struct AckEndpoint {
    sender: AckSender,
    receiver: AckReceiver,
    stats: AckStats,
    transmits: VecDeque<Transmit>,
    events: Option<VecDeque<Event>>,
    events_lost: u64,
    closed: bool,
}

impl AckEndpoint {
    /// An endpoint that has sent and received nothing.
    pub fn new(config: AckConfig) -> Self {
        Self {
            sender: AckSender::new(config.first_seq, config.max_pending),
            receiver: AckReceiver::new(config.max_queued, config.dedup),
            stats: AckStats::default(),
            transmits: VecDeque::new(),
            events: config.events.then(VecDeque::new),
            events_lost: 0,
            closed: false,
        }
    }

    // Getters.

    /// What was counted so far.
    pub fn stats(&self) -> AckStats {
        self.stats
    }

    /// The messages that wait for their ACK, oldest first.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = (Serial, &Pending)> {
        self.sender.pending()
    }

    /// The messages that failed, as far as remembered.
    pub fn failures(&self) -> impl ExactSizeIterator<Item = (Serial, &Failure)> {
        self.sender.failures()
    }

    /// Where the message with the number `seq` stands.
    pub fn status(&self, seq: Serial) -> Status {
        self.sender.status(seq)
    }

    /// The number the next message will get.
    pub fn next_seq(&self) -> Serial {
        self.sender.next_seq()
    }

    /// The smoothed round-trip time to `peer`, once measured.
    pub fn srtt(&self, peer: &SocketAddr) -> Option<Duration> {
        self.sender.srtt(peer)
    }

    /// Whether one more message would be accepted now.
    pub fn has_room(&self) -> bool {
        !self.closed && self.sender.has_room()
    }

    /// Whether every message sent so far is acknowledged or failed.
    pub fn is_idle(&self) -> bool {
        self.sender.pending().len() == 0
    }

    /// How many received messages wait for the application.
    pub fn queued(&self) -> usize {
        self.receiver.queued()
    }

    /// Events that found their queue full.
    pub fn events_lost(&self) -> u64 {
        self.events_lost
    }

    // Handlers.

    /// A datagram arrived.
    pub fn handle_datagram(&mut self, now: Micros, from: SocketAddr, datagram: &[u8]) {
        match AckDatagram::parse(datagram) {
            _ if self.closed => {}
            Ok(AckDatagram::Data { seq, payload }) => self.handle_data(now, from, seq, payload),
            Ok(AckDatagram::Ack { seq }) => self.handle_ack(now, from, seq),
            Err(error) => {
                match error.fault {
                    WireFault::UnknownType(_) => self.stats.unknown_type += 1,
                    WireFault::TrailingBytes(_) => self.stats.ack_with_data += 1,
                    // The format knows no other fault.
                    _ => self.stats.truncated += 1,
                }
                self.tell(Event::Malformed(from, error));
            }
        }
    }

    /// Time has passed: repeats what is due, gives up what is hopeless.
    pub fn handle_timeout(&mut self, now: Micros) {
        while let Some(due) = self.sender.handle_timeout(now) {
            match due {
                Due::Retransmit(seq, to, retries, datagram) => {
                    self.stats.retransmissions += 1;
                    self.transmits.push_back(Transmit { to, contents: Contents::Data(datagram) });
                    self.tell(Event::Retransmitted(seq, to, retries));
                }
                Due::Failed(seq, failure) => self.failed(seq, failure),
            }
        }
    }

    /// The driver could not send the message `seq` at all: it fails.
    pub fn handle_send_error(&mut self, seq: Serial) {
        if let Some(failure) = self.sender.give_up(seq, FailReason::NotSent) {
            self.failed(seq, failure);
        }
    }

    // Commands.

    /// Accepts a message for `to`.
    ///
    /// # Errors
    /// [`SendError`]: too long, too many unacknowledged, closed. Nothing was accepted then.
    pub fn send(
        &mut self,
        now: Micros,
        to: SocketAddr,
        payload: &[u8],
        policy: SendPolicy,
    ) -> Result<Serial, SendError> {
        if self.closed {
            return Err(SendError::Closed);
        }
        let (seq, datagram) = self.sender.send(now, to, payload, policy)?;
        self.stats.sent += 1;
        self.transmits.push_back(Transmit { to, contents: Contents::Data(datagram) });
        self.tell(Event::Sent(seq, to));
        Ok(seq)
    }

    /// The oldest message received and not yet taken; also after [`Self::close`].
    pub fn receive(&mut self) -> Option<Received> {
        self.receiver.receive()
    }

    /// Forgets and returns the failures so far, oldest first.
    pub fn take_failures(&mut self) -> Vec<(Serial, Failure)> {
        self.sender.take_failures()
    }

    /// Stops: what waits for an ACK fails, what arrives is ignored. What was received can still
    /// be taken.
    pub fn close(&mut self) {
        self.closed = true;
        self.transmits.clear();
        while let Some((seq, failure)) = self.sender.give_up_oldest(FailReason::Closed) {
            self.failed(seq, failure);
        }
    }

    // Polls.

    /// The next datagram to transmit.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing worth telling, if [`AckConfig::events`] asked for it.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.as_mut()?.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Micros> {
        self.sender.poll_timeout()
    }

    fn handle_data(&mut self, now: Micros, from: SocketAddr, seq: Serial, payload: &[u8]) {
        let taken = self.receiver.handle_data(now, from, seq, payload);
        match taken {
            Taken::Delivered => self.stats.received += 1,
            Taken::Duplicate => self.stats.duplicates += 1,
            Taken::QueueFull => self.stats.queue_full += 1,
            Taken::Restarted => {
                self.stats.received += 1;
                self.stats.restarted += 1;
            }
        }
        self.tell(Event::Data(seq, from, taken));
        if taken == Taken::QueueFull {
            return;
        }
        if self.transmits.len() >= MAX_TRANSMITS {
            // The sender repeats the DATA, and the ACK gets another chance.
            self.stats.acks_dropped += 1;
            return;
        }
        self.stats.acks_sent += 1;
        let contents = Contents::Ack(compose_ack(seq));
        self.transmits.push_back(Transmit { to: from, contents });
    }

    fn handle_ack(&mut self, now: Micros, from: SocketAddr, seq: Serial) {
        let outcome = self.sender.handle_ack(now, from, seq);
        match outcome {
            AckOutcome::Acked(rtt) => {
                self.stats.acked += 1;
                return self.tell(Event::Acked(seq, from, rtt));
            }
            AckOutcome::Again => self.stats.ack_again += 1,
            AckOutcome::Unknown => self.stats.ack_unknown += 1,
            AckOutcome::WrongPeer => self.stats.ack_wrong_peer += 1,
        }
        self.tell(Event::StrayAck(seq, from, outcome));
    }

    fn failed(&mut self, seq: Serial, failure: Failure) {
        self.stats.failed += 1;
        self.tell(Event::Failed(seq, failure));
    }

    fn tell(&mut self, event: Event) {
        let Some(events) = &mut self.events else { return };
        if events.len() < MAX_EVENTS {
            events.push_back(event);
        } else {
            self.events_lost += 1;
        }
    }
}

#[cfg(test)]
mod tests;
