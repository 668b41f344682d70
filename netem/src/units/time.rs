//! [`Nanos`]: a span of time, or a point in time counted from the start of a run.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use super::{UnitError, decimal};

const KNOWN: &str = "ns, us, ms, s, min or h";
const EXAMPLE: &str = "20ms";
const RANGE: &str = "0ns to 584 years";

/// Nanoseconds: a span, or a point in time counted from the start of a run. 0 to 2^64 - 1.
///
/// Written as tc writes times, with the unit: `20ms`, `1.5s`, `250us`, `10ns`, `2min`, `1h`.
///
/// ```
/// use netem::Nanos;
/// let delay: Nanos = "1.5ms".parse()?;
/// assert_eq!(delay, Nanos::from_micros(1500));
/// assert_eq!(delay.to_string(), "1500us");
/// assert!("5".parse::<Nanos>().is_err(), "a unit is required");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nanos(u64);

impl Nanos {
    /// No time at all; the start of a run.
    pub const ZERO: Self = Self(0);
    /// The end of time, 584 years after the start.
    pub const MAX: Self = Self(u64::MAX);

    /// `nanos` nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// `micros` microseconds, at most [`Nanos::MAX`].
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// `millis` milliseconds, at most [`Nanos::MAX`].
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// `secs` seconds, at most [`Nanos::MAX`].
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// A number of seconds, as Python gives times.
    ///
    /// # Errors
    /// [`UnitError::OutOfRange`] for a negative, infinite, not-a-number or huge value.
    pub fn from_secs_f64(secs: f64) -> Result<Self, UnitError> {
        let span = Duration::try_from_secs_f64(secs).ok();
        span.and_then(|span| u64::try_from(span.as_nanos()).ok()).map(Self).ok_or_else(|| {
            UnitError::OutOfRange { value: format!("{secs}s"), range: "0s to 584 years" }
        })
    }

    /// The number of nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole microseconds, rounded down.
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Seconds, for people and for Python; never for a decision.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The same span as the standard library counts it.
    pub const fn to_duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// `self - earlier`, or zero when `earlier` is later.
    #[must_use]
    pub const fn saturating_sub(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

/// Stops at [`Nanos::MAX`]: a packet due after the end of time is simply never due.
impl Add for Nanos {
    type Output = Self;
    fn add(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// Stops at zero.
impl Sub for Nanos {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        self.saturating_sub(earlier)
    }
}

impl FromStr for Nanos {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = decimal::split(text, EXAMPLE)?;
        let value = || text.trim().to_owned();
        let factor = match unit {
            "ns" => 1u128,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" => return Err(UnitError::NoUnit { value: value(), example: value() + "ms" }),
            unit => {
                let unit = unit.to_owned();
                return Err(UnitError::UnknownUnit { value: value(), unit, known: KNOWN });
            }
        };
        let nanos = number.times(factor).and_then(|nanos| u64::try_from(nanos).ok());
        let nanos = nanos.ok_or_else(|| UnitError::OutOfRange { value: value(), range: RANGE })?;
        if nanos == 0 && number.digits != 0 {
            return Err(UnitError::TooFine { value: value(), step: "1ns" });
        }
        Ok(Self(nanos))
    }
}

/// The coarsest unit that keeps the value exact; parses back to the same value.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(f, "0ms"),
            n if n % 1_000_000_000 == 0 => write!(f, "{}s", n / 1_000_000_000),
            n if n % 1_000_000 == 0 => write!(f, "{}ms", n / 1_000_000),
            n if n % 1_000 == 0 => write!(f, "{}us", n / 1_000),
            n => write!(f, "{n}ns"),
        }
    }
}
