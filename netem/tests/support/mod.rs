//! What the tests share with those of the crate above.
#![allow(dead_code, reason = "each test binary uses its own part")]

#[path = "../../../tests/support/fuzz.rs"]
pub(crate) mod fuzz;
#[path = "../../../tests/support/rng.rs"]
pub(crate) mod rng;
pub(crate) mod told;
