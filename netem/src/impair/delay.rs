//! Delay with jitter: each packet waits for `time` and a random deviation, or as a trace says.
//!
//! delay = time + jitter * D, D of the chosen [`Distribution`]; what would leave before it came
//! leaves at once (the tail of a distribution may reach so far; a uniform jitter may not). Within
//! a flow the order is kept: a packet never leaves before one that came earlier, so where packets
//! follow each other more closely than the jitter, the realised delay leans to the upper end. With
//! `unordered` each packet leaves at its own time, as in tc-netem.
//!
//! Correlated jitter is a first-order autoregression in the normal domain,
//! z' = rho z + sqrt(1 - rho^2) e, put through Phi and then the distribution's quantiles. It keeps
//! the distribution whatever rho is, which mixing uniform numbers (tc-netem) does not.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::quantile::{NORMAL, phi};
use super::{Distribution, Impairment};
use crate::random::{Draws, below};
use crate::units::{Nanos, Probability, UnitError, Words};

const EXAMPLE: &str = "20ms 5ms 25% distribution normal unordered";
/// The normal domain counts sigmas times this.
const SIGMA: i64 = 1 << 32;

/// How long packets are delayed. Written as one or two times, and what else there is to say:
/// `20ms`, `20ms 5ms`, `20ms 5ms 25% distribution normal unordered`.
///
/// ```
/// use netem::{Nanos, impair::Delay};
/// let delay: Delay = "20ms 5ms".parse()?;
/// assert_eq!(delay, Delay::new(Nanos::from_millis(20), Nanos::from_millis(5))?);
/// assert!("5ms 20ms".parse::<Delay>().is_err(), "a packet cannot leave before it came");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delay {
    time: Nanos,
    jitter: Nanos,
    correlation: Correlation,
    distribution: Distribution,
    trace: Option<DelayTrace>,
    is_unordered: bool,
}

impl Delay {
    /// `time` plus or minus up to `jitter`.
    ///
    /// # Errors
    /// [`UnitError::JitterAboveDelay`] when `jitter` is more than `time`.
    pub fn new(time: Nanos, jitter: Nanos) -> Result<Self, UnitError> {
        Self { time, jitter, ..Self::default() }.checked()
    }

    /// Always `time`.
    pub fn constant(time: Nanos) -> Self {
        Self { time, ..Self::default() }
    }

    /// Packet by packet as `trace` says.
    pub fn traced(trace: DelayTrace) -> Self {
        Self { trace: Some(trace), ..Self::default() }
    }

    /// The same, varied by `jitter`.
    ///
    /// # Errors
    /// [`UnitError::JitterAboveDelay`] when it is uniform and more than the time.
    pub fn with_jitter(self, jitter: Nanos) -> Result<Self, UnitError> {
        Self { jitter, ..self }.checked()
    }

    /// The same times, with jitter of another shape.
    ///
    /// # Errors
    /// [`UnitError::JitterAboveDelay`] when it is `Uniform`, and the jitter is more than the time.
    pub fn with_distribution(self, distribution: Distribution) -> Result<Self, UnitError> {
        Self { distribution, ..self }.checked()
    }

    /// The same, with the jitter of one packet taken over to the next by `correlation`: the
    /// autocorrelation at lag 1 of the underlying normal variable.
    #[must_use]
    pub fn with_correlation(self, correlation: Probability) -> Self {
        Self { correlation: Correlation::new(correlation), ..self }
    }

    /// The same, but each packet leaves at its own time, even before earlier ones.
    #[must_use]
    pub fn unordered(self) -> Self {
        Self { is_unordered: true, ..self }
    }

    /// tc-netem draws around zero as well, so a pasted string may ask for more jitter than delay.
    pub(crate) fn of_tc(
        [time, jitter]: [Nanos; 2],
        correlation: Probability,
        distribution: Distribution,
    ) -> Self {
        let correlation = Correlation::new(correlation);
        let is_unordered = jitter > Nanos::ZERO;
        Self { time, jitter, correlation, distribution, trace: None, is_unordered }
    }

    fn checked(self) -> Result<Self, UnitError> {
        if self.jitter > self.time && self.distribution == Distribution::Uniform {
            return Err(UnitError::JitterAboveDelay { jitter: self.jitter, delay: self.time });
        }
        Ok(self)
    }

    /// The middle of the range.
    pub const fn time(&self) -> Nanos {
        self.time
    }

    /// How far a packet's delay may lie from the middle.
    pub const fn jitter(&self) -> Nanos {
        self.jitter
    }

    /// Whether the jitter is other than uniform.
    pub(crate) fn has_shape(&self) -> bool {
        self.distribution != Distribution::Uniform
    }

    /// Whether packets leave at their own times, even before earlier ones of their flow.
    #[inline]
    pub const fn is_unordered(&self) -> bool {
        self.is_unordered
    }

    /// Whether one packet's delay depends on that of the packet before.
    pub(crate) const fn has_memory(&self) -> bool {
        self.correlation.rho != 0
    }

    fn fmt_times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.time)?;
        if self.jitter > Nanos::ZERO || self.has_memory() {
            write!(f, " {}", self.jitter)?;
            if self.has_memory() {
                write!(f, " {}", Probability::from_threshold(self.correlation.rho as u64))?;
            }
        }
        if self.distribution != Distribution::Uniform {
            write!(f, " distribution {}", self.distribution)?;
        }
        Ok(())
    }

    /// The delays of the packet of these `draws` and of its copy, if it gets one.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws, memory: &mut Option<i64>) -> [Nanos; 2] {
        if self.jitter == Nanos::ZERO {
            return self.trace.as_ref().map_or([self.time; 2], |trace| trace.at(draws.ordinal()));
        }
        let [a, b, c, d] = draws.block(Impairment::Delay);
        if self.has_memory() || self.distribution != Distribution::Uniform {
            return self.deviate([join(a, b), join(c, d)], memory);
        }
        let span = self.jitter.as_nanos().saturating_mul(2).saturating_add(1);
        // A pasted tc string may reach below zero: what would leave before it came leaves at once.
        let at = |words| self.time + Nanos::from_nanos(below(words, span)) - self.jitter;
        [at([a, b]), at([c, d])]
    }

    fn deviate(&self, draws: [u64; 2], memory: &mut Option<i64>) -> [Nanos; 2] {
        let before = *memory;
        let uniform = if self.has_memory() {
            let next = draws.map(|draw| self.correlation.next(before, draw));
            *memory = Some(next[0]);
            next.map(phi)
        } else {
            draws
        };
        uniform.map(|draw| {
            let deviation = self.distribution.deviation(draw, self.jitter.as_nanos());
            let span = Nanos::from_nanos(deviation.unsigned_abs());
            if deviation < 0 { self.time - span } else { self.time + span }
        })
    }
}

const fn join(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// The weights of the past and of the new draw, times 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Correlation {
    rho: i64,
    rest: i64,
}

impl Correlation {
    fn new(correlation: Probability) -> Self {
        if correlation.is_zero() {
            return Self::default();
        }
        let rho = correlation.threshold();
        let one = 1u128 << 32;
        let rest = (one * one - u128::from(rho) * u128::from(rho)).isqrt();
        Self { rho: rho as i64, rest: rest as i64 }
    }

    /// The next value in the normal domain, sigmas times 2^32.
    fn next(self, before: Option<i64>, draw: u64) -> i64 {
        let fresh = NORMAL.at(draw) >> 16;
        let Some(before) = before else { return fresh };
        let sum =
            i128::from(self.rho) * i128::from(before) + i128::from(self.rest) * i128::from(fresh);
        (sum / i128::from(SIGMA)) as i64
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
        let mut words = Words::new(text, EXAMPLE);
        let mut delay = Self::constant(words.quantity()?);
        if let Some(jitter) = words.number()? {
            delay.jitter = jitter;
            delay = delay.with_correlation(words.number()?.unwrap_or_default());
        }
        if words.skip("distribution") {
            let word = words.next().unwrap_or_default();
            delay.distribution = Distribution::named(word).ok_or_else(|| words.unexpected(word))?;
        }
        delay.is_unordered = words.skip("unordered");
        words.end()?;
        delay.checked()
    }
}

/// A user's table or trace has no words: it is shown, but not read back.
impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trace {
            Some(trace) => write!(f, "trace of {} packets", trace.delays.len())?,
            None => self.fmt_times(f)?,
        }
        f.write_str(if self.is_unordered { " unordered" } else { "" })
    }
}

/// Delays packet by packet: one time a line, the n-th for the n-th packet of a flow; after the
/// last it starts again. `#` begins a comment.
///
/// ```
/// let trace: netem::impair::DelayTrace = "20ms\n25ms # a hiccup\n".parse()?;
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelayTrace {
    delays: Arc<[Nanos]>,
}

impl DelayTrace {
    #[inline]
    fn at(&self, ordinal: u64) -> [Nanos; 2] {
        // Parsing refuses an empty trace.
        [self.delays[(ordinal % self.delays.len() as u64) as usize]; 2]
    }
}

impl FromStr for DelayTrace {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let delays = lines.filter(|line| !line.is_empty()).map(str::parse);
        let delays = delays.collect::<Result<Arc<[Nanos]>, _>>()?;
        if delays.is_empty() {
            let value = text.to_owned();
            return Err(UnitError::Incomplete { value, example: "20ms (one time a line)" });
        }
        Ok(Self { delays })
    }
}
