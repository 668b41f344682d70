//! Shrinking: the smallest set of faults with which a run still fails.
//!
//! Delta debugging (A. Zeller, R. Hildebrandt, "Simplifying and isolating failure-inducing input",
//! IEEE TSE 28, 2002) in the divide-and-conquer form of U. Junker's QuickXplain (AAAI 2004): the
//! shortest prefix of the faults that still fails is found by bisection; its last fault is needed;
//! it is kept, and the search goes on in front of it. k faults among n take about k log2(n) runs.
//! What bisection assumes (more faults do not mend a failure) is checked at the end by leaving out
//! each fault once; where it did not hold, the rest is minimal all the same.

use std::collections::BTreeMap;

use crate::fault::Fault;
use crate::log::{Decision, ParsedLog};
use crate::packet::{Direction, FlowOrdinal};
use crate::units::Nanos;
use crate::verdict::Effects;

/// What shrinking came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk<T> {
    /// A failing set of faults, in their order.
    pub faults: Vec<T>,
    /// How many runs it took.
    pub runs: usize,
    /// Whether leaving out any one of them makes the run pass; otherwise the runs were used up.
    pub is_minimal: bool,
}

/// Shrinks `faults` to a smallest set with which `fails` still says yes, in at most `runs_max`
/// runs. `None`: the run does not even fail with all of them (one run).
///
/// ```
/// // Fails when both 3 and 77 are in.
/// let faults: Vec<u32> = (0..500).collect();
/// let fails = |set: &[u32]| set.contains(&3) && set.contains(&77);
/// let shrunk = netem::shrink::shrink(&faults, 60, fails).unwrap();
/// assert_eq!(shrunk.faults, [3, 77]);
/// assert!(shrunk.is_minimal);
/// ```
pub fn shrink<T: Clone>(
    faults: &[T],
    runs_max: usize,
    fails: impl FnMut(&[T]) -> bool,
) -> Option<Shrunk<T>> {
    let all: Vec<usize> = (0..faults.len()).collect();
    let mut search = Search { faults, fails, known: BTreeMap::new(), runs: 0, runs_max };
    if search.fails(&all) != Some(true) {
        return None;
    }
    let mut set = search.bisect(all);
    let is_minimal = search.leave_out_each(&mut set);
    let faults = set.into_iter().map(|place| faults[place].clone()).collect();
    Some(Shrunk { faults, runs: search.runs, is_minimal })
}

struct Search<'a, T, F> {
    faults: &'a [T],
    fails: F,
    /// Answers so far: no set is run twice.
    known: BTreeMap<Vec<usize>, bool>,
    runs: usize,
    runs_max: usize,
}

impl<T: Clone, F: FnMut(&[T]) -> bool> Search<'_, T, F> {
    /// Whether a set (sorted places) fails; `None` when the runs are used up.
    fn fails(&mut self, set: &[usize]) -> Option<bool> {
        if let Some(&known) = self.known.get(set) {
            return Some(known);
        }
        if self.runs >= self.runs_max {
            return None;
        }
        self.runs += 1;
        let faults: Vec<T> = set.iter().map(|&place| self.faults[place].clone()).collect();
        let fails = (self.fails)(&faults);
        self.known.insert(set.to_vec(), fails);
        Some(fails)
    }

    /// Bisection; what it returns has failed in a run.
    fn bisect(&mut self, all: Vec<usize>) -> Vec<usize> {
        let mut kept: Vec<usize> = Vec::new();
        let mut rest = all;
        loop {
            match self.fails(&kept) {
                Some(true) => return kept,
                Some(false) if !rest.is_empty() => {}
                _ => return union(&kept, &rest),
            }
            // kept + rest[..passes] passes, kept + rest[..failing] fails.
            let (mut passes, mut failing) = (0, rest.len());
            while failing - passes > 1 {
                let middle = passes + (failing - passes) / 2;
                match self.fails(&union(&kept, &rest[..middle])) {
                    Some(true) => failing = middle,
                    Some(false) => passes = middle,
                    None => return union(&kept, &rest[..failing]),
                }
            }
            rest.truncate(failing);
            kept = union(&kept, &[rest[failing - 1]]);
            rest.pop();
        }
    }

    /// Leaves out each fault once, again and again until none can be; whether it came to an end.
    fn leave_out_each(&mut self, set: &mut Vec<usize>) -> bool {
        let mut place = 0;
        while place < set.len() {
            let mut without = set.clone();
            without.remove(place);
            match self.fails(&without) {
                Some(true) => {
                    *set = without;
                    place = 0;
                }
                Some(false) => place += 1,
                None => return false,
            }
        }
        true
    }
}

/// Both sets together, sorted.
fn union(one: &[usize], other: &[usize]) -> Vec<usize> {
    let mut both: Vec<usize> = one.iter().chain(other).copied().collect();
    both.sort_unstable();
    both
}

impl ParsedLog {
    /// The same log with only these of its faults: everything else is delivered, untouched, with
    /// the delay it had (a packet that was dropped takes that of the last before it that was not,
    /// or of the first).
    #[must_use]
    pub fn with_only(&self, faults: &[Fault]) -> Self {
        let mut log = self.clone();
        for direction in Direction::BOTH {
            let mut wanted: BTreeMap<(FlowOrdinal, u64), Vec<&Fault>> = BTreeMap::new();
            for fault in faults.iter().filter(|fault| fault.direction == direction) {
                wanted.entry((fault.flow, fault.ordinal.0)).or_default().push(fault);
            }
            let mut last: BTreeMap<FlowOrdinal, Nanos> = BTreeMap::new();
            for Decision { flow, verdict, .. } in log.of(direction).decisions() {
                if verdict.is_delivered() {
                    last.entry(*flow).or_insert(verdict.delay);
                }
            }
            for decision in &mut log.of_mut(direction).decisions {
                let wanted = wanted.get(&(decision.flow, decision.verdict.ordinal.0));
                let delay = last.get(&decision.flow).copied();
                keep_only(decision, wanted.map_or(&[], Vec::as_slice), delay.unwrap_or_default());
                if decision.verdict.is_delivered() {
                    last.insert(decision.flow, decision.verdict.delay);
                }
            }
        }
        log
    }
}

/// Takes everything off a decision that is not among `wanted`.
fn keep_only(decision: &mut Decision, wanted: &[&Fault], delay_before: Nanos) {
    let verdict = &mut decision.verdict;
    let keeps = |effect: Effects| {
        let mut alone = *verdict;
        (alone.effects, alone.dropped) = (effect, None);
        verdict.effects.contains(effect) && wanted.iter().any(|fault| fault.is_in(&alone))
    };
    let effects = [
        Effects::DUPLICATE,
        Effects::REORDER,
        Effects::AHEAD,
        Effects::CORRUPT,
        Effects::TRUNCATE,
        Effects::MARK,
    ];
    let kept = effects.into_iter().filter(|&effect| keeps(effect));
    let effects = kept.fold(Effects::NONE, Effects::with);
    if verdict.dropped.is_some() {
        if wanted.iter().any(|fault| fault.is_in(verdict)) {
            return;
        }
        (verdict.dropped, verdict.delay) = (None, delay_before);
    }
    verdict.effects = effects;
}
