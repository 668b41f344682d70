//! How jitter is distributed: uniform, one of the tables, or a table of the user's.

use std::fmt;
use std::sync::Arc;

use super::quantile::{LOGNORMAL, NORMAL, PARETO, PARETONORMAL, Quantiles};
use crate::random::below;
use crate::units::UnitError;

/// tc's tables hold sigmas times this.
const TABLE_SCALE: i64 = 8192;
/// tc refuses tables with more entries.
const TABLE_ENTRIES_MAX: usize = 65_536;

/// The shape of the jitter around the delay. For all but `Uniform`, jitter is one standard
/// deviation; formulas are in `quantile.rs`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Distribution {
    /// Evenly from -jitter to +jitter.
    #[default]
    Uniform,
    /// The bell curve.
    Normal,
    /// A heavy tail of late packets: Pareto with shape 3.
    Pareto,
    /// A quarter normal, three quarters Pareto: close to what is measured on real paths
    /// (tc-netem(8)).
    ParetoNormal,
    /// The exponential of a normal variable: delays of queues in series.
    LogNormal,
    /// A table of the user's, see [`DelayTable`].
    Table(DelayTable),
}

impl Distribution {
    /// The words for those without a table.
    pub const WORDS: [&str; 5] = ["uniform", "normal", "pareto", "paretonormal", "lognormal"];

    /// The distribution called `word`.
    pub fn named(word: &str) -> Option<Self> {
        Some(match word {
            "uniform" => Self::Uniform,
            "normal" => Self::Normal,
            "pareto" => Self::Pareto,
            "paretonormal" => Self::ParetoNormal,
            "lognormal" => Self::LogNormal,
            _ => return None,
        })
    }

    /// The deviation for a uniform `draw`, when one sigma (or half the uniform range) is
    /// `jitter_ns`: nanoseconds.
    #[inline]
    pub(super) fn deviation(&self, draw: u64, jitter_ns: u64) -> i64 {
        match self {
            Self::Uniform => {
                let span = jitter_ns.saturating_mul(2).saturating_add(1);
                let words = [(draw >> 32) as u32, draw as u32];
                below(words, span).cast_signed().wrapping_sub(jitter_ns.cast_signed())
            }
            Self::Normal => scaled(&NORMAL, draw, jitter_ns),
            Self::Pareto => scaled(&PARETO, draw, jitter_ns),
            Self::ParetoNormal => scaled(&PARETONORMAL, draw, jitter_ns),
            Self::LogNormal => scaled(&LOGNORMAL, draw, jitter_ns),
            Self::Table(table) => table.deviation(draw, jitter_ns),
        }
    }
}

#[inline]
fn scaled(table: &Quantiles, draw: u64, jitter_ns: u64) -> i64 {
    ((i128::from(table.at(draw)) * i128::from(jitter_ns)) >> 48) as i64
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Normal => "normal",
            Self::Pareto => "pareto",
            Self::ParetoNormal => "paretonormal",
            Self::LogNormal => "lognormal",
            Self::Table(_) => "table",
        })
    }
}

/// A distribution as a table: each entry is as likely as any other, and says how many
/// 1/8192ths of the jitter to add to the delay. This is the format of iproute2's `.dist` files:
/// integers from -32768 to 32767 between white space, `#` begins a comment.
///
/// ```
/// let table: netem::impair::DelayTable = "# two humps\n-8192 -8192 8192\n".parse()?;
/// assert_eq!(table.entries(), [-8192, -8192, 8192]);
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayTable {
    entries: Arc<[i16]>,
}

impl DelayTable {
    /// The entries in the order of the text.
    pub fn entries(&self) -> &[i16] {
        &self.entries
    }

    fn deviation(&self, draw: u64, jitter_ns: u64) -> i64 {
        let place = below([(draw >> 32) as u32, draw as u32], self.entries.len() as u64);
        let entry = i128::from(self.entries[place as usize]);
        (entry * i128::from(jitter_ns) / i128::from(TABLE_SCALE)) as i64
    }
}

impl std::str::FromStr for DelayTable {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        const EXAMPLE: &str = "-8192 0 8192 (one sigma is 8192)";
        let mut entries = Vec::new();
        for line in text.lines() {
            for word in line.split('#').next().unwrap_or_default().split_whitespace() {
                let Ok(entry) = word.parse() else {
                    let (value, word) = (line.to_owned(), word.to_owned());
                    return Err(UnitError::UnexpectedWord { value, word, example: EXAMPLE });
                };
                entries.push(entry);
            }
        }
        if entries.is_empty() || entries.len() > TABLE_ENTRIES_MAX {
            let value = format!("a table of {} entries", entries.len());
            return Err(UnitError::OutOfRange { value, range: "1 to 65536 entries" });
        }
        Ok(Self { entries: entries.into() })
    }
}
