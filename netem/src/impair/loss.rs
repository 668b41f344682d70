//! Which packets are lost: at random, in bursts, by number, or as a trace says.
//!
//! - `10%`, `1% 25%`: each packet with a probability, alone or clinging together ([`Chance`])
//! - `gemodel 1% 20%`: bursts ([`GilbertElliott`]); `state 1% 25% 5% 50% 0.1%` ([`FourState`])
//! - `list 3,7-9`: exactly these packets of each flow; `every 10`: each tenth
//! - `trace 0001011`: packet by packet, 1 is lost, repeated when it ends
//!
//! Bernoulli: lost when the packet's 32-bit draw is below p * 2^32.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;

use super::{Chance, FourState, GilbertElliott, Impairment, PacketSet};
use crate::random::Draws;
use crate::units::{Probability, UnitError, Words};

const EXAMPLE: &str = "1% 25%\", \"gemodel 1% 20%\", \"list 3,7-9\", \"every 10\" or \"trace 0010";

/// How packets are lost. Written as a probability, `10%`, or with the model's name in front.
///
/// ```
/// use netem::{LinkConfig, impair::Loss};
/// let config = LinkConfig { loss: "20%".parse()?, ..LinkConfig::default() };
/// assert_eq!(config.loss, Loss::Random("20%".parse()?));
/// let bursts: Loss = "gemodel 1% 20%".parse()?;
/// assert_eq!(bursts.to_string(), "gemodel 1% 20% 100% 0%");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// Each packet on its own.
    Random(Probability),
    /// Each packet with a probability, lost and received ones clinging together.
    Correlated(Chance),
    /// Bursts: a good and a bad state.
    GilbertElliott(GilbertElliott),
    /// Bursts with received packets inside, and losses alone.
    FourState(FourState),
    /// Exactly these packets of each flow.
    List(PacketSet),
    /// Each n-th packet of a flow.
    Every(NonZeroU64),
    /// Packet by packet, repeated when it ends.
    Trace(LossTrace),
}

impl Loss {
    /// No loss at all.
    pub const NONE: Self = Self::Random(Probability::ZERO);

    /// Whether one packet's fate depends on that of the packet before.
    pub(crate) const fn has_memory(&self) -> bool {
        matches!(self, Self::Correlated(_) | Self::GilbertElliott(_) | Self::FourState(_))
    }

    /// Whether the packet of these `draws` is lost.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws, state: &mut u8) -> bool {
        match self {
            Self::Random(share) => !share.is_zero() && share.hit(draws.block(Impairment::Loss)[0]),
            Self::Correlated(chance) => chance.decide(draws.block(Impairment::Loss)[0], state),
            Self::GilbertElliott(model) => model.decide(draws, state),
            Self::FourState(model) => model.decide(draws, state),
            Self::List(set) => set.contains_ordinal(draws.ordinal()),
            Self::Every(step) => draws.ordinal() % step.get() == step.get() - 1,
            Self::Trace(trace) => trace.is_lost(draws.ordinal()),
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

impl From<Chance> for Loss {
    fn from(chance: Chance) -> Self {
        if chance.has_memory() { Self::Correlated(chance) } else { Self::Random(chance.share()) }
    }
}

impl FromStr for Loss {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, EXAMPLE);
        let loss = if words.skip("gemodel") {
            Self::GilbertElliott(GilbertElliott::read(&mut words)?)
        } else if words.skip("state") {
            Self::FourState(FourState::read(&mut words)?)
        } else if words.skip("list") {
            Self::List(words.quantity()?)
        } else if words.skip("every") {
            Self::Every(words.integer()?)
        } else if words.skip("trace") {
            Self::Trace(words.quantity()?)
        } else {
            words.skip("random");
            Self::from(Chance::read(&mut words)?)
        };
        words.end()?;
        Ok(loss)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(share) => share.fmt(f),
            Self::Correlated(chance) => chance.fmt(f),
            Self::GilbertElliott(model) => model.fmt(f),
            Self::FourState(model) => model.fmt(f),
            Self::List(set) => write!(f, "list {set}"),
            Self::Every(step) => write!(f, "every {step}"),
            Self::Trace(trace) => write!(f, "trace {trace}"),
        }
    }
}

/// Losses packet by packet: the n-th symbol is for the n-th packet of a flow, and after the last
/// it starts again. `0` is received, `1` is lost; white space and `#` comments do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossTrace {
    lost: Arc<[bool]>,
}

impl LossTrace {
    #[inline]
    fn is_lost(&self, ordinal: u64) -> bool {
        // Parsing refuses an empty trace.
        self.lost[(ordinal % self.lost.len() as u64) as usize]
    }
}

impl FromStr for LossTrace {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        const EXAMPLE: &str = "0001011 (1 is lost)";
        let mut lost = Vec::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            for symbol in line.chars().filter(|symbol| !symbol.is_whitespace()) {
                lost.push(match symbol {
                    '0' => false,
                    '1' => true,
                    other => {
                        let (value, word) = (line.to_owned(), other.to_string());
                        let example = EXAMPLE;
                        return Err(UnitError::UnexpectedWord { value, word, example });
                    }
                });
            }
        }
        if lost.is_empty() {
            return Err(UnitError::Incomplete { value: text.to_owned(), example: EXAMPLE });
        }
        Ok(Self { lost: lost.into() })
    }
}

impl fmt::Display for LossTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lost.iter().try_for_each(|&lost| f.write_str(if lost { "1" } else { "0" }))
    }
}
