//! Which numbered payloads were seen before: exactly-once delivery's memory, bounded.
//!
//! A duplicate is the same peer, number and payload digest within [`Limits::horizon`] of its last
//! sighting. A known number with another payload is a peer that started anew. Both are decided
//! exactly while the limits hold; beyond them the oldest sightings go first, and of all peers the
//! one that fills the memory pays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::flow::peer_table::PeerTable;
use crate::flow::time::Micros;
use crate::wire::serial::Serial;

/// How much is remembered, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long after its last sighting a payload still counts as known.
    pub horizon: Duration,
    /// Peers remembered at once.
    pub peers: usize,
    /// Sightings remembered of one peer.
    pub per_peer: usize,
    /// Sightings remembered altogether.
    pub total: usize,
}

impl Default for Limits {
    /// 30 s, 4,096 peers, 262,144 sightings a peer, 1,048,576 altogether (about 80 MB when full).
    fn default() -> Self {
        Self { horizon: Duration::from_secs(30), peers: 4_096, per_peer: 1 << 18, total: 1 << 20 }
    }
}

/// What a numbered payload is to the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// Neither the number nor the payload is known.
    New,
    /// This payload under this number was seen within the horizon.
    Duplicate,
    /// The number is known, with another payload: the peer counts from the start again.
    Renumbered,
}

/// The memory of all peers.
#[derive(Debug, Clone)]
pub struct Dedup<P> {
    limits: Limits,
    peers: PeerTable<P, Memory>,
    total: usize,
    next_sweep: Micros,
}

/// What is remembered of one peer: number and digest, by themselves and by age.
#[derive(Debug, Clone, Default)]
struct Memory {
    seen: BTreeMap<(u32, u64), Micros>,
    by_age: BTreeSet<(Micros, (u32, u64))>,
}

impl<P: Ord + Clone> Dedup<P> {
    /// An empty memory.
    pub fn new(limits: Limits) -> Self {
        Self { limits, peers: PeerTable::new(limits.peers), total: 0, next_sweep: Micros::ZERO }
    }

    /// How many sightings are remembered.
    pub fn len(&self) -> usize {
        self.total
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// What this payload is at `now`. Remembers nothing, so that what cannot be accepted yet may
    /// come again as new.
    pub fn check(&self, now: Micros, peer: &P, seq: Serial, digest: u64) -> Novelty {
        let Some(memory) = self.peers.get(peer) else { return Novelty::New };
        let known = |&seen: &Micros| now.since(seen) <= self.limits.horizon;
        if memory.seen.get(&(seq.get(), digest)).is_some_and(known) {
            return Novelty::Duplicate;
        }
        let number = (seq.get(), 0)..=(seq.get(), u64::MAX);
        if memory.seen.range(number).any(|(_, seen)| known(seen)) {
            return Novelty::Renumbered;
        }
        Novelty::New
    }

    /// Remembers this payload as seen at `now`, anew if it was known.
    pub fn remember(&mut self, now: Micros, peer: &P, seq: Serial, digest: u64) {
        self.sweep(now);
        let total = &mut self.total;
        let memory = self.peers.heard(now, peer, Memory::default, |gone| *total -= gone.seen.len());
        self.total += usize::from(memory.remember(now, (seq.get(), digest)));
        if memory.seen.len() > self.limits.per_peer {
            self.total -= memory.forget_oldest();
        }
        if self.total > self.limits.total {
            self.make_room();
        }
    }

    /// Forgets what is past the horizon, at most a few times per horizon.
    fn sweep(&mut self, now: Micros) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + self.limits.horizon / 4;
        let (horizon, total) = (self.limits.horizon, &mut self.total);
        self.peers.retain(|_, memory| {
            *total -= memory.forget_expired(now, horizon);
            !memory.seen.is_empty()
        });
    }

    /// Takes an eighth from the peer that holds most: fair, and cheap per sighting.
    fn make_room(&mut self) {
        let fullest = self.peers.iter_mut().max_by_key(|(_, memory)| memory.seen.len());
        if let Some((_, memory)) = fullest {
            for _ in 0..(memory.seen.len() / 8).max(1) {
                self.total -= memory.forget_oldest();
            }
        }
    }
}

impl Memory {
    /// Whether the payload was not known before.
    fn remember(&mut self, now: Micros, key: (u32, u64)) -> bool {
        let before = self.seen.insert(key, now);
        if let Some(before) = before {
            self.by_age.remove(&(before, key));
        }
        self.by_age.insert((now, key));
        before.is_none()
    }

    fn forget_oldest(&mut self) -> usize {
        let oldest = self.by_age.pop_first();
        oldest.map_or(0, |(_, key)| usize::from(self.seen.remove(&key).is_some()))
    }

    fn forget_expired(&mut self, now: Micros, horizon: Duration) -> usize {
        let mut forgotten = 0;
        while self.by_age.first().is_some_and(|&(seen, _)| now.since(seen) > horizon) {
            forgotten += self.forget_oldest();
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { horizon: Duration::from_secs(30), peers: 4, per_peer: 8, total: 12 };

    fn at(secs: u64) -> Micros {
        Micros::new(secs * 1_000_000)
    }

    fn seq(n: u32) -> Serial {
        Serial::new(n)
    }

    #[test]
    fn same_peer_number_and_payload_is_a_duplicate_for_thirty_seconds() {
        let mut dedup = Dedup::new(LIMITS);
        assert_eq!(dedup.check(at(0), &'a', seq(5), 77), Novelty::New);
        dedup.remember(at(0), &'a', seq(5), 77);
        assert_eq!(dedup.check(at(30), &'a', seq(5), 77), Novelty::Duplicate);
        assert_eq!(dedup.check(at(31), &'a', seq(5), 77), Novelty::New);
        assert_eq!(dedup.check(at(1), &'b', seq(5), 77), Novelty::New);
        assert_eq!(dedup.check(at(1), &'a', seq(6), 77), Novelty::New);
    }

    #[test]
    fn seeing_it_again_prolongs_the_memory() {
        let mut dedup = Dedup::new(LIMITS);
        for second in [0, 20, 40, 60] {
            dedup.remember(at(second), &'a', seq(5), 77);
        }
        assert_eq!(dedup.check(at(90), &'a', seq(5), 77), Novelty::Duplicate);
        assert_eq!(dedup.len(), 1);
    }

    #[test]
    fn another_payload_under_a_known_number_is_a_restart_and_both_are_known() {
        let mut dedup = Dedup::new(LIMITS);
        dedup.remember(at(0), &'a', seq(0), 1);
        assert_eq!(dedup.check(at(1), &'a', seq(0), 2), Novelty::Renumbered);
        dedup.remember(at(1), &'a', seq(0), 2);
        // A late copy from before the restart is still a duplicate.
        assert_eq!(dedup.check(at(2), &'a', seq(0), 1), Novelty::Duplicate);
        assert_eq!(dedup.check(at(2), &'a', seq(0), 2), Novelty::Duplicate);
    }

    #[test]
    fn memory_is_bounded_and_the_greedy_pay() {
        let mut dedup = Dedup::new(LIMITS);
        for n in 0..4 {
            dedup.remember(at(0), &'a', seq(n), 0);
        }
        for n in 0..1_000 {
            dedup.remember(at(1), &'b', seq(n), 0);
            dedup.remember(at(1), &'c', seq(n), 0);
            assert!(dedup.len() <= LIMITS.total);
        }
        for n in 0..4 {
            assert_eq!(dedup.check(at(2), &'a', seq(n), 0), Novelty::Duplicate, "{n}");
        }
        for peer in 'd'..='z' {
            dedup.remember(at(3), &peer, seq(0), 0);
        }
        assert!(dedup.len() <= LIMITS.total);
        assert_eq!(dedup.peers.len(), LIMITS.peers);
        assert_eq!(dedup.total, dedup.peers.iter().map(|(_, m)| m.seen.len()).sum::<usize>());
    }

    #[test]
    fn silence_empties_the_memory() {
        let mut dedup = Dedup::new(LIMITS);
        for n in 0..8 {
            dedup.remember(at(0), &'a', seq(n), 0);
        }
        dedup.remember(at(40), &'b', seq(0), 0);
        assert_eq!((dedup.len(), dedup.peers.len()), (1, 1));
    }
}
