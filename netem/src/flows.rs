//! The flows a link follows: a bounded table.

use std::collections::HashMap;

use crate::packet::{FlowOrdinal, PacketOrdinal};
use crate::units::Nanos;

/// The most flows a link follows at once; a packet of one more is dropped as `flows-full`.
pub const FLOWS_MAX: usize = 1 << 20;

/// Flows with smaller ordinals, which are almost all, are found by index; the rest by hash.
const DENSE_MAX: usize = 1 << 16;
/// No place.
const NONE: u32 = u32::MAX;

/// What a link remembers of one flow.
#[derive(Debug, Default)]
pub(crate) struct FlowState {
    /// How many packets of this flow have come in.
    pub(crate) received: u64,
    /// When the last packet leaves that is not a copy: no later one leaves before it.
    pub(crate) last_release: Nanos,
    /// What its random models remember.
    pub(crate) models: Models,
    /// Places in the link's [`Held`](crate::held::Held) table, oldest first.
    pub(crate) held: Vec<u32>,
}

/// What the random models of one flow remember. Each keeps its own numbers and takes any other for
/// "nothing yet", so a changed configuration starts its models afresh.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Models {
    pub(crate) loss: u8,
    pub(crate) ecn: u8,
    pub(crate) corrupt: u8,
    pub(crate) truncate: u8,
    pub(crate) duplicate: u8,
    pub(crate) reorder: u8,
    /// Packets since the last one that was let ahead.
    pub(crate) passed: u32,
    /// The last jitter, in the normal domain.
    pub(crate) jitter: Option<i64>,
}

impl FlowState {
    /// The ordinal of the packet that just came in.
    pub(crate) fn count(&mut self) -> PacketOrdinal {
        let ordinal = PacketOrdinal(self.received);
        self.received += 1;
        ordinal
    }
}

/// Flow ordinal to flow state.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    states: Vec<FlowState>,
    free: Vec<u32>,
    dense: Vec<u32>,
    sparse: HashMap<FlowOrdinal, u32>,
}

impl Flows {
    /// The place of `flow`, which is entered when it is new; `None` when the table is full.
    #[inline]
    pub(crate) fn place(&mut self, flow: FlowOrdinal) -> Option<u32> {
        self.known_place(flow).or_else(|| self.enter(flow))
    }

    #[inline]
    fn known_place(&self, flow: FlowOrdinal) -> Option<u32> {
        if (flow.0 as usize) < DENSE_MAX {
            return self.dense.get(flow.0 as usize).copied().filter(|&place| place != NONE);
        }
        self.sparse.get(&flow).copied()
    }

    #[cold]
    fn enter(&mut self, flow: FlowOrdinal) -> Option<u32> {
        if self.len() >= FLOWS_MAX {
            return None;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.states.push(FlowState::default());
            (self.states.len() - 1) as u32
        });
        let index = flow.0 as usize;
        if index >= DENSE_MAX {
            self.sparse.insert(flow, place);
            return Some(place);
        }
        if index >= self.dense.len() {
            self.dense.resize(index + 1, NONE);
        }
        self.dense[index] = place;
        Some(place)
    }

    /// The state at a place that [`Flows::place`] gave.
    #[inline]
    pub(crate) fn state(&mut self, place: u32) -> &mut FlowState {
        &mut self.states[place as usize]
    }

    /// The place of `flow`, if it is followed.
    #[inline]
    pub(crate) fn find(&self, flow: FlowOrdinal) -> Option<u32> {
        self.known_place(flow)
    }

    /// Forgets `flow`: its place may serve another.
    pub(crate) fn forget(&mut self, flow: FlowOrdinal) {
        let Some(place) = self.known_place(flow) else { return };
        match self.dense.get_mut(flow.0 as usize) {
            Some(entry) => *entry = NONE,
            None => _ = self.sparse.remove(&flow),
        }
        *self.state(place) = FlowState::default();
        self.free.push(place);
    }

    /// How many flows are followed.
    pub(crate) fn len(&self) -> usize {
        self.states.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_entered_found_and_forgotten_whatever_their_ordinal() {
        let mut flows = Flows::default();
        let ordinals = [0, 5, DENSE_MAX as u32 - 1, DENSE_MAX as u32, u32::MAX].map(FlowOrdinal);
        for flow in ordinals {
            let place = flows.place(flow).unwrap();
            flows.state(place).received = u64::from(flow.0) + 1;
        }
        assert_eq!(flows.len(), 5);
        for flow in ordinals {
            let place = flows.find(flow).unwrap();
            assert_eq!(flows.state(place).received, u64::from(flow.0) + 1);
            flows.forget(flow);
            flows.forget(flow);
            assert!(flows.find(flow).is_none());
        }
        assert_eq!(flows.len(), 0);
        assert_eq!(flows.place(FlowOrdinal(1)).map(|place| flows.state(place).received), Some(0));
        assert_eq!(flows.states.len(), 5, "places are used again");
    }
}
