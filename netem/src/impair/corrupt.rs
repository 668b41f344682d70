//! Corruption: a chosen packet has some of its bits flipped.
//!
//! Each of `bits` flips hits a bit drawn uniformly from the payload, independently: two flips may
//! hit the same bit, as independent noise would. tc-netem flips one, and draws its place outside
//! its seed; here the place is a draw like any other. What a driver does about checksums (mend
//! them, or leave them wrong so that the receiver drops the packet) is the driver's to say.

use std::fmt;
use std::str::FromStr;

use super::{Chance, Impairment};
use crate::random::{Draws, below};
use crate::units::{Probability, UnitError, Words};

/// The most bits that are flipped in one packet.
pub const BITS_MAX: u32 = 64;
const EXAMPLE: &str = "0.1% bits 3";

/// Which packets are corrupted, and how much. Written `0.1%` or `0.1% bits 3`.
///
/// ```
/// let corrupt: netem::impair::Corrupt = "0.1% bits 3".parse()?;
/// assert_eq!(corrupt.to_string(), "0.1% bits 3");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt {
    chance: Chance,
    bits: u32,
}

impl Corrupt {
    /// Chooses by `chance` and flips `bits` (1 to [`BITS_MAX`]) bits.
    ///
    /// # Errors
    /// [`UnitError::OutOfRange`] for a number of bits outside its range.
    pub fn new(chance: Chance, bits: u32) -> Result<Self, UnitError> {
        if !(1..=BITS_MAX).contains(&bits) {
            let value = format!("corrupt bits {bits}");
            return Err(UnitError::OutOfRange { value, range: "1 to 64 bits" });
        }
        Ok(Self { chance, bits })
    }

    /// How often a packet is chosen.
    pub const fn chance(&self) -> Chance {
        self.chance
    }

    /// Whether the packet of these `draws` is corrupted.
    #[inline]
    pub(crate) fn decide(&self, draws: &Draws, memory: &mut u8) -> bool {
        !self.chance.is_never() && self.chance.decide(draws.block(Impairment::Corrupt)[0], memory)
    }

    /// Flips the bits that these `draws` choose.
    pub(crate) fn flip(&self, draws: &Draws, bytes: &mut [u8]) {
        let bits = bytes.len() as u64 * 8;
        if bits == 0 {
            return;
        }
        for number in 0..self.bits {
            let [a, b, c, d] = draws.block_at(Impairment::Corrupt, 1 + number / 2);
            let words = if number % 2 == 0 { [a, b] } else { [c, d] };
            let bit = below(words, bits);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
    }
}

impl Default for Corrupt {
    fn default() -> Self {
        Self { chance: Chance::NEVER, bits: 1 }
    }
}

impl From<Probability> for Corrupt {
    fn from(share: Probability) -> Self {
        Self { chance: share.into(), bits: 1 }
    }
}

impl FromStr for Corrupt {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, EXAMPLE);
        let chance = Chance::read(&mut words)?;
        let bits = if words.skip("bits") { words.integer()? } else { 1 };
        words.end()?;
        Self::new(chance, bits)
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chance.fmt(f)?;
        if self.bits == 1 { Ok(()) } else { write!(f, " bits {}", self.bits) }
    }
}
