//! What the integration tests of the reliable machines share.
//!
//! Each test binary uses a part of it, so unused items here are no news.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod ack_world;
pub(crate) mod fuzz;
pub(crate) mod rng;
