//! Reads a decision log back.

use super::{Decision, DecisionLog, VERSION};
use crate::packet::{Direction, FlowOrdinal, PacketOrdinal};
use crate::random::{GENERATOR, Seed};
use crate::units::Nanos;
use crate::verdict::{DropReason, Effects, Verdict};

/// Why a text is no decision log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// It does not begin like one.
    #[error(
        "line 1: not a decision log of this version: it begins with \"# netem decision log v1, \
         generator {GENERATOR}, seed N\""
    )]
    Header,
    /// A column that cannot be read.
    #[error("line {line}: {column} {value:?}: expected {expected}")]
    Column {
        /// The line, from 1.
        line: usize,
        /// The name of the column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What should.
        expected: &'static str,
    },
}

/// A decision log that was read back.
#[derive(Debug, Clone, Default)]
pub struct ParsedLog {
    /// The seed of the run.
    pub seed: Seed,
    /// Client to server.
    pub up: DecisionLog,
    /// Server to client.
    pub down: DecisionLog,
}

impl ParsedLog {
    /// The decisions of one direction.
    pub const fn of(&self, direction: Direction) -> &DecisionLog {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    pub(crate) const fn of_mut(&mut self, direction: Direction) -> &mut DecisionLog {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// The log as text again, byte by byte what a run writes.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = super::write_log(&mut text, self.seed, &self.up, &self.down);
        text
    }
}

/// Reads what [`write_log`](super::write_log) wrote.
///
/// ```
/// let text = "# netem decision log v1, generator philox4x32-10/v1, seed 7\n\
///             ## direction flow ordinal size_bytes verdict reason delay_ns\n\
///             up 0 0 1200 drop loss 0\n";
/// let log = netem::log::parse_log(text)?;
/// assert_eq!(log.up.decisions().len(), 1);
/// assert_eq!(log.to_text(), text);
/// # Ok::<(), netem::log::LogError>(())
/// ```
///
/// # Errors
/// [`LogError`] with the line.
pub fn parse_log(text: &str) -> Result<ParsedLog, LogError> {
    let mut lines = text.lines().enumerate();
    let header = lines.next().map_or("", |(_, line)| line);
    let seed = header.strip_prefix(VERSION).and_then(|rest| rest.strip_prefix(GENERATOR));
    let seed = seed.and_then(|rest| rest.strip_prefix(", seed "));
    let seed = seed.and_then(|seed| seed.parse().ok()).ok_or(LogError::Header)?;
    let mut log = ParsedLog { seed: Seed(seed), ..ParsedLog::default() };
    for (index, line) in lines {
        if let Some(comment) = line.strip_prefix('#') {
            omitted(&mut log, comment);
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        let (direction, decision) = decision(index + 1, line)?;
        log.of_mut(direction).decisions.push(decision);
    }
    for direction in Direction::BOTH {
        let log = log.of_mut(direction);
        log.packets_max = log.decisions.len();
    }
    Ok(log)
}

/// Takes note of ` up: 17 more packets than the log keeps`.
fn omitted(log: &mut ParsedLog, comment: &str) {
    for direction in Direction::BOTH {
        let count = comment.trim_start().strip_prefix(&format!("{direction}: "));
        let count = count.and_then(|rest| rest.split_once(' ')).and_then(|(n, _)| n.parse().ok());
        if let Some(count) = count {
            log.of_mut(direction).omitted = count;
        }
    }
}

fn decision(line: usize, text: &str) -> Result<(Direction, Decision), LogError> {
    let mut words = text.split(' ');
    let mut next = |column| (column, words.next().unwrap_or_default());
    let refused = |(column, value): (&'static str, &str), expected| LogError::Column {
        line,
        column,
        value: value.to_owned(),
        expected,
    };
    let word = next("direction");
    let direction = Direction::BOTH.into_iter().find(|way| way.as_str() == word.1);
    let direction = direction.ok_or_else(|| refused(word, "up or down"))?;
    let word = next("flow");
    let flow = match word.1 {
        "other" => FlowOrdinal::OTHER,
        number => FlowOrdinal(number.parse().map_err(|_| refused(word, "a number"))?),
    };
    let word = next("ordinal");
    let ordinal = word.1.parse().map_err(|_| refused(word, "a number"))?;
    let word = next("size_bytes");
    let size_bytes = word.1.parse().map_err(|_| refused(word, "a number"))?;
    let (fate, reason) = (next("verdict"), next("reason"));
    let (mut dropped, mut effects) = (None, Effects::NONE);
    match fate.1 {
        "drop" => {
            let known = DropReason::ALL.into_iter().find(|known| known.as_str() == reason.1);
            dropped = Some(known.ok_or_else(|| refused(reason, "a reason such as loss"))?);
        }
        "deliver" => {
            let known = Effects::parse(reason.1);
            effects = known.ok_or_else(|| refused(reason, "- or effects such as duplicate"))?;
        }
        _ => return Err(refused(fate, "deliver or drop")),
    }
    let word = next("delay_ns");
    let delay = word.1.parse().map_err(|_| refused(word, "nanoseconds"))?;
    let word = next("end of line");
    if !word.1.is_empty() {
        return Err(refused(word, "nothing after the delay"));
    }
    let (ordinal, delay) = (PacketOrdinal(ordinal), Nanos::from_nanos(delay));
    let verdict = Verdict { ordinal, dropped, effects, delay };
    Ok((direction, Decision { flow, size_bytes, verdict }))
}
