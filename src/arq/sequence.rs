//! Sequence numbers only: what a receiver can tell about a stream that nobody repeats.
//!
//! Per peer: the number expected next, which numbers were skipped and never came (lost), which
//! ones came after they had been skipped (late), which came twice (duplicates). Loss here is
//! inferred, and taken back when the missing one turns out to be late (as in RFC 3550 §6.4.1).

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::flow::dedup::{Dedup, Limits, Novelty};
use crate::flow::digest::digest;
use crate::flow::peer_table::PeerTable;
use crate::flow::time::Micros;
use crate::wire::error::WireError;
use crate::wire::sequence::SequencedText;
use crate::wire::serial::Serial;

/// A jump ahead of more than this is not loss but a peer that counts from elsewhere
/// (`MAX_DROPOUT` of RFC 3550 §A.1).
pub const MAX_DROPOUT: u32 = 3_000;

/// Peers watched at once.
pub const MAX_PEERS: usize = 1_024;

/// Missing numbers remembered per peer; older ones stay lost for good.
pub const MAX_MISSING: usize = 16_384;

/// The memory for duplicates.
const DEDUP: Limits = Limits {
    horizon: std::time::Duration::from_secs(30),
    peers: MAX_PEERS,
    per_peer: 16_384,
    total: 1 << 18,
};

/// What a numbered text is to its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The number expected.
    InOrder,
    /// This many numbers before it are missing.
    Gap(u32),
    /// It was missing, and has come after all.
    Late,
    /// It has come before.
    Duplicate,
    /// The peer counts from elsewhere: it was started anew.
    Restarted,
}

/// Counters, of one peer or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SequenceStats {
    /// Messages that arrived, without duplicates.
    pub received: u64,
    /// Numbers skipped that have not come.
    pub lost: u64,
    /// Numbers that came after they had been skipped.
    pub late: u64,
    /// Messages that came again.
    pub duplicates: u64,
    /// Times a peer was seen to count from elsewhere.
    pub restarts: u64,
}

impl SequenceStats {
    fn count(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Duplicate => {
                self.duplicates += 1;
                return;
            }
            Arrival::InOrder => {}
            Arrival::Gap(missing) => self.lost += u64::from(missing),
            Arrival::Late => {
                self.late += 1;
                self.lost -= 1;
            }
            Arrival::Restarted => self.restarts += 1,
        }
        self.received += 1;
    }
}

/// One peer's stream.
#[derive(Debug, Clone)]
pub struct PeerSequence {
    /// The next number, counted on beyond 32 bits.
    expected: u64,
    missing: BTreeSet<u64>,
    stats: SequenceStats,
}

impl PeerSequence {
    /// The number expected next.
    pub fn expected(&self) -> Serial {
        Serial::new(self.expected as u32)
    }

    /// This peer's counters.
    pub fn stats(&self) -> SequenceStats {
        self.stats
    }

    /// A peer of which `first` is heard. One that starts near 0 is taken to have started there;
    /// one that is far on was joined midway, and what came before is nobody's loss.
    fn new(first: Serial) -> Self {
        let expected = if first.get() <= MAX_DROPOUT { Serial::new(0) } else { first };
        let expected = FIRST_LAP + u64::from(expected.get());
        Self { expected, missing: BTreeSet::new(), stats: SequenceStats::default() }
    }

    fn arrive(&mut self, seq: Serial, novelty: Novelty) -> Arrival {
        let ahead = self.expected().distance_to(seq);
        let arrival = match novelty {
            Novelty::Duplicate => return self.count(Arrival::Duplicate),
            _ if ahead == 0 => Arrival::InOrder,
            Novelty::Renumbered => Arrival::Restarted,
            Novelty::New if ahead > 0 && ahead.unsigned_abs() <= MAX_DROPOUT => {
                Arrival::Gap(ahead.unsigned_abs())
            }
            Novelty::New if ahead < 0 && self.missing.remove(&self.at(ahead)) => {
                return self.count(Arrival::Late);
            }
            Novelty::New => Arrival::Restarted,
        };
        match arrival {
            Arrival::Restarted => {
                self.expected = FIRST_LAP + u64::from(seq.get());
                self.missing.clear();
            }
            _ => {
                let here = self.at(ahead);
                self.missing.extend(self.expected..here);
                while self.missing.len() > MAX_MISSING {
                    self.missing.pop_first();
                }
                self.expected = here;
            }
        }
        self.expected += 1;
        self.count(arrival)
    }

    fn at(&self, steps: i32) -> u64 {
        self.expected.saturating_add_signed(i64::from(steps))
    }

    fn count(&mut self, arrival: Arrival) -> Arrival {
        self.stats.count(arrival);
        arrival
    }
}

/// Room below the first number for numbers that come late.
const FIRST_LAP: u64 = 1 << 32;

/// The receiver's machine: all peers.
///
/// ```
/// use udpcore::arq::sequence::{Arrival, SequenceDetector};
/// use udpcore::flow::time::Micros;
/// let peer = "10.0.0.1:1000".parse().unwrap();
/// let mut detector = SequenceDetector::new();
/// let mut hear = |datagram: &[u8]| {
///     detector.handle_datagram(Micros::ZERO, peer, datagram).map(|(_, arrival)| arrival)
/// };
/// assert_eq!(hear(b"\0\0\0\0a"), Ok(Arrival::InOrder));
/// assert_eq!(hear(b"\0\0\0\x02c"), Ok(Arrival::Gap(1)));
/// assert_eq!(hear(b"\0\0\0\x01b"), Ok(Arrival::Late));
/// assert_eq!(detector.stats().lost, 0);
/// ```
#[derive(Debug)]
pub struct SequenceDetector {
    peers: PeerTable<SocketAddr, PeerSequence>,
    dedup: Dedup<SocketAddr>,
    totals: SequenceStats,
    malformed: u64,
    expected: Serial,
}

impl Default for SequenceDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl SequenceDetector {
    /// A detector that has heard nobody.
    pub fn new() -> Self {
        Self {
            peers: PeerTable::new(MAX_PEERS),
            dedup: Dedup::new(DEDUP),
            totals: SequenceStats::default(),
            malformed: 0,
            expected: Serial::new(0),
        }
    }

    // Getters.

    /// The number expected next from the peer heard last; 0 before anybody was heard.
    pub fn expected(&self) -> Serial {
        self.expected
    }

    /// The counters of all peers together, also of those forgotten.
    pub fn stats(&self) -> SequenceStats {
        self.totals
    }

    /// Datagrams that did not follow the format.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Every peer known, in the order of their addresses.
    pub fn peers(&self) -> impl Iterator<Item = (&SocketAddr, &PeerSequence)> {
        self.peers.iter()
    }

    // Handlers.

    /// A datagram arrived: its message, and what it is to this receiver.
    ///
    /// # Errors
    /// [`WireError`] when it does not follow the format; counted too.
    pub fn handle_datagram<'a>(
        &mut self,
        now: Micros,
        from: SocketAddr,
        datagram: &'a [u8],
    ) -> Result<(SequencedText<'a>, Arrival), WireError> {
        let message = SequencedText::parse(datagram).inspect_err(|_| self.malformed += 1)?;
        let digest = digest(message.text.as_bytes());
        let novelty = self.dedup.check(now, &from, message.seq, digest);
        self.dedup.remember(now, &from, message.seq, digest);
        let peer = self.peers.heard(now, &from, || PeerSequence::new(message.seq), drop);
        let arrival = peer.arrive(message.seq, novelty);
        self.expected = peer.expected();
        self.totals.count(arrival);
        Ok((message, arrival))
    }
}

#[cfg(test)]
mod tests;
