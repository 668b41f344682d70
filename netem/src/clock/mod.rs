//! What the live drivers share: the time of a run, precise waking, a thread, fresh seeds.
//!
//! The pipeline never comes here; it is told the time and the seed.

mod conductor;
mod timer;
mod worker;

use std::time::Instant;

use crate::random::Seed;
use crate::units::Nanos;

pub use conductor::Conductor;
pub(crate) use timer::Timer;
pub(crate) use worker::{Shared, Worker};

/// The time since the start of a run, monotonic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Nanos {
        Nanos::from_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A seed from the operating system: 32 bits, short enough to be typed again.
pub fn fresh_seed() -> Seed {
    Seed(u64::from(rand::random::<u32>()))
}
