//! Floor 4: the only place with sockets, threads and a clock.

pub mod ack_endpoint;
mod ack_inbox;
mod ack_thread;
pub mod dns;
#[cfg(target_os = "linux")]
pub mod socket;
mod wake;
