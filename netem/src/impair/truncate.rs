//! Truncation: a chosen packet loses its end.

use std::fmt;
use std::str::FromStr;

use super::{Chance, Impairment};
use crate::random::Draws;
use crate::units::{Bytes, UnitError, Words};

/// Which packets are cut off, and after how many bytes; shorter ones stay whole. Written
/// `1% to 100B`.
///
/// ```
/// let truncate: netem::impair::Truncate = "1% to 100B".parse()?;
/// assert_eq!(truncate.to_string(), "1% to 100B");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Truncate {
    /// How often a packet is chosen.
    pub chance: Chance,
    /// How many bytes remain.
    pub to: Bytes,
}

impl Truncate {
    /// Whether the packet of these `draws` is chosen.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws, memory: &mut u8) -> bool {
        !self.chance.is_never() && self.chance.decide(draws.block(Impairment::Truncate)[0], memory)
    }
}

impl FromStr for Truncate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, "1% to 100B");
        let chance = Chance::read(&mut words)?;
        match words.next() {
            Some("to") => {}
            word => return Err(words.unexpected(word.unwrap_or_default())),
        }
        let to = words.quantity()?;
        words.end()?;
        Ok(Self { chance, to })
    }
}

impl fmt::Display for Truncate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.chance, self.to)
    }
}
