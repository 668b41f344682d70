//! The greatest of what was seen lately, in two slots: the present stretch and the one before.
//!
//! What a stretch is, the owner says by advancing: a cycle of probing for the bandwidth
//! (draft-ietf-ccwg-bbr-06 §5.5.6), a number of rounds for the aggregation (§5.5.9).

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RecentMax<T> {
    before: T,
    present: T,
}

impl<T: Copy + Ord + Default> RecentMax<T> {
    pub(super) fn get(&self) -> T {
        self.before.max(self.present)
    }

    pub(super) fn update(&mut self, value: T) {
        self.present = self.present.max(value);
    }

    /// A new stretch begins, and what was seen before the last one is forgotten. A stretch in
    /// which nothing was seen does not count.
    pub(super) fn advance(&mut self) {
        if self.present != T::default() {
            self.before = std::mem::take(&mut self.present);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maximum_lasts_to_the_end_of_the_stretch_after_its_own() {
        let mut filter = RecentMax::default();
        filter.update(7);
        filter.update(5);
        assert_eq!(filter.get(), 7);
        filter.advance();
        filter.update(3);
        assert_eq!(filter.get(), 7);
        filter.advance();
        assert_eq!(filter.get(), 3, "7 is two stretches old");
        filter.update(4);
        assert_eq!(filter.get(), 4);
    }

    #[test]
    fn without_anything_new_the_old_is_kept() {
        let mut filter = RecentMax::default();
        filter.update(9);
        (0..5).for_each(|_| filter.advance());
        assert_eq!(filter.get(), 9);
    }
}
