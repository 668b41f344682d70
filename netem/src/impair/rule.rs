//! Rules: exactly these packets, by number, size, content, or whatever a function says.
//!
//! Rules come before every model; the first whose conditions all hold decides. They draw nothing,
//! so they move no other decision: a dropped packet still counts for the models' memories.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::PacketSet;
use crate::packet::{Direction, FlowOrdinal, PacketOrdinal};
use crate::units::Nanos;

/// What a rule can ask about a packet.
#[derive(Debug, Clone, Copy)]
pub struct PacketView<'a> {
    /// When it came in.
    pub now: Nanos,
    /// Which way it travels.
    pub direction: Direction,
    /// Its flow.
    pub flow: FlowOrdinal,
    /// Its place in the flow, from 0.
    pub ordinal: PacketOrdinal,
    /// Its size.
    pub size_bytes: u32,
    /// Its content, if the link has been told how to look at it
    /// ([`Link::with_bytes`](crate::Link::with_bytes)); otherwise empty.
    pub bytes: &'a [u8],
}

/// What happens to a packet that a rule chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It is dropped, with the reason `rule`.
    Drop,
    /// It gets a second copy, if it is not lost.
    Duplicate,
    /// It is held back, as [`Reorder`](super::Reorder) says how far and how long.
    Reorder,
    /// It is corrupted, as [`Corrupt`](super::Corrupt) says how much.
    Corrupt,
    /// It is cut off, as [`Truncate`](super::Truncate) says where.
    Truncate,
    /// It is marked, if it understands ECN.
    Mark,
    /// No random model touches it; rate and delay remain.
    Pass,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 7] = [
        Self::Drop,
        Self::Duplicate,
        Self::Reorder,
        Self::Corrupt,
        Self::Truncate,
        Self::Mark,
        Self::Pass,
    ];

    /// The word for it in scenarios.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Duplicate => "duplicate",
            Self::Reorder => "reorder",
            Self::Corrupt => "corrupt",
            Self::Truncate => "truncate",
            Self::Mark => "mark",
            Self::Pass => "pass",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The packet belongs to this flow.
    Flow(FlowOrdinal),
    /// Its number in the flow is in the set.
    Packets(PacketSet),
    /// It is an n-th packet of its flow.
    Every(NonZeroU64),
    /// Its size is in the range, both ends included.
    Size(u32, u32),
    /// It contains these bytes: at the offset, or anywhere.
    Payload(Option<usize>, Arc<[u8]>),
    /// It came in from the first time on and before the second.
    Time(Nanos, Nanos),
    /// A function says so.
    Predicate(Predicate),
}

impl Condition {
    fn holds(&self, packet: &PacketView<'_>) -> bool {
        match self {
            Self::Flow(flow) => packet.flow == *flow,
            Self::Packets(set) => set.contains_ordinal(packet.ordinal.0),
            Self::Every(step) => packet.ordinal.0 % step.get() == step.get() - 1,
            Self::Size(min, max) => (*min..=*max).contains(&packet.size_bytes),
            Self::Payload(Some(offset), bytes) => {
                packet.bytes.get(*offset..).is_some_and(|rest| rest.starts_with(bytes))
            }
            Self::Payload(None, bytes) => {
                bytes.is_empty() || packet.bytes.windows(bytes.len()).any(|part| part == &bytes[..])
            }
            Self::Time(from, until) => (*from..*until).contains(&packet.now),
            Self::Predicate(predicate) => (predicate.0)(packet),
        }
    }
}

/// A function that chooses packets. Two are equal when they are the same function object.
#[derive(Clone)]
pub struct Predicate(Arc<dyn Fn(&PacketView<'_>) -> bool + Send + Sync>);

impl Predicate {
    /// Chooses what `chooses` says. It must depend on its argument alone: then the same run takes
    /// the same decisions.
    pub fn new(chooses: impl Fn(&PacketView<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(chooses))
    }
}

impl PartialEq for Predicate {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Predicate {}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Predicate")
    }
}

/// Conditions that must all hold, and what happens then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// All must hold; none at all means every packet.
    pub conditions: Vec<Condition>,
    /// What happens then.
    pub action: Action,
}

/// The rules of a link, in order: the first that fits decides.
///
/// ```
/// use netem::{LinkConfig, impair::{Action, Condition, Rule, Rules}};
/// let third = Rule { conditions: vec![Condition::Packets("3".parse()?)], action: Action::Drop };
/// let config = LinkConfig { rules: Rules::from(vec![third]), ..LinkConfig::default() };
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules(Arc<[Rule]>);

impl Rules {
    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rules in order.
    pub fn as_slice(&self) -> &[Rule] {
        &self.0
    }

    /// What the first rule that fits says.
    pub fn action(&self, packet: &PacketView<'_>) -> Option<Action> {
        let fits = |rule: &&Rule| rule.conditions.iter().all(|condition| condition.holds(packet));
        self.0.iter().find(fits).map(|rule| rule.action)
    }
}

impl From<Vec<Rule>> for Rules {
    fn from(rules: Vec<Rule>) -> Self {
        Self(rules.into())
    }
}
