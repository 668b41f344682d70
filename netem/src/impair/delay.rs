//! Delay with uniform jitter: each packet waits for `time` plus or minus up to `jitter`.
//!
//! delay = time - jitter + U, U uniform on 0..=2*jitter nanoseconds (tc-netem's default
//! distribution). Within a flow the order is kept: a packet never leaves before one that came
//! earlier, so where packets follow each other more closely than the jitter, the realised delay
//! leans to the upper end. Reordering is asked for by `reorder`, never a side effect.

use std::fmt;
use std::str::FromStr;

use super::Impairment;
use crate::random::{Draws, below};
use crate::units::{Nanos, UnitError};

/// How long packets are delayed. Written as one or two times: `20ms`, `20ms 5ms`.
///
/// ```
/// use netem::{Nanos, impair::Delay};
/// let delay: Delay = "20ms 5ms".parse()?;
/// assert_eq!(delay, Delay::new(Nanos::from_millis(20), Nanos::from_millis(5))?);
/// assert!("5ms 20ms".parse::<Delay>().is_err(), "a packet cannot leave before it came");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delay {
    time: Nanos,
    jitter: Nanos,
}

impl Delay {
    /// `time` plus or minus up to `jitter`.
    ///
    /// # Errors
    /// [`UnitError::JitterAboveDelay`] when `jitter` is more than `time`.
    pub fn new(time: Nanos, jitter: Nanos) -> Result<Self, UnitError> {
        if jitter > time {
            return Err(UnitError::JitterAboveDelay { jitter, delay: time });
        }
        Ok(Self { time, jitter })
    }

    /// Always `time`.
    pub const fn constant(time: Nanos) -> Self {
        Self { time, jitter: Nanos::ZERO }
    }

    /// The middle of the range.
    pub const fn time(&self) -> Nanos {
        self.time
    }

    /// How far a packet's delay may lie from the middle.
    pub const fn jitter(&self) -> Nanos {
        self.jitter
    }

    /// The delays of the packet of these `draws` and of its copy, if it gets one.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws) -> [Nanos; 2] {
        if self.jitter == Nanos::ZERO {
            return [self.time; 2];
        }
        let [a, b, c, d] = draws.block(Impairment::Delay);
        [self.at([a, b]), self.at([c, d])]
    }

    fn at(&self, words: [u32; 2]) -> Nanos {
        let span = self.jitter.as_nanos().saturating_mul(2).saturating_add(1);
        self.time - self.jitter + Nanos::from_nanos(below(words, span))
    }
}

impl From<Nanos> for Delay {
    fn from(time: Nanos) -> Self {
        Self::constant(time)
    }
}

impl FromStr for Delay {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = text.split_whitespace();
        let time = words.next().unwrap_or_default().parse()?;
        let jitter = words.next().map_or(Ok(Nanos::ZERO), str::parse)?;
        if let Some(word) = words.next() {
            let (value, word) = (text.to_owned(), word.to_owned());
            return Err(UnitError::UnexpectedWord { value, word, example: "20ms 5ms" });
        }
        Self::new(time, jitter)
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.time.fmt(f)?;
        if self.jitter > Nanos::ZERO { write!(f, " {}", self.jitter) } else { Ok(()) }
    }
}
