//! What must hold in every run, whatever the network does.

use super::traffic::{MODES, Planned, Proof, verify};
use std::collections::{BTreeMap, BTreeSet};
use udpcore::transport::{Connection, Micros, Mode, Outcome, Receipt, Time, TraceEvent};

/// One direction of one connection: what was sent, with receipts, and what came.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Message index to what was planned and its receipt.
    pub sent: BTreeMap<u32, (Planned, Receipt)>,
    /// Per channel, the indices received, in order.
    pub received: BTreeMap<u32, Vec<u32>>,
    seen: BTreeSet<u32>,
}

impl Ledger {
    /// A message came out at the other end.
    pub fn on_received(&mut self, now: Time, channel: u32, bytes: &[u8], slack: Micros) {
        let Proof { index, deadline } = verify(bytes).expect("a message arrived changed");
        let (planned, _) = self.sent.get(&index).expect("a message nobody sent");
        assert_eq!(planned.channel, channel, "message {index} came on another channel");
        assert!(self.seen.insert(index), "message {index} was delivered twice");
        assert!(
            now <= deadline + slack,
            "message {index} was due at {deadline:?} and delivered at {now:?}"
        );
        let order = self.received.entry(channel).or_default();
        let keeps_order = matches!(MODES[channel as usize % 4], Mode::Ordered | Mode::Sequenced);
        if keeps_order {
            let before = order.last().copied();
            assert!(before.is_none_or(|b| b < index), "{index} came after {before:?}");
        }
        order.push(index);
    }

    /// The connection had time to deliver everything: did it?
    pub fn check_complete(&self, sender: &Connection) {
        for (index, (planned, receipt)) in &self.sent {
            let arrived = self.seen.contains(index);
            let outcome = sender.outcome(*receipt);
            let mode = MODES[planned.channel as usize % 4];
            assert_ne!(outcome, Outcome::Pending, "message {index} {planned:?} is unsettled");
            let newest_of_channel = self
                .sent
                .iter()
                .filter(|(_, (other, _))| other.channel == planned.channel)
                .all(|(other, _)| other <= index);
            let must_arrive = planned.deadline.is_none()
                && match mode {
                    Mode::Ordered | Mode::Unordered => true,
                    Mode::Sequenced => newest_of_channel,
                    Mode::Unreliable => false,
                };
            if must_arrive {
                assert_eq!(outcome, Outcome::Acked, "message {index} {planned:?}");
                assert!(arrived, "message {index} {planned:?} never arrived");
            }
            if planned.deadline.is_none() {
                assert_ne!(outcome, Outcome::Expired, "message {index} has no deadline");
            }
            // What a receipt promises is so, except where the receiver may pass over a message.
            let promised = outcome == Outcome::Acked
                && planned.deadline.is_none()
                && matches!(mode, Mode::Ordered | Mode::Unordered);
            assert!(arrived || !promised, "message {index} {planned:?} is acked, not delivered");
        }
    }
}

/// What must hold of every recorded event.
pub fn check_trace(events: &[(Time, TraceEvent)]) {
    let mut last = Time(0);
    let mut last_number = None;
    for (at, event) in events {
        assert!(*at >= last, "time went back");
        last = *at;
        if let TraceEvent::Sent { number, in_flight, cwnd, ack_eliciting, is_probe, .. } = event {
            assert!(last_number.is_none_or(|l| l < *number), "number {number} was used again");
            last_number = Some(*number);
            let within = *in_flight <= *cwnd;
            assert!(
                within || *is_probe || !*ack_eliciting,
                "packet {number}: {in_flight} bytes in flight, the window is {cwnd}"
            );
        }
    }
}

/// Whom a server may answer, and how much (RFC 9000 §8.1).
#[derive(Debug, Default)]
pub struct Amplification {
    addresses: BTreeMap<std::net::SocketAddr, (u64, u64, bool)>,
}

impl Amplification {
    /// The server got bytes; a short packet can only come from one that got our answer, perhaps
    /// at another port than it sends from now: it knows the 64 bits of our id (RFC 9000 §8.1).
    pub fn on_received(&mut self, from: std::net::SocketAddr, len: usize, is_short: bool) {
        self.addresses.entry(from).or_default().0 += len as u64;
        if is_short {
            let host = self.addresses.iter_mut().filter(|(address, _)| address.ip() == from.ip());
            host.for_each(|(_, (_, _, is_proved))| *is_proved = true);
        }
    }

    pub fn on_sent(&mut self, to: std::net::SocketAddr, len: usize) {
        let entry = self.addresses.entry(to).or_default();
        entry.1 += len as u64;
        let (received, sent, is_proved) = *entry;
        assert!(
            is_proved || sent <= 3 * received,
            "{to} sent {received} bytes, unproved, and got {sent}"
        );
    }
}
