//! A set of numbers kept as sorted ranges that neither touch nor overlap.
//!
//! Insertion at the high end, which is nearly always where it happens, costs O(1).

use std::ops::{Range, RangeInclusive};

/// Sorted, disjoint, half-open ranges of `u64`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RangeSet {
    /// Ascending.
    ranges: Vec<Range<u64>>,
}

impl RangeSet {
    pub(crate) const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// Adds `new`; returns how many of its numbers were not in the set before.
    pub(crate) fn insert(&mut self, new: Range<u64>) -> u64 {
        if new.is_empty() {
            return 0;
        }
        if let Some(last) = self.ranges.last_mut() {
            if new.start == last.end {
                last.end = new.end;
                return new.end - new.start;
            }
            if new.start > last.end {
                self.ranges.push(new.clone());
                return new.end - new.start;
            }
        } else {
            self.ranges.push(new.clone());
            return new.end - new.start;
        }
        // The first range that reaches `new`, and the one behind the last that does.
        let first = self.ranges.partition_point(|range| range.end < new.start);
        let behind = self.ranges.partition_point(|range| range.start <= new.end);
        if first == behind {
            self.ranges.insert(first, new.clone());
            return new.end - new.start;
        }
        let touched = &self.ranges[first..behind];
        let covered: u64 = touched
            .iter()
            .map(|range| range.end.min(new.end).saturating_sub(range.start.max(new.start)))
            .sum();
        let start = touched[0].start.min(new.start);
        let end = touched[touched.len() - 1].end.max(new.end);
        self.ranges[first] = start..end;
        self.ranges.drain(first + 1..behind);
        new.end - new.start - covered
    }

    /// Adds one number; `false` if it was there.
    pub(crate) fn insert_one(&mut self, number: u64) -> bool {
        self.insert(number..number + 1) == 1
    }

    /// Takes the numbers of `gone` out.
    pub(crate) fn remove(&mut self, gone: Range<u64>) {
        if gone.is_empty() {
            return;
        }
        let mut index = self.ranges.partition_point(|range| range.end <= gone.start);
        while index < self.ranges.len() && self.ranges[index].start < gone.end {
            let old = self.ranges[index].clone();
            let (left, right) =
                (old.start..gone.start.min(old.end), gone.end.max(old.start)..old.end);
            match (left.start < left.end, right.start < right.end) {
                (true, true) => {
                    self.ranges[index] = left;
                    self.ranges.insert(index + 1, right);
                    return;
                }
                (true, false) => {
                    self.ranges[index] = left;
                    index += 1;
                }
                (false, true) => {
                    self.ranges[index] = right;
                    return;
                }
                (false, false) => {
                    self.ranges.remove(index);
                }
            }
        }
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let index = self.ranges.partition_point(|range| range.end <= number);
        self.ranges.get(index).is_some_and(|range| range.start <= number)
    }

    /// The parts of `range` that are not in the set, ascending.
    pub(crate) fn missing(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let first = self.ranges.partition_point(|have| have.end <= range.start);
        let mut at = range.start;
        let mut have = self.ranges[first..].iter();
        std::iter::from_fn(move || {
            while at < range.end {
                let next = have.next().cloned().unwrap_or(range.end..range.end);
                let gap = at..next.start.clamp(at, range.end);
                at = next.end;
                if !gap.is_empty() {
                    return Some(gap);
                }
            }
            None
        })
    }

    /// Drops the lowest ranges until at most `count` are left.
    pub(crate) fn keep_highest(&mut self, count: usize) {
        if self.ranges.len() > count {
            self.ranges.drain(..self.ranges.len() - count);
        }
    }

    /// Drops every number below `floor`.
    pub(crate) fn remove_below(&mut self, floor: u64) {
        if self.ranges.first().is_some_and(|range| range.start < floor) {
            self.remove(0..floor);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(crate) fn lowest(&self) -> Option<u64> {
        self.ranges.first().map(|range| range.start)
    }

    pub(crate) fn highest(&self) -> Option<u64> {
        self.ranges.last().map(|range| range.end - 1)
    }

    pub(crate) fn first_range(&self) -> Option<&Range<u64>> {
        self.ranges.first()
    }

    /// The ranges, highest first, ends included.
    pub(crate) fn descending(&self) -> impl Iterator<Item = RangeInclusive<u64>> {
        self.ranges.iter().rev().map(|range| range.start..=range.end - 1)
    }

    /// Takes the lowest `len` numbers of the lowest range out and returns them.
    pub(crate) fn take_lowest(&mut self, len: u64) -> Option<Range<u64>> {
        let first = self.ranges.first_mut()?;
        let taken = first.start..first.end.min(first.start + len);
        first.start = taken.end;
        if first.is_empty() {
            self.ranges.remove(0);
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(Range<u64>),
        Remove(Range<u64>),
        Take(u64),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let range = (0..60_u64, 0..12_u64).prop_map(|(start, len)| start..start + len);
        proptest::collection::vec(
            prop_oneof![
                3 => range.clone().prop_map(Op::Insert),
                1 => range.prop_map(Op::Remove),
                1 => (1..5_u64).prop_map(Op::Take),
            ],
            0..40,
        )
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(ops in ops()) {
            let mut set = RangeSet::new();
            let mut plain = BTreeSet::new();
            for op in ops {
                match op {
                    Op::Insert(range) => {
                        let new = range.clone().filter(|n| plain.insert(*n)).count() as u64;
                        prop_assert_eq!(set.insert(range), new);
                    }
                    Op::Remove(range) => {
                        plain.retain(|n| !range.contains(n));
                        set.remove(range);
                    }
                    Op::Take(len) => {
                        for number in set.take_lowest(len).into_iter().flatten() {
                            prop_assert_eq!(plain.pop_first(), Some(number));
                        }
                    }
                }
                let flat: Vec<u64> = set.ranges.iter().cloned().flatten().collect();
                prop_assert_eq!(&flat, &plain.iter().copied().collect::<Vec<_>>());
                prop_assert!(set.ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
                let missing: Vec<u64> = set.missing(5..50).flatten().collect();
                let expected: Vec<u64> = (5..50).filter(|n| !plain.contains(n)).collect();
                prop_assert_eq!(missing, expected);
                prop_assert!((0..80).all(|n| set.contains(n) == plain.contains(&n)));
            }
        }
    }
}
