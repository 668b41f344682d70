//! The counters of a relay.

use crate::stats::LinkStats;

/// What a relay has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelayStats {
    /// Client to server.
    pub up: LinkStats,
    /// Server to client.
    pub down: LinkStats,
    /// Clients that are served now.
    pub clients: u64,
    /// Clients that were ever served.
    pub clients_total: u64,
    /// Clients that were forgotten because they were silent.
    pub clients_expired: u64,
    /// Times the system had no upstream socket for a client, most often because of the limit of
    /// open files. Its datagrams are dropped as `flows-full`.
    pub sockets_refused: u64,
    /// Times the system refused to give a datagram, other than "nothing there".
    pub receive_errors: u64,
}

impl RelayStats {
    /// Whether every datagram is accounted for in both directions.
    pub fn is_balanced(&self) -> bool {
        self.up.is_balanced() && self.down.is_balanced()
    }
}
