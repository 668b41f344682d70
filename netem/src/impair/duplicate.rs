//! Duplication: a chosen packet comes out twice.
//!
//! The copy is neither lost nor held back; it draws its own delay and leaves with the original or
//! after it. A copy does not hold up later packets, so it may also arrive after some of them.
//! Where the rate is limited the copy takes its own time on the wire.

use std::fmt;
use std::str::FromStr;

use super::{Chance, Impairment};
use crate::random::Draws;
use crate::units::{Probability, UnitError};

/// How often a packet is duplicated. Written as a chance: `1%`, or `1% 25%` with correlation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duplicate(pub Chance);

impl Duplicate {
    /// Whether the packet of these `draws` gets a second copy.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws, memory: &mut u8) -> bool {
        !self.0.is_never() && self.0.decide(draws.block(Impairment::Duplicate)[0], memory)
    }
}

impl FromStr for Duplicate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.parse().map(Self)
    }
}

impl From<Probability> for Duplicate {
    fn from(share: Probability) -> Self {
        Self(share.into())
    }
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
