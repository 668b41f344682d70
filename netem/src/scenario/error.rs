//! What can be wrong with a scenario, and where.

use std::fmt;

use crate::profile::UnknownProfile;
use crate::setting::SettingError;
use crate::tc::TcError;
use crate::units::UnitError;

/// A refused scenario: `s.toml:3:8: unknown key "lsos" (did you mean "loss"?)`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct ScenarioError {
    /// The file's name as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Box<Problem>,
}

/// What is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is not TOML.
    Syntax(String),
    /// It cannot be read: the system's reason.
    Unreadable(String),
    /// A key that has no meaning here.
    UnknownKey {
        /// The key.
        key: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// A value of the wrong kind.
    Kind {
        /// The key.
        key: String,
        /// What it wants.
        expected: &'static str,
    },
    /// A key that has to be there.
    MissingKey(&'static str),
    /// An impairment that is refused.
    Setting(SettingError),
    /// A quantity that is refused.
    Unit {
        /// The key.
        key: String,
        /// What is wrong with its value.
        source: UnitError,
    },
    /// A tc-netem string that is refused.
    Tc(TcError),
    /// A profile that does not exist.
    Profile(UnknownProfile),
    /// Things that cannot hold at the same time.
    Contradiction(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(reason) => write!(f, "not TOML: {reason}"),
            Self::Unreadable(reason) => write!(f, "cannot be read: {reason}"),
            Self::UnknownKey { key, suggestion } => write!(f, "unknown key {key:?}{suggestion}"),
            Self::Kind { key, expected } => write!(f, "{key}: expected {expected}"),
            Self::MissingKey(key) => write!(f, "the key {key:?} is missing here"),
            Self::Setting(error) => error.fmt(f),
            Self::Unit { key, source } => write!(f, "{key}: {source}"),
            Self::Tc(error) => write!(f, "tc: {error}"),
            Self::Profile(error) => error.fmt(f),
            Self::Contradiction(reason) => f.write_str(reason),
        }
    }
}

impl From<SettingError> for Problem {
    fn from(error: SettingError) -> Self {
        Self::Setting(error)
    }
}

impl From<TcError> for Problem {
    fn from(error: TcError) -> Self {
        Self::Tc(error)
    }
}

impl From<UnknownProfile> for Problem {
    fn from(error: UnknownProfile) -> Self {
        Self::Profile(error)
    }
}
