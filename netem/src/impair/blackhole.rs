//! Blackholes: times at which nothing comes through, once or again and again (flapping).
//!
//! A packet is dropped when it comes in during an outage; what is already on its way arrives. The
//! times count from the start of the run, and are the same for every flow of the link.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::units::{Nanos, UnitError, Words};

const EXAMPLE: &str = "5s-5800ms\" or \"every 10s for 1s from 3s";

/// When nothing comes through. Written as spans of time, `5s-5800ms`, and flaps,
/// `every 10s for 1s from 3s` (down for the first second of each period of ten, beginning at three
/// seconds), joined by commas.
///
/// ```
/// use netem::{Nanos, impair::Blackhole};
/// let blackhole: Blackhole = "5s-5800ms, every 10s for 1s from 20s".parse()?;
/// assert!(blackhole.is_down(Nanos::from_millis(5_799)));
/// assert!(!blackhole.is_down(Nanos::from_millis(5_800)));
/// assert!(blackhole.is_down(Nanos::from_secs(40)));
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Blackhole {
    outages: Arc<[Outage]>,
}

/// One outage, or one flap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outage {
    from: Nanos,
    length: Nanos,
    /// `None`: once.
    every: Option<Nanos>,
}

impl Blackhole {
    /// Down once, from `from` for `length`, beside what it already is.
    #[must_use]
    pub fn with_outage(&self, from: Nanos, length: Nanos) -> Self {
        let outage = Outage { from, length, every: None };
        Self { outages: self.outages.iter().copied().chain([outage]).collect() }
    }

    /// Whether nothing comes through at `now`.
    #[inline]
    pub fn is_down(&self, now: Nanos) -> bool {
        self.outages.iter().any(|outage| outage.is_down(now))
    }
}

impl Outage {
    fn is_down(&self, now: Nanos) -> bool {
        if now < self.from {
            return false;
        }
        let since = (now - self.from).as_nanos();
        let into = self.every.map_or(since, |every| since % every.as_nanos());
        into < self.length.as_nanos()
    }

    fn read(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, EXAMPLE);
        let outage = if words.skip("every") {
            let every: Nanos = words.quantity()?;
            match words.next() {
                Some("for") => {}
                word => return Err(words.unexpected(word.unwrap_or_default())),
            }
            let length = words.quantity()?;
            let from = if words.skip("from") { words.quantity()? } else { Nanos::ZERO };
            Self { from, length, every: Some(every) }
        } else {
            let word = words.next().unwrap_or_default();
            let (from, until) = word.split_once('-').ok_or_else(|| words.unexpected(word))?;
            let from: Nanos = from.parse()?;
            Self { from, length: until.parse::<Nanos>()? - from, every: None }
        };
        words.end()?;
        if outage.length == Nanos::ZERO || outage.every.is_some_and(|every| every < outage.length) {
            let reason = "an outage ends after it begins, and a flap is shorter than its period";
            return Err(UnitError::Contradiction { value: text.trim().to_owned(), reason });
        }
        Ok(outage)
    }
}

impl FromStr for Blackhole {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        Ok(Self { outages: text.split(',').map(Outage::read).collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for Blackhole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, outage) in self.outages.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            let Outage { from, length, every } = *outage;
            match every {
                Some(every) => write!(f, "every {every} for {length} from {from}")?,
                None => write!(f, "{from}-{}", from + length)?,
            }
        }
        Ok(())
    }
}
