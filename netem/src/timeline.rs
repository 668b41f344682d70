//! What changes while a run goes on: configurations, and the network address of the client.
//!
//! Sans-IO: a driver asks when the next change comes and takes it when its time has come. The
//! driver applies it: a configuration goes to its link, a rebinding to the sockets (the relay
//! gives the client another upstream port, as a NAT does that has forgotten a mapping).

use std::collections::VecDeque;

use crate::link::LinkConfig;
use crate::packet::{Direction, FlowOrdinal};
use crate::units::Nanos;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A direction does this from now on.
    Configure(Direction, Box<LinkConfig>),
    /// The server sees this flow, or every one, come from another port from now on.
    Rebind(Option<FlowOrdinal>),
}

/// Changes in the order of their times.
///
/// ```
/// use netem::timeline::{Change, Timeline};
/// use netem::Nanos;
/// let mut timeline = Timeline::new([(Nanos::from_secs(5), Change::Rebind(None))]);
/// assert_eq!(timeline.next_deadline(), Some(Nanos::from_secs(5)));
/// assert_eq!(timeline.poll(Nanos::from_secs(4)), None);
/// assert_eq!(timeline.poll(Nanos::from_secs(5)), Some(Change::Rebind(None)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    changes: VecDeque<(Nanos, Change)>,
}

impl Timeline {
    /// Changes at their times; those at the same time keep their order.
    pub fn new(changes: impl IntoIterator<Item = (Nanos, Change)>) -> Self {
        let mut changes: Vec<_> = changes.into_iter().collect();
        changes.sort_by_key(|&(at, _)| at);
        Self { changes: changes.into() }
    }

    /// When the next change comes.
    pub fn next_deadline(&self) -> Option<Nanos> {
        self.changes.front().map(|&(at, _)| at)
    }

    /// The next change whose time has come.
    pub fn poll(&mut self, now: Nanos) -> Option<Change> {
        let is_due = self.next_deadline().is_some_and(|at| at <= now);
        is_due.then(|| self.changes.pop_front()).flatten().map(|(_, change)| change)
    }

    /// The changes that are still to come.
    pub fn changes(&self) -> impl Iterator<Item = &(Nanos, Change)> {
        self.changes.iter()
    }
}
