//! A world in virtual time: one server, some clients, netem between them, checkers around them.
//!
//! `world` moves datagrams and time, `scenario` draws what happens from a seed, `traffic` makes
//! messages that prove themselves, `check` says what must hold.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod bulk;
pub mod check;
pub mod live;
pub mod meeting;
pub mod pipe;
pub mod scenario;
pub mod shared;
pub mod traffic;
pub mod world;
