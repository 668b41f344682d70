//! Reordering by distance: a chosen packet is held back until later packets have overtaken it.
//!
//! A packet chosen with probability p leaves right after the `distance`-th later packet of its
//! flow, or `flush` after its own time when not so many follow. It needs no delay (tc-netem's
//! `reorder` does: there the *other* packets are delayed). Lost packets, copies and packets that
//! are held back themselves do not count as overtaking.

use std::fmt;
use std::str::FromStr;

use super::Impairment;
use crate::random::Draws;
use crate::units::{Nanos, Probability, UnitError};

/// How many packets overtake a chosen one unless said otherwise: as many as a TCP sender takes
/// for a loss (RFC 5681, section 3.2: three duplicate ACKs).
pub const DISTANCE_DEFAULT: u32 = 3;
/// The largest distance.
pub const DISTANCE_MAX: u32 = 1000;
/// How long a chosen packet is held back at most unless said otherwise.
pub const FLUSH_DEFAULT: Nanos = Nanos::from_millis(50);

const EXAMPLE: &str = "2% distance 3 flush 50ms";

/// Which packets are held back, and how far. Written `2%` or `2% distance 3 flush 50ms`.
///
/// ```
/// use netem::impair::Reorder;
/// let reorder: Reorder = "2% distance 5".parse()?;
/// assert_eq!(reorder.to_string(), "2% distance 5 flush 50ms");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reorder {
    probability: Probability,
    distance: u32,
    flush: Nanos,
}

impl Reorder {
    /// Chooses with `probability`; `distance` (1 to [`DISTANCE_MAX`]) packets overtake, or the
    /// packet leaves `flush` after its time.
    ///
    /// # Errors
    /// [`UnitError::OutOfRange`] for a distance outside its range.
    pub fn new(probability: Probability, distance: u32, flush: Nanos) -> Result<Self, UnitError> {
        if !(1..=DISTANCE_MAX).contains(&distance) {
            let value = format!("reorder distance {distance}");
            return Err(UnitError::OutOfRange { value, range: "1 to 1000 packets" });
        }
        Ok(Self { probability, distance, flush })
    }

    /// How often a packet is chosen.
    pub const fn probability(&self) -> Probability {
        self.probability
    }

    /// How many later packets overtake a chosen one.
    pub const fn distance(&self) -> u32 {
        self.distance
    }

    /// How long after its own time a chosen packet leaves at the latest.
    pub const fn flush(&self) -> Nanos {
        self.flush
    }

    /// Whether the packet of these `draws` is held back.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws) -> bool {
        !self.probability.is_zero() && self.probability.hit(draws.block(Impairment::Reorder)[0])
    }
}

impl Default for Reorder {
    fn default() -> Self {
        Self::from(Probability::ZERO)
    }
}

impl From<Probability> for Reorder {
    fn from(probability: Probability) -> Self {
        Self { probability, distance: DISTANCE_DEFAULT, flush: FLUSH_DEFAULT }
    }
}

impl FromStr for Reorder {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = text.split_whitespace();
        let mut reorder = Self::from(words.next().unwrap_or_default().parse::<Probability>()?);
        while let Some(word) = words.next() {
            let value = words.next();
            match (word, value, value.and_then(|value| value.parse().ok())) {
                ("distance", _, Some(distance)) => {
                    reorder = Self::new(reorder.probability, distance, reorder.flush)?;
                }
                ("flush", Some(flush), _) => reorder.flush = flush.parse()?,
                _ => {
                    let (value, word) = (text.to_owned(), word.to_owned());
                    return Err(UnitError::UnexpectedWord { value, word, example: EXAMPLE });
                }
            }
        }
        Ok(reorder)
    }
}

impl fmt::Display for Reorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.probability.fmt(f)?;
        if self.probability.is_zero() {
            return Ok(());
        }
        write!(f, " distance {} flush {}", self.distance, self.flush)
    }
}
