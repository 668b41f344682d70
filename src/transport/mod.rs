//! Floor 3: the production transport, sans-IO: messages over UDP, reliable where asked to be.
//!
//! ```text
//! endpoint                 all connections of a socket: routes, opens, answers strangers
//!   cookie, reset_budget     what it tells them without remembering them
//! connection               four families of methods; receive, transmit, recovery, handshake
//!   state, timer             its life as a table; what it waits for
//!   send, recv               messages out and in: queues, scheduler, reassembly, modes
//!   fec_control              how many repair symbols go with a message
//!   flow_control, receipts   what the peer may send; what became of a message
//!   ack, sent, loss          what arrived, what is on its way, what is lost
//!   ack_frequency            how often the peer shall acknowledge
//!   rtt, pacing, congestion  how fast
//!   path, mtu, cids          where to, how large, by which names
//!   crypto                   handshake sessions and packet protection
//!   peer_clock               deadlines across two clocks
//!   config, error, stats, trace, qlog
//! ```
//!
//! `docs/protocol.md` is the specification of what travels. Rules of this floor: time comes in as
//! [`Time`]; randomness follows from the seed of the [`Endpoint`]; every collection that the
//! network can fill has a limit.

mod ack;
mod ack_frequency;
mod cids;
mod config;
mod congestion;
mod connection;
mod cookie;
mod crypto;
mod endpoint;
mod error;
mod fec_control;
mod flow_control;
mod loss;
mod mtu;
mod pacing;
mod path;
mod peer_clock;
pub mod qlog;
mod ranges;
mod receipts;
mod recv;
mod reset_budget;
mod rtt;
mod send;
mod sent;
pub mod state;
mod stats;
mod time;
mod timer;
mod trace;

pub use crate::wire::transport::Mode;
pub use ack::Ecn;
pub use config::{Config, ConfigError, Security};
pub use congestion::{Congestion, Phase};
pub use connection::{Connection, ConnectionEvent, Transmit};
pub use crypto::{PublicKey, SecretKey};
pub use endpoint::{Endpoint, EndpointLimits, Handle};
pub use error::{CloseReason, PeerFault, code};
pub use fec_control::Fec;
pub use flow_control::MESSAGE_COST;
pub use mtu::MTU_BASE;
pub use receipts::{Outcome, Receipt};
pub use recv::{Message, RecvError};
pub use send::{SendError, SendOptions};
pub use state::{Event, State};
pub use stats::{DropReason, Stats};
pub use time::{Micros, Time};
pub use trace::TraceEvent;
