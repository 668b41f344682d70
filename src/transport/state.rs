//! The life of a connection as a table: event, from, to.
//!
//! Rules of this file: every transition is a row of [`TRANSITIONS`]; an event that has no row for
//! the current state changes nothing and says so. RFC 9000 §10 is the model for the last four
//! states.

use std::fmt::Write;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Client: INIT is out, ACCEPT is awaited.
    Connecting,
    /// Server: ACCEPT is out, the client has not yet proved that it got it.
    Accepting,
    /// Messages flow both ways.
    Established,
    /// `close` was called; what was accepted before is still being delivered.
    Flushing,
    /// CLOSE is out; late packets are answered with it again.
    Closing,
    /// The peer closed; nothing is sent any more.
    Draining,
    /// Over; the connection can be forgotten.
    Closed,
}

/// What moves a connection from state to state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// The handshake is complete on this side.
    Confirmed,
    /// The application closes, and wants what it sent to arrive.
    CloseAsked,
    /// Everything accepted was acknowledged, or the time for it is over.
    Flushed,
    /// The application gives up at once, or the peer broke the protocol.
    Aborted,
    /// CLOSE arrived.
    PeerClosed,
    /// A stateless reset arrived: the peer has forgotten us.
    PeerReset,
    /// Nothing arrived for too long, or the handshake took too long.
    TimedOut,
    /// The three probe timeouts of Closing or Draining are over.
    Forgotten,
}

/// Every transition there is.
pub const TRANSITIONS: &[(Event, State, State)] = &[
    (Event::Confirmed, State::Connecting, State::Established),
    (Event::Confirmed, State::Accepting, State::Established),
    (Event::CloseAsked, State::Connecting, State::Closed),
    (Event::CloseAsked, State::Accepting, State::Flushing),
    (Event::CloseAsked, State::Established, State::Flushing),
    (Event::Flushed, State::Flushing, State::Closing),
    (Event::Aborted, State::Connecting, State::Closed),
    (Event::Aborted, State::Accepting, State::Closing),
    (Event::Aborted, State::Established, State::Closing),
    (Event::Aborted, State::Flushing, State::Closing),
    (Event::PeerClosed, State::Accepting, State::Draining),
    (Event::PeerClosed, State::Established, State::Draining),
    (Event::PeerClosed, State::Flushing, State::Draining),
    (Event::PeerClosed, State::Closing, State::Draining),
    (Event::PeerReset, State::Established, State::Draining),
    (Event::PeerReset, State::Flushing, State::Draining),
    (Event::PeerReset, State::Closing, State::Draining),
    (Event::TimedOut, State::Connecting, State::Closed),
    (Event::TimedOut, State::Accepting, State::Closed),
    (Event::TimedOut, State::Established, State::Closed),
    (Event::TimedOut, State::Flushing, State::Closed),
    (Event::Forgotten, State::Closing, State::Closed),
    (Event::Forgotten, State::Draining, State::Closed),
];

/// Every state, in the order of life.
pub const STATES: &[State] = &[
    State::Connecting,
    State::Accepting,
    State::Established,
    State::Flushing,
    State::Closing,
    State::Draining,
    State::Closed,
];

/// Every event.
pub const EVENTS: &[Event] = &[
    Event::Confirmed,
    Event::CloseAsked,
    Event::Flushed,
    Event::Aborted,
    Event::PeerClosed,
    Event::PeerReset,
    Event::TimedOut,
    Event::Forgotten,
];

impl State {
    /// The state after `event`, or `None` if the event means nothing here.
    pub fn after(self, event: Event) -> Option<State> {
        TRANSITIONS
            .iter()
            .find(|(when, from, _)| *when == event && *from == self)
            .map(|(_, _, to)| *to)
    }

    /// Whether packets with messages are sent and taken.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Accepting | Self::Established | Self::Flushing)
    }

    /// Whether the application may still hand over messages.
    pub fn takes_messages(self) -> bool {
        matches!(self, Self::Connecting | Self::Accepting | Self::Established)
    }

    /// Whether the end has come: only the last CLOSE and the waiting are left, or nothing.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Closing | Self::Draining | Self::Closed)
    }
}

/// The table for people: states across, events down; `.` is "changes nothing".
///
/// ```
/// assert!(udpcore::transport::state::table().contains("| Confirmed |"));
/// ```
pub fn table() -> String {
    let mut text = String::from("| event |");
    for state in STATES {
        let _ = write!(text, " {state:?} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(STATES.len()));
    for event in EVENTS {
        let _ = write!(text, "\n| {event:?} |");
        for state in STATES {
            match state.after(*event) {
                Some(to) => {
                    let _ = write!(text, " {to:?} |");
                }
                None => text.push_str(" . |"),
            }
        }
    }
    text.push('\n');
    text
}

/// The machine as a Graphviz drawing.
pub fn dot() -> String {
    let mut text = String::from("digraph connection {\n");
    for (event, from, to) in TRANSITIONS {
        let _ = writeln!(text, "  {from:?} -> {to:?} [label=\"{event:?}\"];");
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specification_shows_this_table() {
        let page = include_str!("../../docs/protocol.md");
        let table = table();
        assert!(page.contains(&table), "docs/protocol.md must contain:\n{table}");
    }

    #[test]
    fn no_row_is_doubled_and_all_states_end() {
        for (index, (event, from, _)) in TRANSITIONS.iter().enumerate() {
            let again = TRANSITIONS[index + 1..].iter().any(|(e, f, _)| e == event && f == from);
            assert!(!again, "{event:?} in {from:?} has two rows");
        }
        for state in STATES {
            let leaves = TRANSITIONS.iter().any(|(_, from, _)| from == state);
            assert_eq!(leaves, *state != State::Closed, "{state:?}");
        }
        assert_eq!(dot().lines().count(), TRANSITIONS.len() + 2);
    }
}
