//! Time as the machines see it: microseconds since an instant their driver chose.
//!
//! A machine never reads a clock; whoever drives it passes `now` in and never goes backwards.

use std::ops::Add;
use std::time::Duration;

/// A point in time, in microseconds since the driver's own start.
///
/// ```
/// use std::time::Duration;
/// use udpcore::flow::time::Micros;
/// let later = Micros::ZERO + Duration::from_millis(3);
/// assert_eq!(later.since(Micros::new(1_000)), Duration::from_millis(2));
/// assert_eq!(Micros::ZERO.since(later), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(u64);

impl Micros {
    /// The driver's start.
    pub const ZERO: Self = Self(0);

    /// The point `micros` microseconds after the start.
    pub const fn new(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Time since `earlier`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Micros {
    type Output = Self;

    /// Saturates at the end of time, some 584,000 years on.
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}
