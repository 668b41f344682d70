//! Packets in the order they are due: a plain queue while due times rise, a heap for the rest.
//!
//! With constant delay, or with one flow and jitter, due times only rise, and entering and
//! leaving cost nothing. Only an entry that is due before the last one goes to the heap. Equal
//! times leave in the order of entry.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use crate::packet::Packet;
use crate::units::Nanos;

/// When an entry is due, then its number: a total order.
pub(crate) type Due = (Nanos, u64);

#[derive(Debug)]
struct Entry<P> {
    due: Due,
    packet: Packet<P>,
}

/// Reversed, so that the heap's greatest is the one due first.
impl<P> Ord for Entry<P> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl<P> PartialOrd for Entry<P> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> PartialEq for Entry<P> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl<P> Eq for Entry<P> {}

/// Packets waiting for their time.
#[derive(Debug)]
pub(crate) struct ReleaseQueue<P> {
    rising: VecDeque<Entry<P>>,
    heap: BinaryHeap<Entry<P>>,
}

impl<P> ReleaseQueue<P> {
    pub(crate) fn new() -> Self {
        Self { rising: VecDeque::new(), heap: BinaryHeap::new() }
    }

    /// How many packets wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.rising.len() + self.heap.len()
    }

    #[inline]
    pub(crate) fn push(&mut self, due: Due, packet: Packet<P>) {
        let entry = Entry { due, packet };
        match self.rising.back() {
            Some(last) if last.due > due => self.heap.push(entry),
            _ => self.rising.push_back(entry),
        }
    }

    /// When the first is due.
    #[inline]
    pub(crate) fn first_due(&self) -> Option<Due> {
        match (self.rising.front(), self.heap.peek()) {
            (Some(rising), Some(heap)) => Some(rising.due.min(heap.due)),
            (Some(entry), None) | (None, Some(entry)) => Some(entry.due),
            (None, None) => None,
        }
    }

    /// Takes the first.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Packet<P>> {
        let from_heap = match (self.rising.front(), self.heap.peek()) {
            (Some(rising), Some(heap)) => heap.due < rising.due,
            (rising, _) => rising.is_none(),
        };
        let entry = if from_heap { self.heap.pop() } else { self.rising.pop_front() };
        entry.map(|entry| entry.packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::FlowOrdinal;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order of entry, packets leave by (time, entry).
        #[test]
        fn leaves_in_due_order(times in prop::collection::vec(0u64..50, 0..200)) {
            let mut queue = ReleaseQueue::new();
            let mut expected = Vec::new();
            for (number, &time) in times.iter().enumerate() {
                let due = (Nanos::from_nanos(time), number as u64);
                queue.push(due, Packet { flow: FlowOrdinal(0), size_bytes: 0, payload: due });
                expected.push(due);
            }
            expected.sort_unstable();
            prop_assert_eq!(queue.len(), times.len());
            for due in expected {
                prop_assert_eq!(queue.first_due(), Some(due));
                prop_assert_eq!(queue.pop().map(|packet| packet.payload), Some(due));
            }
            prop_assert!(queue.pop().is_none() && queue.first_due().is_none());
        }
    }
}
