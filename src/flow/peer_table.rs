//! State per peer with a bound: when a new peer finds the table full, those heard of longest ago
//! make room. Iteration follows the order of the peers' addresses, never a hash.

use std::collections::BTreeMap;

use crate::flow::time::Micros;

/// At a full table this fraction of the peers is forgotten at once, so that a flood of new
/// addresses costs O(1) each.
const EVICTED_FRACTION: usize = 8;

/// At most `capacity` peers with a `T` each.
#[derive(Debug, Clone)]
pub struct PeerTable<P, T> {
    peers: BTreeMap<P, Entry<T>>,
    capacity: usize,
    evicted: u64,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    heard: Micros,
    value: T,
}

impl<P: Ord + Clone, T> PeerTable<P, T> {
    /// An empty table for `capacity` peers (at least one).
    pub fn new(capacity: usize) -> Self {
        Self { peers: BTreeMap::new(), capacity: capacity.max(1), evicted: 0 }
    }

    /// How many peers are known.
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// How many peers were forgotten because the table was full.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The state of `peer`, without counting as news of it.
    pub fn get(&self, peer: &P) -> Option<&T> {
        self.peers.get(peer).map(|entry| &entry.value)
    }

    /// All peers, in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&P, &T)> {
        self.peers.iter().map(|(peer, entry)| (peer, &entry.value))
    }

    /// All peers, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&P, &mut T)> {
        self.peers.iter_mut().map(|(peer, entry)| (peer, &mut entry.value))
    }

    /// Forgets those for whom `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&P, &mut T) -> bool) {
        self.peers.retain(|peer, entry| keep(peer, &mut entry.value));
    }

    /// News of `peer` at `now`: its state, made by `new` if it was unknown. States that had to
    /// make room go to `forgotten`.
    pub fn heard(
        &mut self,
        now: Micros,
        peer: &P,
        new: impl FnOnce() -> T,
        forgotten: impl FnMut(T),
    ) -> &mut T {
        if !self.peers.contains_key(peer) && self.peers.len() >= self.capacity {
            self.evict(forgotten);
        }
        let entry =
            self.peers.entry(peer.clone()).or_insert_with(|| Entry { heard: now, value: new() });
        entry.heard = now;
        &mut entry.value
    }

    fn evict(&mut self, mut forgotten: impl FnMut(T)) {
        let count = (self.capacity / EVICTED_FRACTION).max(1);
        let mut ages: Vec<(Micros, P)> =
            self.peers.iter().map(|(peer, entry)| (entry.heard, peer.clone())).collect();
        ages.select_nth_unstable(count - 1);
        for (_, peer) in ages.drain(..count) {
            if let Some(entry) = self.peers.remove(&peer) {
                self.evicted += 1;
                forgotten(entry.value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_silent_make_room_for_the_new() {
        let mut table = PeerTable::new(16);
        for peer in 0..16_u64 {
            table.heard(Micros::new(peer), &peer, || peer, |_| panic!("room for all"));
        }
        table.heard(Micros::new(100), &0, || 99, |_| panic!("known"));
        let mut gone = Vec::new();
        table.heard(Micros::new(101), &16, || 16, |value| gone.push(value));
        gone.sort_unstable();
        assert_eq!(gone, [1, 2]);
        assert_eq!((table.len(), table.evicted()), (15, 2));
        assert_eq!(table.get(&0), Some(&0));
    }
}
