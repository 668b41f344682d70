//! The decision log: one line a packet, byte-identical for the same seed and packets.
//!
//! ```text
//! # netem decision log v1, generator philox4x32-10/v1, seed 7
//! # direction flow ordinal size_bytes verdict reason delay_ns
//! up 0 0 1200 deliver - 20000000
//! up 0 1 1200 drop loss 0
//! up 0 2 1200 deliver duplicate+reorder 20000000
//! ```
//!
//! Lines are sorted by direction (up first), flow and ordinal, so the interleaving of flows and
//! directions, which differs from run to run on real sockets, cannot change a byte. The last
//! column is the delay drawn for the packet. A drop that only the driver could see (an upstream
//! that is down) is no verdict: it is in the statistics, not here.

mod parse;

pub use parse::{LogError, ParsedLog, parse_log};

use std::fmt;

use crate::packet::{Direction, FlowOrdinal};
use crate::random::{GENERATOR, Seed};
use crate::verdict::Verdict;

/// How many packets a log keeps unless said otherwise; further ones are counted only.
pub const LOG_PACKETS_DEFAULT: usize = 4_000_000;

/// How the first line of a log begins.
const VERSION: &str = "# netem decision log v1, generator ";

/// One line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The packet's flow.
    pub flow: FlowOrdinal,
    /// The packet's size in bytes.
    pub size_bytes: u32,
    /// What was decided.
    pub verdict: Verdict,
}

/// The decisions of one direction, bounded.
#[derive(Debug, Clone, Default)]
pub struct DecisionLog {
    pub(crate) decisions: Vec<Decision>,
    packets_max: usize,
    omitted: u64,
}

impl DecisionLog {
    /// A log of at most `packets_max` packets.
    pub const fn new(packets_max: usize) -> Self {
        Self { decisions: Vec::new(), packets_max, omitted: 0 }
    }

    /// Adds a line and returns its number, for [`DecisionLog::amend`].
    #[inline]
    pub(crate) fn record(&mut self, flow: FlowOrdinal, size_bytes: u32, verdict: Verdict) -> usize {
        let number = self.decisions.len();
        if number < self.packets_max {
            self.decisions.push(Decision { flow, size_bytes, verdict });
        } else {
            self.omitted += 1;
        }
        number
    }

    /// Changes a verdict: what was let in was dropped, or marked, by the queue later on.
    pub(crate) fn amend(&mut self, number: usize, change: impl FnOnce(&mut Verdict)) {
        if let Some(decision) = self.decisions.get_mut(number) {
            change(&mut decision.verdict);
        }
    }

    /// The decisions in the order they were taken.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// How many packets came after the log was full.
    pub const fn omitted(&self) -> u64 {
        self.omitted
    }
}

/// Writes the log of both directions in its canonical form.
///
/// # Errors
/// Those of `out`.
pub fn write_log(
    out: &mut impl fmt::Write,
    seed: Seed,
    up: &DecisionLog,
    down: &DecisionLog,
) -> fmt::Result {
    writeln!(out, "{VERSION}{GENERATOR}, seed {seed}")?;
    writeln!(out, "# direction flow ordinal size_bytes verdict reason delay_ns")?;
    for (direction, log) in [(Direction::Up, up), (Direction::Down, down)] {
        let mut decisions: Vec<&Decision> = log.decisions.iter().collect();
        decisions.sort_by_key(|decision| (decision.flow, decision.verdict.ordinal));
        for decision in decisions {
            write_line(out, direction, decision)?;
        }
        if log.omitted > 0 {
            writeln!(out, "# {direction}: {} more packets than the log keeps", log.omitted)?;
        }
    }
    Ok(())
}

fn write_line(out: &mut impl fmt::Write, direction: Direction, decision: &Decision) -> fmt::Result {
    let Decision { flow, size_bytes, verdict } = decision;
    let (ordinal, delay) = (verdict.ordinal, verdict.delay.as_nanos());
    write!(out, "{direction} {flow} {ordinal} {size_bytes} ")?;
    match verdict.dropped {
        Some(reason) => writeln!(out, "drop {reason} {delay}"),
        None => writeln!(out, "deliver {} {delay}", verdict.effects),
    }
}
