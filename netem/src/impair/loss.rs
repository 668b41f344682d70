//! Random loss: each packet on its own, with probability p.
//!
//! Bernoulli: lost when the packet's 32-bit draw is below p * 2^32. tc-netem's `loss random`
//! without its correlation, which does not keep the marginal probability.

use std::fmt;
use std::str::FromStr;

use super::Impairment;
use crate::random::Draws;
use crate::units::{Probability, UnitError};

/// How packets are lost. Written as a probability: `10%`.
///
/// ```
/// use netem::{LinkConfig, impair::Loss};
/// let config = LinkConfig { loss: "20%".parse()?, ..LinkConfig::default() };
/// assert_eq!(config.loss, Loss::Random("20%".parse()?));
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Each packet on its own.
    Random(Probability),
}

impl Loss {
    /// No loss at all.
    pub const NONE: Self = Self::Random(Probability::ZERO);

    /// Whether the packet of these `draws` is lost.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws) -> bool {
        match self {
            Self::Random(share) if share.is_zero() => false,
            Self::Random(share) => share.hit(draws.block(Impairment::Loss)[0]),
        }
    }
}

impl Default for Loss {
    fn default() -> Self {
        Self::NONE
    }
}

impl From<Probability> for Loss {
    fn from(share: Probability) -> Self {
        Self::Random(share)
    }
}

impl FromStr for Loss {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.parse().map(Self::Random)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(share) => share.fmt(f),
        }
    }
}
