//! Single faults: one thing done to one packet, and all ways to try them one by one.
//!
//! Random loss needs thousands of runs to hit the packet that matters; "drop exactly the n-th
//! packet, for n in 1..40" needs forty, and finds what goes wrong at a handshake or at the end.

use std::fmt;

use crate::impair::{Action, Condition, PacketSet, Rule, Rules};
use crate::link::LinkConfig;
use crate::log::ParsedLog;
use crate::packet::{Direction, FlowOrdinal, PacketOrdinal};
use crate::verdict::{Effects, Verdict};

/// One thing done to one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The packet's direction.
    pub direction: Direction,
    /// Its flow.
    pub flow: FlowOrdinal,
    /// Its place in the flow, from 0.
    pub ordinal: PacketOrdinal,
    /// What is done to it.
    pub action: Action,
}

/// `drop up flow 0 #3`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { direction, flow, ordinal, action } = self;
        write!(f, "{action} {direction} flow {flow} #{ordinal}")
    }
}

impl Fault {
    /// The faults of a log, in the order of its lines.
    pub fn all_of(log: &ParsedLog) -> Vec<Self> {
        let mut faults = Vec::new();
        for direction in Direction::BOTH {
            for decision in log.of(direction).decisions() {
                let (flow, ordinal) = (decision.flow, decision.verdict.ordinal);
                let actions = actions(&decision.verdict);
                faults.extend(actions.map(|action| Self { direction, flow, ordinal, action }));
            }
        }
        faults
    }

    /// The rules that commit those of `faults` that lead `direction`. Of several faults of one
    /// packet the first counts.
    pub fn rules(faults: &[Self], direction: Direction) -> Rules {
        let mut groups: Vec<(FlowOrdinal, Action, Vec<u64>)> = Vec::new();
        for fault in faults.iter().filter(|fault| fault.direction == direction) {
            let same = |group: &&mut (FlowOrdinal, Action, Vec<u64>)| {
                (group.0, group.1) == (fault.flow, fault.action)
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.2.push(fault.ordinal.0),
                None => groups.push((fault.flow, fault.action, vec![fault.ordinal.0])),
            }
        }
        let rule = |(flow, action, ordinals)| {
            let packets = Condition::Packets(PacketSet::from_ordinals(ordinals));
            Rule { conditions: vec![Condition::Flow(flow), packets], action }
        };
        Rules::from(groups.into_iter().map(rule).collect::<Vec<_>>())
    }

    /// `base` with exactly these faults.
    pub fn config(faults: &[Self], direction: Direction, base: &LinkConfig) -> LinkConfig {
        LinkConfig { rules: Self::rules(faults, direction), ..base.clone() }
    }

    /// What a decision of a log must look like with this fault in it.
    pub(crate) fn is_in(&self, verdict: &Verdict) -> bool {
        actions(verdict).any(|action| action == self.action)
    }
}

/// The same thing done to each of the first `packets` packets of a flow, one at a time.
///
/// ```
/// use netem::fault::single_faults;
/// use netem::{Direction, FlowOrdinal, impair::Action};
/// let faults: Vec<_> = single_faults(Direction::Up, FlowOrdinal(0), Action::Drop, 40).collect();
/// assert_eq!(faults.len(), 40);
/// assert_eq!(faults[2].to_string(), "drop up flow 0 #2");
/// ```
pub fn single_faults(
    direction: Direction,
    flow: FlowOrdinal,
    action: Action,
    packets: u64,
) -> impl Iterator<Item = Fault> {
    (0..packets).map(move |ordinal| Fault {
        direction,
        flow,
        ordinal: PacketOrdinal(ordinal),
        action,
    })
}

/// The same thing done to each two of the first `packets` packets of a flow.
pub fn fault_pairs(
    direction: Direction,
    flow: FlowOrdinal,
    action: Action,
    packets: u64,
) -> impl Iterator<Item = [Fault; 2]> {
    single_faults(direction, flow, action, packets).flat_map(move |first| {
        single_faults(direction, flow, action, packets)
            .skip(first.ordinal.0 as usize + 1)
            .map(move |second| [first, second])
    })
}

/// What was done to a packet, as actions.
fn actions(verdict: &Verdict) -> impl Iterator<Item = Action> {
    let effects = verdict.effects;
    let dropped = verdict.dropped.map(|_| Action::Drop);
    let known = [
        (Effects::DUPLICATE, Action::Duplicate),
        (Effects::REORDER, Action::Reorder),
        (Effects::AHEAD, Action::Reorder),
        (Effects::CORRUPT, Action::Corrupt),
        (Effects::TRUNCATE, Action::Truncate),
        (Effects::MARK, Action::Mark),
    ];
    let done = known.into_iter().filter(move |(effect, _)| effects.contains(*effect));
    dropped.into_iter().chain(done.map(|(_, action)| action))
}
