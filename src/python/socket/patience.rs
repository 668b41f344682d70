//! Whether a wait may begin with the GIL kept.
//!
//! A thread that leaves the GIL for a datagram due in some microseconds gets it back only after
//! the interpreter's switch interval (5 ms) when another thread computes: the convoy effect. So a
//! socket that met this waits a moment, [`ATTACHED_WAIT_MAX`], before it lets go the next times.
//! It never does when nobody competes for the GIL, and gives up where the moment does not help.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a wait may keep the GIL: some round trips on a machine, 2 % of a switch interval.
pub(super) const ATTACHED_WAIT_MAX: Duration = Duration::from_micros(100);

/// Getting the GIL back later than this means that another thread computes.
const SLOW_RETURN: Duration = Duration::from_millis(1);

/// For how many waits the finding holds; then one wait without the GIL finds out anew.
const GRANTED: u32 = 1024;

/// By how much a wait in vain shortens that: the fifth in a row ends it.
const LOSS: u32 = 4;

/// How many waits of one socket may still begin with the GIL kept.
#[derive(Default)]
pub(super) struct Patience(AtomicU32);

impl Patience {
    /// Whether this wait may; counts it.
    pub(super) fn take(&self) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        if left > 0 {
            self.0.store(left - 1, Ordering::Relaxed);
        }
        left > 0
    }

    /// The wait was in vain.
    pub(super) fn lose(&self) {
        self.0.store(self.0.load(Ordering::Relaxed) / LOSS, Ordering::Relaxed);
    }

    /// A call that had let go of the GIL got it back after `delay`.
    pub(super) fn returned_after(&self, delay: Duration) {
        if delay > SLOW_RETURN {
            self.0.store(GRANTED, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slow_return_grants_and_waits_in_vain_end_it() {
        let patience = Patience::default();
        assert!(!patience.take());
        patience.returned_after(SLOW_RETURN);
        assert!(!patience.take());
        patience.returned_after(2 * SLOW_RETURN);
        let mut waits = 0;
        while patience.take() {
            waits += 1;
            patience.lose();
        }
        assert_eq!(waits, 5);
    }

    #[test]
    fn a_grant_is_used_up() {
        let patience = Patience::default();
        patience.returned_after(2 * SLOW_RETURN);
        assert_eq!((0..2 * GRANTED).filter(|_| patience.take()).count(), GRANTED as usize);
    }
}
