//! The anatomy of a packet: Ethernet, IPv4, IPv6, UDP, TCP, ICMP… header by header.
//!
//! Every header is a table of fields (`tables`): parsing, composing and drawing all read the same
//! table. `dissect` takes a packet apart, `compose` puts one together and fills in what follows
//! from the rest (lengths, types, checksums). Captures are in `capture`.

pub mod capture;
mod checksum;
mod compose;
mod dissect;
mod draw;
mod fields;
mod tables;

pub use checksum::Checksum;
pub use compose::{ComposeError, LayerSpec, compose};
pub use dissect::{Layer, Packet, dissect};
pub use draw::{draw, hexdump};
pub use fields::{Field, Format};
pub use tables::Protocol;

#[cfg(test)]
mod tests;
