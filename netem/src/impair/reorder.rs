//! Reordering by distance: a chosen packet is held back until later packets have overtaken it.
//!
//! A packet chosen with probability p leaves right after the `distance`-th later packet of its
//! flow, or `flush` after its own time when not so many follow. It needs no delay. With a `gap` of
//! n only each n-th packet of the flow can be chosen. Lost packets, copies and packets that are
//! held back themselves do not count as overtaking.
//!
//! `ahead` is tc-netem's way: the chosen packet leaves at once and the others wait for their
//! delay, so it changes nothing without one; and after a choice the next gap-1 packets cannot be
//! chosen, so that `reorder 100% gap 5` chooses each fifth. Every packet that comes in counts for
//! the gap, also one that is lost, so that no other impairment moves the choice.

use std::fmt;
use std::str::FromStr;

use super::{Chance, Impairment};
use crate::random::Draws;
use crate::units::{Nanos, Probability, UnitError, Words};

/// How many packets overtake a chosen one unless said otherwise: as many as a TCP sender takes
/// for a loss (RFC 5681, section 3.2: three duplicate ACKs).
pub const DISTANCE_DEFAULT: u32 = 3;
/// The largest distance.
pub const DISTANCE_MAX: u32 = 1000;
/// How long a chosen packet is held back at most unless said otherwise.
pub const FLUSH_DEFAULT: Nanos = Nanos::from_millis(50);

const EXAMPLE: &str = "2% distance 3 flush 50ms";

/// Which packets are held back, and how far. Written `2%` or `2% distance 3 flush 50ms`, with
/// `gap 5` if need be; or `2% gap 5 ahead`.
///
/// ```
/// use netem::impair::Reorder;
/// let reorder: Reorder = "2% distance 5".parse()?;
/// assert_eq!(reorder.to_string(), "2% distance 5 flush 50ms");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reorder {
    chance: Chance,
    gap: u32,
    distance: u32,
    flush: Nanos,
    is_ahead: bool,
}

impl Reorder {
    /// Chooses with `probability`; `distance` (1 to [`DISTANCE_MAX`]) packets overtake, or the
    /// packet leaves `flush` after its time.
    ///
    /// # Errors
    /// [`UnitError::OutOfRange`] for a distance outside its range.
    pub fn new(probability: Probability, distance: u32, flush: Nanos) -> Result<Self, UnitError> {
        if !(1..=DISTANCE_MAX).contains(&distance) {
            let value = format!("reorder distance {distance}");
            return Err(UnitError::OutOfRange { value, range: "1 to 1000 packets" });
        }
        Ok(Self { distance, flush, ..Self::from(probability) })
    }

    /// tc-netem's way: a chosen packet leaves at once, and with a `gap` the next gap-1 packets
    /// cannot be chosen.
    pub fn ahead(chance: Chance, gap: u32) -> Self {
        Self { chance, gap: gap.max(1), is_ahead: true, ..Self::default() }
    }

    /// How often a packet is chosen.
    pub const fn probability(&self) -> Probability {
        self.chance.share()
    }

    /// How many later packets overtake a chosen one.
    pub const fn distance(&self) -> u32 {
        self.distance
    }

    /// How long after its own time a chosen packet leaves at the latest.
    pub const fn flush(&self) -> Nanos {
        self.flush
    }

    /// Whether a chosen packet leaves at once instead of being held back.
    #[inline]
    pub const fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    /// Whether one choice depends on the one before.
    pub(crate) const fn has_memory(&self) -> bool {
        self.chance.has_memory() || self.is_ahead
    }

    /// Whether the packet of these `draws` is chosen; `passed` counts packets since the last one.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws, memory: &mut u8, passed: &mut u32) -> bool {
        if self.chance.is_never() {
            return false;
        }
        let hit = self.chance.decide(draws.block(Impairment::Reorder)[0], memory);
        if !self.is_ahead {
            let gap = u64::from(self.gap);
            return hit && (gap <= 1 || draws.ordinal() % gap == gap - 1);
        }
        let chosen = hit && *passed >= self.gap - 1;
        *passed = if chosen { 0 } else { passed.saturating_add(1) };
        chosen
    }
}

impl Default for Reorder {
    fn default() -> Self {
        Self::from(Probability::ZERO)
    }
}

impl From<Probability> for Reorder {
    fn from(probability: Probability) -> Self {
        Self {
            chance: probability.into(),
            gap: 1,
            distance: DISTANCE_DEFAULT,
            flush: FLUSH_DEFAULT,
            is_ahead: false,
        }
    }
}

impl FromStr for Reorder {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, EXAMPLE);
        let mut reorder = Self { chance: Chance::read(&mut words)?, ..Self::default() };
        while let Some(word) = words.next() {
            match word {
                "distance" => {
                    let distance = words.integer()?;
                    Self::new(Probability::ZERO, distance, reorder.flush)?;
                    reorder.distance = distance;
                }
                "flush" => reorder.flush = words.quantity()?,
                "gap" => reorder.gap = words.integer::<u32>()?.max(1),
                "ahead" => reorder.is_ahead = true,
                word => return Err(words.unexpected(word)),
            }
        }
        Ok(reorder)
    }
}

impl fmt::Display for Reorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chance.fmt(f)?;
        if self.gap > 1 {
            write!(f, " gap {}", self.gap)?;
        }
        if self.is_ahead {
            f.write_str(" ahead")?;
        }
        let usual = Self::default();
        let is_usual = (self.distance, self.flush) == (usual.distance, usual.flush);
        if is_usual && (self.is_ahead || self.chance.is_never()) {
            return Ok(());
        }
        write!(f, " distance {} flush {}", self.distance, self.flush)
    }
}
