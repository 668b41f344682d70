//! The transport on a real socket: one thread an endpoint, whatever the number of connections.
//!
//! `endpoint` and `connection` are what callers hold; `thread` moves datagrams between the socket
//! and the machine of [`crate::transport`]; `packets` is the socket with its batches (GSO, GRO,
//! ECN through quinn-udp); `shared` is the one lock between them; `notifier` tells an event loop of
//! changes; `qlog` writes traces to the directory `QLOGDIR`.
//!
//! Rules: nobody waits under the lock; the thread sends and receives outside of it.

mod connection;
mod endpoint;
mod notifier;
mod packets;
mod qlog;
mod shared;
mod thread;

pub use connection::{Connection, RecvError};
pub use endpoint::{Acceptor, Endpoint, generate_key};
pub use notifier::Notifier;
