//! [`Probability`]: an integer threshold that a 32-bit draw is compared with.

use std::fmt;
use std::str::FromStr;

use super::{UnitError, decimal};

/// The threshold of certainty: every 32-bit draw is below it.
const ONE: u64 = 1 << 32;
const EXAMPLE: &str = "10%";
const RANGE: &str = "0% to 100%";
const STEP: &str = "0.00000002329% (one in 2^32)";
/// Decimals of a percentage that tell all 2^32 thresholds apart.
const DECIMALS_MAX: u32 = 12;

/// A probability in steps of 2^-32, from 0% to 100% inclusive.
///
/// Written with a per cent sign: `10%`, `0.5%`. Decisions compare integers, never floats.
///
/// ```
/// use netem::Probability;
/// let loss: Probability = "12.5%".parse()?;
/// assert_eq!(loss.threshold(), 1 << 29);
/// assert_eq!(loss.to_string(), "12.5%");
/// let error = "120%".parse::<Probability>().unwrap_err();
/// assert_eq!(error.to_string(), "120% is out of range: give a value from 0% to 100%");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Probability(u64);

impl Probability {
    /// Never.
    pub const ZERO: Self = Self(0);
    /// Always.
    pub const ONE: Self = Self(ONE);

    /// A fraction from 0.0 to 1.0, as Python gives probabilities.
    ///
    /// # Errors
    /// [`UnitError::OutOfRange`] outside 0.0..=1.0; [`UnitError::TooFine`] below 2^-33.
    pub fn from_fraction(fraction: f64) -> Result<Self, UnitError> {
        let value = fraction.to_string();
        if !(0.0..=1.0).contains(&fraction) {
            return Err(UnitError::OutOfRange {
                value,
                range: "0.0 to 1.0 (or a string: \"10%\")",
            });
        }
        let threshold = (fraction * ONE as f64).round() as u64;
        if threshold == 0 && fraction > 0.0 {
            return Err(UnitError::TooFine { value, step: STEP });
        }
        Ok(Self(threshold))
    }

    /// `threshold` of the 2^32 possible draws; more than all is all.
    pub(crate) const fn from_threshold(threshold: u64) -> Self {
        Self(if threshold < ONE { threshold } else { ONE })
    }

    /// `part` of `whole` (not zero), rounded to the nearest step.
    pub(crate) fn ratio(part: u128, whole: u128) -> Self {
        Self::from_threshold(((part * u128::from(ONE) + whole / 2) / whole) as u64)
    }

    /// The probability that both of two independent events happen, rounded to the nearest step.
    pub(crate) fn and(self, other: Self) -> Self {
        Self::ratio(u128::from(self.0) * u128::from(other.0), u128::from(ONE) * u128::from(ONE))
    }

    /// The probability that it does not happen.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(ONE - self.0)
    }

    /// How many of the 2^32 possible draws hit.
    pub const fn threshold(self) -> u64 {
        self.0
    }

    /// Whether it can never hit.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether `draw` hits.
    #[inline]
    pub const fn hit(self, draw: u32) -> bool {
        (draw as u64) < self.0
    }

    /// A fraction from 0.0 to 1.0, for people and statistics; never for a decision.
    pub fn as_fraction(self) -> f64 {
        self.0 as f64 / ONE as f64
    }
}

impl FromStr for Probability {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let value = || text.trim().to_owned();
        let (number, unit) = decimal::split(text, EXAMPLE)?;
        match unit {
            "%" => {}
            "" => return Err(UnitError::NoUnit { value: value(), example: value() + "%" }),
            unit => {
                let unit = unit.to_owned();
                return Err(UnitError::UnknownUnit { value: value(), unit, known: "%" });
            }
        }
        // digits / 10^scale per cent: compare before rounding, so that 100.0000000001% is refused.
        if number.digits > 100 * 10u128.pow(number.scale) {
            return Err(UnitError::OutOfRange { value: value(), range: RANGE });
        }
        let percent = decimal::Decimal { scale: number.scale + 2, ..number };
        let threshold = percent.times(u128::from(ONE)).unwrap_or_default();
        if threshold == 0 && number.digits != 0 {
            return Err(UnitError::TooFine { value: value(), step: STEP });
        }
        Ok(Self(threshold as u64))
    }
}

/// Per cent with as few decimals as parse back to the same threshold.
impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = u128::from(ONE);
        for decimals in 0..=DECIMALS_MAX {
            let scale = 10u128.pow(decimals);
            let shown = (u128::from(self.0) * 100 * scale + one / 2) / one;
            let parsed = (shown * one + 50 * scale) / (100 * scale);
            if parsed == u128::from(self.0) {
                let (whole, rest) = (shown / scale, shown % scale);
                return match decimals {
                    0 => write!(f, "{whole}%"),
                    _ => write!(f, "{whole}.{rest:0width$}%", width = decimals as usize),
                };
            }
        }
        write!(f, "{}/2^32", self.0)
    }
}
