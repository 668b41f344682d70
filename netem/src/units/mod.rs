//! Quantities as people write them: `20ms`, `10%`. Parsed once, exact integers ever after.
//!
//! Rules of this folder: a unit is required; nothing out of range is clamped, it is refused with
//! what is wrong, which value, and what to write instead; no float on the way from text.

mod decimal;
mod error;
mod probability;
mod time;

pub use error::UnitError;
pub use probability::Probability;
pub use time::Nanos;

#[cfg(test)]
mod tests;
