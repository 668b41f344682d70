//! Taking the decisions of an earlier run again.
//!
//! A replay answers for each packet, by flow and ordinal, with the verdict of the log. A packet
//! that the log does not know, or knows with another size, is a divergence: the first one is kept
//! and can be asked for; the packet then goes through untouched. Rate and queue of the link's
//! configuration still take their time; who is dropped in the queue is the log's to say.

use std::collections::BTreeMap;
use std::fmt;

use crate::log::{Decision, DecisionLog};
use crate::packet::{Direction, FlowOrdinal, PacketOrdinal};

/// The decisions of one direction of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Replay {
    flows: BTreeMap<FlowOrdinal, Vec<Decision>>,
}

impl From<&DecisionLog> for Replay {
    fn from(log: &DecisionLog) -> Self {
        Self::new(log.decisions().iter().copied())
    }
}

impl Replay {
    /// Repeats `decisions`, which may come in any order; of two for the same packet the later
    /// one counts.
    pub fn new(decisions: impl IntoIterator<Item = Decision>) -> Self {
        let mut flows: BTreeMap<FlowOrdinal, Vec<Decision>> = BTreeMap::new();
        for decision in decisions {
            flows.entry(decision.flow).or_default().push(decision);
        }
        for decisions in flows.values_mut() {
            decisions.sort_by_key(|decision| decision.verdict.ordinal);
            decisions.reverse();
            decisions.dedup_by_key(|decision| decision.verdict.ordinal);
            decisions.reverse();
        }
        Self { flows }
    }

    /// The decision about a packet of `size_bytes`.
    ///
    /// # Errors
    /// [`Divergence`] when the earlier run had no such packet.
    pub(crate) fn decision(
        &self,
        direction: Direction,
        flow: FlowOrdinal,
        ordinal: PacketOrdinal,
        size_bytes: u32,
    ) -> Result<Decision, Divergence> {
        let decisions = self.flows.get(&flow).map_or(&[][..], Vec::as_slice);
        // A whole log has no gaps: the packet is where its ordinal says.
        let place = usize::try_from(ordinal.0).unwrap_or(usize::MAX);
        let exact = decisions.get(place).filter(|decision| decision.verdict.ordinal == ordinal);
        let decision = exact.or_else(|| {
            let place = decisions.binary_search_by_key(&ordinal, |d| d.verdict.ordinal);
            decisions.get(place.ok()?)
        });
        match decision {
            Some(decision) if decision.size_bytes == size_bytes => Ok(*decision),
            logged => {
                let logged_bytes = logged.map(|decision| decision.size_bytes);
                Err(Divergence { direction, flow, ordinal, size_bytes, logged_bytes })
            }
        }
    }
}

/// The first packet of a replay that the log does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Divergence {
    /// The packet's direction.
    pub direction: Direction,
    /// Its flow.
    pub flow: FlowOrdinal,
    /// Its place in the flow.
    pub ordinal: PacketOrdinal,
    /// Its size.
    pub size_bytes: u32,
    /// The size in the log; `None` when the log has no such packet at all.
    pub logged_bytes: Option<u32>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, flow, ordinal, size_bytes, logged_bytes } = self;
        write!(f, "replay diverged at {direction} flow {flow} #{ordinal}: {size_bytes} bytes, ")?;
        match logged_bytes {
            Some(bytes) => write!(f, "the log has {bytes}"),
            None => f.write_str("the log has no such packet"),
        }
    }
}

impl std::error::Error for Divergence {}
