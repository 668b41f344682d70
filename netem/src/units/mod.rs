//! Quantities as people write them: `20ms`, `10%`. Parsed once, exact integers ever after.
//!
//! Rules of this folder: a unit is required; nothing out of range is clamped, it is refused with
//! what is wrong, which value, and what to write instead; no float on the way from text.

mod decimal;
mod error;
mod probability;
mod rate;
mod size;
mod time;
mod words;

pub use error::UnitError;
pub use probability::Probability;
pub use rate::BitRate;
pub use size::Bytes;
pub use time::Nanos;
pub(crate) use words::Words;

#[cfg(test)]
mod tests;
