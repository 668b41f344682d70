//! Counters of a connection, and why packets were dropped.

use super::congestion::Phase;
use super::time::Micros;

/// Why an arriving packet was dropped, unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DropReason {
    /// Not a packet of this protocol.
    Malformed,
    /// Its checksum or tag does not match: damaged, forged or for other keys.
    Unauthentic,
    /// It was here before.
    Duplicate,
    /// It came before the keys it needs.
    NoKeys,
    /// It means nothing in this state.
    Unexpected,
    /// No connection has this id.
    UnknownConnection,
    /// An INIT shorter than 1200 bytes.
    ShortInit,
    /// The token was not ours, or too old.
    BadToken,
    /// The wrong secret, a suite this server does not take, or a malformed handshake.
    BadHandshake,
    /// The endpoint has as many connections as it may, or nobody accepts them.
    TooManyConnections,
    /// This endpoint does not listen.
    NotListening,
}

impl DropReason {
    /// Its name in statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unauthentic => "unauthentic",
            Self::Duplicate => "duplicate",
            Self::NoKeys => "no_keys",
            Self::Unexpected => "unexpected",
            Self::UnknownConnection => "unknown_connection",
            Self::ShortInit => "short_init",
            Self::BadToken => "bad_token",
            Self::BadHandshake => "bad_handshake",
            Self::TooManyConnections => "too_many_connections",
            Self::NotListening => "not_listening",
        }
    }
}

/// What a connection has done and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams sent and received.
    pub datagrams_sent: u64,
    /// Datagrams received, dropped ones too.
    pub datagrams_received: u64,
    /// Bytes of UDP payload sent.
    pub bytes_sent: u64,
    /// Bytes of UDP payload received.
    pub bytes_received: u64,
    /// Packets declared lost.
    pub packets_lost: u64,
    /// Of those, the ones that turned out to be only late.
    pub packets_spurious: u64,
    /// Bytes of messages sent more than once.
    pub bytes_retransmitted: u64,
    /// Probe timeouts.
    pub probes: u64,
    /// Times the window was reduced; with BBR, flights with losses.
    pub congestion_events: u64,
    /// Arriving packets dropped because they were here before.
    pub dropped_duplicate: u64,
    /// Arriving packets dropped for any other reason.
    pub dropped_other: u64,
    /// Messages handed over by the application.
    pub messages_sent: u64,
    /// Messages delivered to the application.
    pub messages_delivered: u64,
    /// Messages that arrived whole after their deadline and were not delivered.
    pub messages_late: u64,
    /// Messages superseded or pushed out and not delivered.
    pub messages_discarded: u64,
    /// Times the peer's address changed.
    pub migrations: u64,
    /// Times the keys were replaced.
    pub key_updates: u64,
    /// Smoothed round-trip time.
    pub srtt: Micros,
    /// Least round-trip time.
    pub rtt_min: Micros,
    /// Variation of the round-trip time.
    pub rttvar: Micros,
    /// The congestion window, in bytes.
    pub cwnd: u64,
    /// The slow start threshold, in bytes, once there is one.
    pub ssthresh: Option<u64>,
    /// Bytes in flight.
    pub bytes_in_flight: u64,
    /// The datagram size in use, in bytes.
    pub mtu: u16,
    /// Messages not yet acknowledged or given up.
    pub messages_pending: u64,
    /// Bytes of messages the application has not yet taken.
    pub bytes_waiting: u64,
    /// What the congestion controller is doing.
    pub phase: Option<Phase>,
    /// How fast it sends, in bits a second, if that does not follow from the window.
    pub pacing_rate_bps: Option<u64>,
}
