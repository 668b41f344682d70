//! What can be wrong with a quantity.

/// Why a quantity was refused. The text names the value and says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text has no number where one belongs.
    #[error("{value:?} is not a number with a unit: write it like {example}")]
    NotANumber {
        /// The text as it was given.
        value: String,
        /// A value that would have been accepted.
        example: &'static str,
    },
    /// A number without its unit.
    #[error("{value:?} has no unit: write it like {example}")]
    NoUnit {
        /// The text as it was given.
        value: String,
        /// The same number with a unit.
        example: String,
    },
    /// A unit that is not known here.
    #[error("{value:?} ends in an unknown unit {unit:?}: use {known}")]
    UnknownUnit {
        /// The text as it was given.
        value: String,
        /// What follows the number.
        unit: String,
        /// The units that are known.
        known: &'static str,
    },
    /// A value outside what the quantity can be.
    #[error("{value} is out of range: give a value from {range}")]
    OutOfRange {
        /// The value as it was given.
        value: String,
        /// The range, in the same unit.
        range: &'static str,
    },
    /// More than zero, but less than the smallest step there is.
    #[error("{value} is finer than the smallest step, {step}: round it")]
    TooFine {
        /// The value as it was given.
        value: String,
        /// The smallest step.
        step: &'static str,
    },
    /// Jitter larger than the delay it varies.
    #[error(
        "jitter {jitter} is more than the delay {delay} it varies: a packet cannot leave before \
         it came; set the delay to at least {jitter}"
    )]
    JitterAboveDelay {
        /// The jitter.
        jitter: crate::Nanos,
        /// The delay.
        delay: crate::Nanos,
    },
    /// A word that does not belong where it stands.
    #[error("unexpected word {word:?} in {value:?}: write it like {example:?}")]
    UnexpectedWord {
        /// The whole text.
        value: String,
        /// The word.
        word: String,
        /// A text that would have been accepted.
        example: &'static str,
    },
    /// A text that stops before it is complete.
    #[error("{value:?} is not complete: write it like {example:?}")]
    Incomplete {
        /// The whole text.
        value: String,
        /// A text that would have been accepted.
        example: &'static str,
    },
    /// Options that cannot hold at the same time.
    #[error("{value}: {reason}")]
    Contradiction {
        /// The options as they were given.
        value: String,
        /// Why they contradict each other, and what to do.
        reason: &'static str,
    },
}
