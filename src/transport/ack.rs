//! What we owe the peer: which packets arrived, and when to say so (RFC 9000 §13.2).

use super::ranges::RangeSet;
use super::time::{Micros, Time};
use crate::wire::transport::{ACK_RANGES_MAX, EcnCounts};

/// More ack-eliciting packets than this are acknowledged at once (RFC 9000 §13.2.2).
const THRESHOLD_DEFAULT: u64 = 1;

/// The mark a datagram arrived with or leaves with (RFC 3168).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ecn {
    /// Not ECN-capable.
    #[default]
    NotEct,
    /// Capable, codepoint 0.
    Ect0,
    /// Capable, codepoint 1.
    Ect1,
    /// Congestion was met.
    Ce,
}

/// Whether a packet was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// For the first time.
    New,
    /// It was, or is so old that it may have been.
    Duplicate,
}

/// The packets that arrived, and the acknowledgement of them that is due.
#[derive(Clone, Debug)]
pub(crate) struct AckState {
    received: RangeSet,
    /// Numbers below this are forgotten and count as duplicates.
    floor: u64,
    /// When the packet with the highest number arrived.
    highest_at: Time,
    ecn: EcnCounts,
    eliciting_unacked: u64,
    due: bool,
    /// The packet being read asks for an acknowledgement at once.
    is_asked: bool,
    threshold: u64,
    delay_max: Micros,
    frequency_seq: Option<u64>,
}

impl AckState {
    pub(crate) fn new(delay_max: Micros) -> Self {
        Self {
            received: RangeSet::new(),
            floor: 0,
            highest_at: Time(0),
            ecn: EcnCounts::default(),
            eliciting_unacked: 0,
            due: false,
            is_asked: false,
            threshold: THRESHOLD_DEFAULT,
            delay_max,
            frequency_seq: None,
        }
    }

    /// Whether the packet number is new; to be asked before its frames are handled.
    pub(crate) fn check(&self, number: u64) -> Arrival {
        if number < self.floor || self.received.contains(number) {
            Arrival::Duplicate
        } else {
            Arrival::New
        }
    }

    /// Notes a packet. Returns when the acknowledgement must go at the latest, if one waits.
    pub(crate) fn on_packet(
        &mut self,
        now: Time,
        number: u64,
        ecn: Ecn,
        ack_eliciting: bool,
    ) -> Option<Time> {
        let highest = self.received.highest();
        let in_order = highest.is_none_or(|highest| number == highest + 1);
        if highest.is_none_or(|highest| number > highest) {
            self.highest_at = now;
        }
        self.received.insert_one(number);
        if self.received.len() > ACK_RANGES_MAX {
            self.received.keep_highest(ACK_RANGES_MAX);
            self.floor = self.received.lowest().unwrap_or(self.floor);
        }
        match ecn {
            Ecn::NotEct => {}
            Ecn::Ect0 => self.ecn.ect0 += 1,
            Ecn::Ect1 => self.ecn.ect1 += 1,
            Ecn::Ce => self.ecn.ce += 1,
        }
        if !ack_eliciting {
            return None;
        }
        self.eliciting_unacked += 1;
        let is_asked = std::mem::take(&mut self.is_asked);
        // RFC 9000 §13.2.1: at once when out of order, when there is a gap, or on CE.
        let tells_more = !in_order || is_asked || ecn == Ecn::Ce;
        self.due |= tells_more || self.eliciting_unacked > self.threshold;
        (!self.due).then_some(now + self.delay_max)
    }

    /// The peer asks for another rhythm.
    pub(crate) fn on_frequency(&mut self, seq: u64, threshold: u64, delay_max: Micros) {
        if self.frequency_seq.is_none_or(|known| seq > known) {
            self.frequency_seq = Some(seq);
            self.threshold = threshold;
            self.delay_max = delay_max;
        }
    }

    /// The packet being read wants to be acknowledged at once.
    pub(crate) fn on_asked(&mut self) {
        self.is_asked = true;
    }

    /// The time to hold back is over.
    pub(crate) fn on_timeout(&mut self) {
        self.due = self.eliciting_unacked > 0;
    }

    /// An acknowledgement must go now.
    pub(crate) fn is_due(&self) -> bool {
        self.due
    }

    /// An acknowledgement is worth adding to a packet that goes anyway.
    pub(crate) fn is_useful(&self) -> bool {
        self.eliciting_unacked > 0
    }

    /// Everything received so far is in a packet that leaves.
    pub(crate) fn on_sent(&mut self) {
        self.eliciting_unacked = 0;
        self.due = false;
    }

    /// RFC 9000 §13.2.4: the peer has our ACK up to `largest`; stop repeating what it lists.
    pub(crate) fn on_ack_of_ack(&mut self, largest: u64) {
        // The newest range stays, so that there is always something to say.
        let keep = self.received.descending().next().map_or(0, |range| *range.start());
        let floor = (largest + 1).min(keep);
        self.received.remove_below(floor);
        self.floor = self.floor.max(floor);
    }

    pub(crate) fn received(&self) -> &RangeSet {
        &self.received
    }

    /// The next packet number to expect, for decoding truncated ones.
    pub(crate) fn expected(&self) -> u64 {
        self.received.highest().map_or(0, |highest| highest + 1)
    }

    /// How long the newest packet has been waiting for its acknowledgement.
    pub(crate) fn delay(&self, now: Time) -> Micros {
        now.since(self.highest_at)
    }

    /// The marks counted, if there were any.
    pub(crate) fn ecn(&self) -> Option<EcnCounts> {
        (self.ecn != EcnCounts::default()).then_some(self.ecn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_second_packet_and_every_gap_is_acknowledged_at_once() {
        let mut acks = AckState::new(Micros::from_ms(25));
        assert_eq!(acks.on_packet(Time(0), 0, Ecn::NotEct, true), Some(Time(25_000)));
        assert!(!acks.is_due() && acks.is_useful());
        assert_eq!(acks.on_packet(Time(1), 1, Ecn::NotEct, true), None);
        assert!(acks.is_due());
        acks.on_sent();
        acks.on_packet(Time(2), 3, Ecn::NotEct, true);
        assert!(acks.is_due(), "a gap");
        assert_eq!(acks.check(3), Arrival::Duplicate);
        assert_eq!(acks.check(2), Arrival::New);
    }

    #[test]
    fn acknowledged_acknowledgements_are_not_repeated_but_stay_known() {
        let mut acks = AckState::new(Micros::ZERO);
        for number in [0, 1, 5, 6, 9] {
            acks.on_packet(Time(0), number, Ecn::NotEct, true);
        }
        acks.on_ack_of_ack(6);
        assert_eq!(acks.received().descending().collect::<Vec<_>>(), [9..=9]);
        assert_eq!(acks.check(5), Arrival::Duplicate);
        assert_eq!(acks.check(7), Arrival::New);
    }

    #[test]
    fn memory_is_bounded_under_endless_gaps() {
        let mut acks = AckState::new(Micros::ZERO);
        for number in 0..10_000 {
            acks.on_packet(Time(0), number * 2, Ecn::NotEct, true);
        }
        assert_eq!(acks.received().len(), ACK_RANGES_MAX);
        assert_eq!(acks.check(3), Arrival::Duplicate, "too old to tell");
    }
}
