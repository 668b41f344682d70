//! Floor 1: bytes <-> values. One format is one file; no clock, no state, no panic on any input.

pub mod ack;
pub mod error;
pub mod sequence;
pub mod serial;
