//! What became of each message: a ring of outcomes that forgets the good ones.
//!
//! Receipts are numbers in the order of sending. Old receipts that ended as acknowledged need no
//! memory; those that ended otherwise are kept, the newest [`EXCEPTIONS_MAX`] of them. Of what is
//! older than those nothing is known any more, so it is not said to have arrived.

use std::collections::{BTreeMap, VecDeque};

/// So many receipts that did not end as acknowledged are remembered.
const EXCEPTIONS_MAX: usize = 65_536;

/// Names a message handed to a connection: counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt(pub u64);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not known yet.
    Pending,
    /// The peer has it, in time.
    Acked,
    /// Its deadline passed first.
    Expired,
    /// It did not arrive, and its channel or the end of the connection does not let it be sent
    /// again; or so many have ended badly since that its end is forgotten.
    Lost,
}

/// The outcomes of all messages of a connection.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// The first receipt of the ring; all below are settled.
    base: u64,
    ring: VecDeque<Outcome>,
    exceptions: BTreeMap<u64, Outcome>,
    /// Of receipts below this, the exceptions may be forgotten.
    known_from: u64,
    pending: u64,
    changes: u64,
}

impl Receipts {
    /// A receipt for a new message.
    pub(crate) fn issue(&mut self) -> Receipt {
        self.ring.push_back(Outcome::Pending);
        self.pending += 1;
        Receipt(self.base + self.ring.len() as u64 - 1)
    }

    /// Notes the end of a message; the first outcome stands.
    pub(crate) fn settle(&mut self, receipt: Receipt, outcome: Outcome) {
        let Some(index) = receipt.0.checked_sub(self.base) else { return };
        let Some(slot) = self.ring.get_mut(index as usize) else { return };
        if *slot != Outcome::Pending {
            return;
        }
        *slot = outcome;
        self.pending -= 1;
        self.changes += 1;
        while let Some(settled) = self.ring.front().filter(|o| **o != Outcome::Pending) {
            if *settled != Outcome::Acked {
                if self.exceptions.len() == EXCEPTIONS_MAX {
                    let forgotten = self.exceptions.pop_first();
                    self.known_from = forgotten.map_or(0, |(number, _)| number + 1);
                }
                self.exceptions.insert(self.base, *settled);
            }
            self.ring.pop_front();
            self.base += 1;
        }
    }

    /// The connection is over: nothing pending will be acknowledged any more.
    pub(crate) fn settle_all(&mut self) {
        while !self.ring.is_empty() {
            // Settling the first moves the base to the next one that is pending.
            self.settle(Receipt(self.base), Outcome::Lost);
        }
    }

    /// What is known of a message; [`Outcome::Pending`] for one never issued, [`Outcome::Lost`] for
    /// one of which nothing is known any more.
    pub(crate) fn outcome(&self, receipt: Receipt) -> Outcome {
        match receipt.0.checked_sub(self.base) {
            Some(index) => self.ring.get(index as usize).copied().unwrap_or(Outcome::Pending),
            None if receipt.0 < self.known_from => Outcome::Lost,
            None => self.exceptions.get(&receipt.0).copied().unwrap_or(Outcome::Acked),
        }
    }

    /// How many messages are pending.
    pub(crate) fn pending(&self) -> u64 {
        self.pending
    }

    /// Grows whenever a message settles.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_stay_known_and_memory_does_not_grow() {
        let mut receipts = Receipts::default();
        let all: Vec<_> = (0..100).map(|_| receipts.issue()).collect();
        for receipt in all.iter().rev() {
            let outcome = if receipt.0 % 10 == 3 { Outcome::Expired } else { Outcome::Acked };
            receipts.settle(*receipt, outcome);
            receipts.settle(*receipt, Outcome::Lost);
        }
        assert_eq!((receipts.ring.len(), receipts.exceptions.len()), (0, 10));
        assert_eq!(receipts.outcome(all[13]), Outcome::Expired);
        assert_eq!(receipts.outcome(all[14]), Outcome::Acked);
        let last = receipts.issue();
        assert_eq!((receipts.outcome(last), receipts.pending()), (Outcome::Pending, 1));
        receipts.settle_all();
        assert_eq!((receipts.outcome(last), receipts.pending()), (Outcome::Lost, 0));
    }

    #[test]
    fn what_is_forgotten_is_not_called_acknowledged() {
        let mut receipts = Receipts::default();
        let mut settle = |outcome| {
            let receipt = receipts.issue();
            receipts.settle(receipt, outcome);
            receipt
        };
        let (first, second) = (settle(Outcome::Expired), settle(Outcome::Acked));
        (0..EXCEPTIONS_MAX).for_each(|_| _ = settle(Outcome::Expired));
        let newest = settle(Outcome::Acked);
        assert_eq!(receipts.outcome(first), Outcome::Lost);
        assert_eq!(receipts.outcome(second), Outcome::Acked, "nothing was forgotten above it");
        assert_eq!(receipts.outcome(newest), Outcome::Acked);
        assert_eq!(receipts.exceptions.len(), EXCEPTIONS_MAX);
    }
}
