//! Floor 1: bytes <-> values. One format is one file; no clock, no state, no panic on any input.

pub mod ack;
pub mod crc32;
pub mod dhcp;
pub mod discovery;
pub mod echo;
pub mod error;
pub mod fec;
pub mod g711;
pub mod game;
pub mod multicast_video;
pub mod packet;
pub mod rlc;
pub mod rtp;
pub mod sequence;
pub mod serial;
pub mod statsd;
pub mod transport;
pub mod video;
