//! Chance with memory: hits with probability p, and more often right after a hit.
//!
//! A two-state Markov chain on hit/miss with exact marginal p and lag-1 autocorrelation rho:
//!
//! ```text
//! P(hit | hit) = p + rho (1 - p)      P(hit | miss) = p (1 - rho)
//! ```
//!
//! The stationary share of hits is p (1-rho) / (1 - rho) = p, the autocorrelation at lag k is
//! rho^k, and the first packet of a flow draws from the stationary share. tc-netem mixes
//! successive uniform draws instead, which narrows their distribution around one half: its
//! `loss 1% 25%` loses next to nothing (S. Salsano et al., "Definition of a general and intuitive
//! loss model for packet networks and its implementation in the Netem module", 2012, section 3).

use std::fmt;
use std::str::FromStr;

use crate::units::{Probability, UnitError, Words};

const EXAMPLE: &str = "1% 25%";
/// What a flow remembers; any other number means that nothing has been drawn yet.
const MISSED: u8 = 1;
const HIT: u8 = 2;

/// A probability, and how much one packet's fate carries over to the next. Written `1%` or
/// `1% 25%`.
///
/// ```
/// use netem::impair::Chance;
/// let chance: Chance = "1% 25%".parse()?;
/// assert_eq!(chance.to_string(), "1% 25%");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chance {
    share: Probability,
    correlation: Probability,
    after_hit: Probability,
    after_miss: Probability,
}

impl Chance {
    /// Never.
    pub const NEVER: Self = Self {
        share: Probability::ZERO,
        correlation: Probability::ZERO,
        after_hit: Probability::ZERO,
        after_miss: Probability::ZERO,
    };

    /// Hits with probability `share`; hits and misses cling together by `correlation` (lag-1
    /// autocorrelation).
    pub fn new(share: Probability, correlation: Probability) -> Self {
        let after_miss = share.and(correlation.complement());
        let carried = correlation.and(share.complement());
        let after_hit = Probability::from_threshold(share.threshold() + carried.threshold());
        Self { share, correlation, after_hit, after_miss }
    }

    /// How often it hits in the long run.
    pub const fn share(&self) -> Probability {
        self.share
    }

    /// The autocorrelation at lag 1.
    pub const fn correlation(&self) -> Probability {
        self.correlation
    }

    /// Whether it can hit at all.
    #[inline]
    pub(crate) const fn is_never(&self) -> bool {
        self.share.is_zero()
    }

    /// Whether one draw depends on the one before.
    pub(crate) const fn has_memory(&self) -> bool {
        !self.correlation.is_zero()
    }

    /// Whether `draw` hits, after what `memory` says came before.
    #[inline]
    pub(crate) fn decide(&self, draw: u32, memory: &mut u8) -> bool {
        if !self.has_memory() {
            return self.share.hit(draw);
        }
        let hit = match *memory {
            HIT => self.after_hit.hit(draw),
            MISSED => self.after_miss.hit(draw),
            _ => self.share.hit(draw),
        };
        *memory = if hit { HIT } else { MISSED };
        hit
    }

    /// Reads the words of a chance off `words`.
    pub(crate) fn read(words: &mut Words<'_>) -> Result<Self, UnitError> {
        let share = words.quantity()?;
        Ok(Self::new(share, words.number()?.unwrap_or_default()))
    }
}

impl From<Probability> for Chance {
    fn from(share: Probability) -> Self {
        Self::new(share, Probability::ZERO)
    }
}

impl FromStr for Chance {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, EXAMPLE);
        let chance = Self::read(&mut words)?;
        words.end()?;
        Ok(chance)
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.share.fmt(f)?;
        if self.has_memory() { write!(f, " {}", self.correlation) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marginal_is_exact_whatever_the_correlation() {
        for (share, correlation) in [("1%", "25%"), ("0.3%", "25%"), ("50%", "90%"), ("30%", "1%")]
        {
            let chance = Chance::new(share.parse().unwrap(), correlation.parse().unwrap());
            let [hit, miss] = [chance.after_hit, chance.after_miss].map(Probability::as_fraction);
            let stationary = miss / (1.0 - hit + miss);
            let error = (stationary - chance.share.as_fraction()).abs();
            assert!(error < 5e-9, "{share} {correlation}: {stationary}");
            let rho = hit - miss;
            assert!((rho - chance.correlation.as_fraction()).abs() < 1e-9, "{rho}");
        }
    }

    #[test]
    fn refused_words_are_named() {
        let error = "1% 25% 3%".parse::<Chance>().unwrap_err().to_string();
        assert!(error.contains("unexpected word \"3%\""), "{error}");
        assert!("".parse::<Chance>().unwrap_err().to_string().contains("not complete"));
    }
}
