//! How many stateless resets an endpoint sends: few enough that nobody can use them as a weapon.

use super::time::{Micros, Time};

const PER_SECOND: u32 = 100;

/// A budget that is renewed every second.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResetBudget {
    second_start: Time,
    used: u32,
}

impl ResetBudget {
    /// Takes one reset from the budget, if one is left.
    pub(crate) fn take(&mut self, now: Time) -> bool {
        if now.since(self.second_start) >= Micros::from_secs(1) {
            self.second_start = now;
            self.used = 0;
        }
        self.used += 1;
        self.used <= PER_SECOND
    }
}
