//! ECN: a congested router marks a packet "congestion experienced" instead of dropping it.
//!
//! RFC 3168, section 5: only packets of a transport that says it understands (ECT) are marked.
//! Two ways: with a chance of its own, or in place of the loss model's drops (tc-netem's `ecn`).
//! A driver that does not carry the ECN field sees no marks.

use std::fmt;
use std::str::FromStr;

use super::{Chance, Impairment};
use crate::random::Draws;
use crate::units::{UnitError, Words};

/// Which packets are marked. Written `5%`, `on-loss` (mark what the loss model would drop), or
/// both: `5% on-loss`.
///
/// ```
/// let ecn: netem::impair::EcnMarking = "5% on-loss".parse()?;
/// assert_eq!(ecn.to_string(), "5% on-loss");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EcnMarking {
    /// How often a packet is marked.
    pub chance: Chance,
    /// Whether the loss model marks what can be marked instead of dropping it.
    pub on_loss: bool,
}

impl EcnMarking {
    /// Whether the packet of these `draws` is chosen.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws, memory: &mut u8) -> bool {
        !self.chance.is_never() && self.chance.decide(draws.block(Impairment::Ecn)[0], memory)
    }
}

impl FromStr for EcnMarking {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, "5% on-loss");
        let mut ecn = Self { on_loss: words.skip("on-loss"), ..Self::default() };
        if !ecn.on_loss {
            ecn.chance = Chance::read(&mut words)?;
            ecn.on_loss = words.skip("on-loss");
        }
        words.end()?;
        Ok(ecn)
    }
}

impl fmt::Display for EcnMarking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.chance.is_never(), self.on_loss) {
            (true, true) => f.write_str("on-loss"),
            (_, false) => self.chance.fmt(f),
            (false, true) => write!(f, "{} on-loss", self.chance),
        }
    }
}
