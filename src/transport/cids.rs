//! Connection ids: ours that the peer may use, the peer's that we may use (RFC 9000 §5.1).

use super::error::PeerFault;
use crate::wire::transport::ConnectionId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Each end offers this many ids at a time.
pub(crate) const ACTIVE_IDS: usize = 3;

/// Proves a stateless reset (RFC 9000 §10.3).
pub(crate) type ResetToken = [u8; 16];

/// A change the endpoint's routing must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routing {
    Add(ConnectionId),
    Remove(ConnectionId),
    /// The peer would reset the connection with this.
    AddToken(ResetToken),
    RemoveToken(ResetToken),
}

/// Our ids.
#[derive(Debug)]
pub(crate) struct LocalIds {
    active: BTreeMap<u64, ConnectionId>,
    next_seq: u64,
    /// Ids the peer must still be told.
    unsent: BTreeSet<u64>,
    routing: VecDeque<Routing>,
}

impl LocalIds {
    pub(crate) fn new(first: ConnectionId) -> Self {
        Self {
            active: BTreeMap::from([(0, first)]),
            next_seq: 1,
            // The first is told again, for the sake of its reset token.
            unsent: BTreeSet::from([0]),
            routing: VecDeque::new(),
        }
    }

    pub(crate) fn first(&self) -> ConnectionId {
        self.active.values().next().copied().unwrap_or(ConnectionId(0))
    }

    /// Offers ids until [`ACTIVE_IDS`] are active.
    pub(crate) fn refill(&mut self, mut draw: impl FnMut() -> u64) {
        while self.active.len() < ACTIVE_IDS {
            let cid = ConnectionId(draw());
            self.active.insert(self.next_seq, cid);
            self.unsent.insert(self.next_seq);
            self.routing.push_back(Routing::Add(cid));
            self.next_seq += 1;
        }
    }

    /// The peer stops using one. An id it never had is its fault.
    pub(crate) fn retire(&mut self, seq: u64) -> Result<(), PeerFault> {
        if seq >= self.next_seq {
            return Err(PeerFault::WrongSide);
        }
        if let Some(cid) = self.active.remove(&seq) {
            self.unsent.remove(&seq);
            self.routing.push_back(Routing::Remove(cid));
        }
        Ok(())
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The next id to tell the peer.
    pub(crate) fn take_unsent(&mut self) -> Option<(u64, ConnectionId)> {
        let seq = self.unsent.pop_first()?;
        self.active.get(&seq).map(|cid| (seq, *cid))
    }

    pub(crate) fn on_lost(&mut self, seq: u64) {
        if self.active.contains_key(&seq) {
            self.unsent.insert(seq);
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = ConnectionId> {
        self.active.values().copied()
    }

    pub(crate) fn poll_routing(&mut self) -> Option<Routing> {
        self.routing.pop_front()
    }
}

/// The peer's ids.
#[derive(Debug)]
pub(crate) struct RemoteIds {
    in_use: (u64, ConnectionId),
    spare: BTreeMap<u64, ConnectionId>,
    tokens: BTreeMap<u64, ResetToken>,
    /// The highest number seen, to tell repetitions.
    retired_below: u64,
    unsent_retirements: BTreeSet<u64>,
    routing: VecDeque<Routing>,
}

impl RemoteIds {
    pub(crate) fn new(first: ConnectionId) -> Self {
        Self {
            in_use: (0, first),
            spare: BTreeMap::new(),
            tokens: BTreeMap::new(),
            retired_below: 0,
            unsent_retirements: BTreeSet::new(),
            routing: VecDeque::new(),
        }
    }

    pub(crate) fn current(&self) -> ConnectionId {
        self.in_use.1
    }

    pub(crate) fn add(
        &mut self,
        seq: u64,
        cid: ConnectionId,
        token: ResetToken,
    ) -> Result<(), PeerFault> {
        if seq < self.retired_below {
            return Ok(());
        }
        if self.tokens.insert(seq, token) != Some(token) {
            self.routing.push_back(Routing::AddToken(token));
        }
        if seq != self.in_use.0 {
            self.spare.insert(seq, cid);
        }
        if self.spare.len() > ACTIVE_IDS || self.tokens.len() > 2 * ACTIVE_IDS {
            return Err(PeerFault::TooManyIds);
        }
        Ok(())
    }

    /// Goes on with an unused id, if there is one, so that an observer cannot link two paths
    /// (RFC 9000 §9.5).
    pub(crate) fn switch(&mut self) {
        let Some((seq, cid)) = self.spare.pop_first() else { return };
        self.unsent_retirements.insert(self.in_use.0);
        if let Some(token) = self.tokens.remove(&self.in_use.0) {
            self.routing.push_back(Routing::RemoveToken(token));
        }
        self.in_use = (seq, cid);
        self.retired_below = seq;
    }

    pub(crate) fn poll_routing(&mut self) -> Option<Routing> {
        self.routing.pop_front()
    }

    /// What the peer would reset the connection with.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = ResetToken> {
        self.tokens.values().copied()
    }

    pub(crate) fn has_retirements(&self) -> bool {
        !self.unsent_retirements.is_empty()
    }

    pub(crate) fn take_retirement(&mut self) -> Option<u64> {
        self.unsent_retirements.pop_first()
    }

    pub(crate) fn on_retirement_lost(&mut self, seq: u64) {
        self.unsent_retirements.insert(seq);
    }

    /// Whether these bytes end with a token that the peer told us.
    pub(crate) fn is_reset(&self, packet: &[u8]) -> bool {
        let Some(tail) = packet.last_chunk::<16>() else { return false };
        self.tokens.values().any(|token| {
            // No early exit: the time must not tell how much of a guess was right.
            token.iter().zip(tail).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_offered_used_and_retired() {
        let mut ours = LocalIds::new(ConnectionId(100));
        let mut drawn = 100;
        ours.refill(|| {
            drawn += 1;
            drawn
        });
        let mut theirs = RemoteIds::new(ConnectionId(100));
        while let Some((seq, cid)) = ours.take_unsent() {
            theirs.add(seq, cid, [seq as u8 + 1; 16]).expect("within the agreement");
        }
        assert!(theirs.is_reset(&[[0; 5].as_slice(), &[1; 16]].concat()));
        theirs.switch();
        assert_eq!(theirs.current(), ConnectionId(101));
        assert!(!theirs.is_reset(&[1; 16]) && theirs.is_reset(&[2; 16]));
        let retired = theirs.take_retirement().expect("the first");
        ours.retire(retired).expect("known");
        assert_eq!(ours.poll_routing(), Some(Routing::Add(ConnectionId(101))));
        assert_eq!(ours.poll_routing(), Some(Routing::Add(ConnectionId(102))));
        assert_eq!(ours.poll_routing(), Some(Routing::Remove(ConnectionId(100))));
        assert_eq!(ours.retire(17), Err(PeerFault::WrongSide));
    }

    #[test]
    fn endless_ids_are_refused() {
        let mut theirs = RemoteIds::new(ConnectionId(0));
        let refused = (1..100).any(|seq| theirs.add(seq, ConnectionId(seq), [0; 16]).is_err());
        assert!(refused && theirs.spare.len() <= ACTIVE_IDS + 1);
    }
}
