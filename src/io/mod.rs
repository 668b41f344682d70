//! Floor 4: the only place with sockets, threads and a clock.

pub mod ack_endpoint;
mod ack_inbox;
mod ack_thread;
#[cfg(target_os = "linux")]
pub mod batch;
pub mod dns;
pub mod dns_batch;
mod dns_channel;
#[cfg(feature = "dnssec")]
pub mod dns_dnssec;
pub mod dns_server;
mod dns_socket;
#[cfg(feature = "tls")]
pub mod dns_stream;
#[cfg(feature = "tls")]
pub mod dns_tls;
#[cfg(target_os = "linux")]
pub mod socket;
pub mod transport;
mod wake;
