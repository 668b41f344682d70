//! The map of the house: five floors, arrows point down only.
//!
//! ```text
//! wire  <-  { flow, fec }  <-  { arq, transport, dns, apps }  <-  io  <-  python
//! ```
//!
//! Below `io` nobody reads a clock, a socket, a thread or a global random generator: time is
//! passed in, randomness is seeded and passed in. `tests/tidy.rs` keeps these walls.

pub mod apps;
pub mod arq;
pub mod dns;
pub mod fec;
pub mod flow;
pub mod io;
pub mod transport;
pub mod wire;

#[cfg(feature = "python")]
mod python;
