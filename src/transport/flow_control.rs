//! Credit: how much one end may send before the other has taken it (RFC 9000 §4 is the model).
//!
//! A message is charged as a whole when its first fragment is sent, so a message once begun can
//! always be finished and two half-sent messages never wait for each other.

/// What a message costs beyond its bytes, so that endless empty messages are bounded too.
pub const MESSAGE_COST: u64 = 64;

/// The credit a message of this length takes.
pub(crate) fn cost(len: u64) -> u64 {
    len + MESSAGE_COST
}

/// The sender's side.
#[derive(Clone, Debug)]
pub(crate) struct Credit {
    used: u64,
    limit: u64,
}

impl Credit {
    pub(crate) fn new(limit: u64) -> Self {
        Self { used: 0, limit }
    }

    pub(crate) fn covers(&self, cost: u64) -> bool {
        self.used + cost <= self.limit
    }

    pub(crate) fn take(&mut self, cost: u64) {
        self.used += cost;
    }

    /// The peer grants up to `limit`; it never takes credit back. Returns whether it grew.
    pub(crate) fn raise(&mut self, limit: u64) -> bool {
        let grew = limit > self.limit;
        self.limit = self.limit.max(limit);
        grew
    }
}

/// The receiver's side.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    size: u64,
    /// What the peer has charged.
    claimed: u64,
    /// What of it was taken by the application or given up.
    released: u64,
    granted: u64,
    /// The peer waits: whatever can be granted is worth a frame.
    peer_waits: bool,
}

impl Window {
    pub(crate) fn new(size: u64) -> Self {
        Self { size, claimed: 0, released: 0, granted: size, peer_waits: false }
    }

    /// The peer charges for a message. Returns whether it had the credit.
    #[must_use]
    pub(crate) fn claim(&mut self, cost: u64) -> bool {
        self.claimed += cost;
        self.claimed <= self.granted
    }

    pub(crate) fn release(&mut self, cost: u64) {
        self.released += cost;
    }

    /// Whether enough was released since the last grant to tell the peer.
    pub(crate) fn is_grant_due(&self) -> bool {
        let grantable = self.released + self.size - self.granted;
        grantable >= self.size / 4 || self.peer_waits && grantable > 0
    }

    /// The peer has less credit than its next message takes.
    pub(crate) fn on_blocked(&mut self) {
        self.peer_waits = true;
    }

    /// The limit to grant now.
    ///
    /// One that is no higher, to repeat a lost frame, is no answer to a peer that waits: it may
    /// have had that limit already, and says only once that it does not suffice.
    pub(crate) fn grant(&mut self) -> u64 {
        let limit = self.released + self.size;
        self.peer_waits &= limit == self.granted;
        self.granted = limit;
        limit
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Charged and not yet released: what may be in memory.
    pub(crate) fn held(&self) -> u64 {
        self.claimed - self.released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_comes_back_as_messages_are_taken() {
        let (mut credit, mut window) = (Credit::new(1000), Window::new(1000));
        let mut rounds = 0;
        while credit.covers(cost(136)) {
            credit.take(cost(136));
            assert!(window.claim(cost(136)));
            rounds += 1;
        }
        assert_eq!((rounds, window.held()), (5, 1000));
        assert!(!window.is_grant_due());
        window.release(400);
        assert!(window.is_grant_due());
        assert!(credit.raise(window.grant()));
        assert!(!credit.raise(5) && credit.covers(400) && !credit.covers(401));
        assert!(!window.claim(401), "the peer has no credit for this");
    }

    #[test]
    fn a_grant_that_is_only_repeated_leaves_the_peer_waiting() {
        let mut window = Window::new(1000);
        assert!(window.claim(900));
        window.on_blocked();
        assert!(!window.is_grant_due(), "nothing to grant");
        assert_eq!(window.grant(), 1000, "the frame before was lost");
        window.release(100);
        assert!(window.is_grant_due(), "little, but the peer waits");
        assert_eq!(window.grant(), 1100);
        window.release(100);
        assert!(!window.is_grant_due(), "not enough for a peer that does not wait");
    }
}
