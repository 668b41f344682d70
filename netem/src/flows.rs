//! The flows a link follows: a bounded table, quick for the flow that was seen last.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::packet::{FlowOrdinal, PacketOrdinal};
use crate::units::Nanos;

/// The most flows a link follows at once; a packet of one more is dropped as `flows-full`.
pub const FLOWS_MAX: usize = 1 << 20;

/// What a link remembers of one flow.
#[derive(Debug, Default)]
pub(crate) struct FlowState {
    /// How many packets of this flow have come in.
    pub(crate) received: u64,
    /// When the last packet leaves that is not a copy: no later one leaves before it.
    pub(crate) last_release: Nanos,
    /// Places in the link's [`Held`](crate::held::Held) table, oldest first.
    pub(crate) held: Vec<u32>,
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
    places: HashMap<FlowOrdinal, u32>,
    last: Option<(FlowOrdinal, u32)>,
}

impl Flows {
    /// The place of `flow`, which is entered when it is new; `None` when the table is full.
    #[inline]
    pub(crate) fn place(&mut self, flow: FlowOrdinal) -> Option<u32> {
        match self.last {
            Some((last, place)) if last == flow => Some(place),
            _ => self.look_up(flow),
        }
    }

    fn look_up(&mut self, flow: FlowOrdinal) -> Option<u32> {
        let full = self.places.len() >= FLOWS_MAX;
        let place = match self.places.entry(flow) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(_) if full => return None,
            Entry::Vacant(entry) => {
                let place = self.free.pop().unwrap_or_else(|| {
                    self.states.push(FlowState::default());
                    (self.states.len() - 1) as u32
                });
                *entry.insert(place)
            }
        };
        self.last = Some((flow, place));
        Some(place)
    }

    /// The state at a place that [`Flows::place`] gave.
    #[inline]
    pub(crate) fn state(&mut self, place: u32) -> &mut FlowState {
        &mut self.states[place as usize]
    }

    /// The state of `flow`, if it is followed.
    pub(crate) fn find(&mut self, flow: FlowOrdinal) -> Option<&mut FlowState> {
        let place = *self.places.get(&flow)?;
        Some(self.state(place))
    }

    /// Forgets `flow`: its place may serve another.
    pub(crate) fn forget(&mut self, flow: FlowOrdinal) {
        if let Some(place) = self.places.remove(&flow) {
            self.last = None;
            *self.state(place) = FlowState::default();
            self.free.push(place);
        }
    }

    /// How many flows are followed.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}
