//! One impairment by name: `loss = 1%`. What profiles, scenarios and option lists share.

use crate::impair::{Distribution, EcnMarking, Loss};
use crate::link::LinkConfig;
use crate::suggest::did_you_mean;
use crate::units::{Bytes, Nanos, UnitError};

/// The names of all settings, in the order they take effect: the shape of the jitter before the
/// jitter, because a uniform one may not exceed the delay.
pub const SETTINGS: [&str; 15] = [
    "blackhole",
    "loss",
    "ecn",
    "corrupt",
    "truncate",
    "mtu",
    "duplicate",
    "rate",
    "queue",
    "delay",
    "distribution",
    "jitter",
    "unordered",
    "reorder",
    "limit",
];

/// What sets all of a direction at once, where there are words for it; settings come after.
pub(crate) const WHOLES: [&str; 2] = ["profile", "tc"];

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No impairment has this name.
    #[error("unknown key {name:?}{suggestion}")]
    Unknown {
        /// The name.
        name: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// The value cannot be read.
    #[error("{name}: {source}")]
    Value {
        /// The name.
        name: &'static str,
        /// What is wrong.
        source: UnitError,
    },
}

impl LinkConfig {
    /// Sets one impairment, as a scenario or an option does.
    ///
    /// ```
    /// let mut config = netem::LinkConfig::default();
    /// config.set("delay", "20ms")?;
    /// config.set("jitter", "5ms")?;
    /// assert_eq!(config.delay.to_string(), "20ms 5ms");
    /// let error = config.set("dealy", "20ms").unwrap_err().to_string();
    /// assert_eq!(error, "unknown key \"dealy\" (did you mean \"delay\"?)");
    /// # Ok::<(), netem::SettingError>(())
    /// ```
    ///
    /// # Errors
    /// [`SettingError`] for an unknown name or a value that cannot be read.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SettingError> {
        let Some(name) = SETTINGS.into_iter().find(|known| *known == name) else {
            let suggestion = did_you_mean(name, &SETTINGS);
            return Err(SettingError::Unknown { name: name.to_owned(), suggestion });
        };
        self.set_known(name, value).map_err(|source| SettingError::Value { name, source })
    }

    fn set_known(&mut self, name: &'static str, value: &str) -> Result<(), UnitError> {
        match name {
            "blackhole" => self.blackhole = value.parse()?,
            "loss" => self.loss = value.parse()?,
            "ecn" => self.ecn = value.parse()?,
            "corrupt" => self.corrupt = value.parse()?,
            "truncate" => self.truncate = value.parse()?,
            "mtu" => self.mtu = Some(value.parse()?),
            "duplicate" => self.duplicate = value.parse()?,
            "rate" => self.rate = if value == "unlimited" { None } else { Some(value.parse()?) },
            "queue" => self.queue = value.parse()?,
            "delay" => self.delay = value.parse()?,
            "jitter" => self.delay = self.delay.clone().with_jitter(value.parse()?)?,
            "distribution" => {
                let shape = Distribution::named(value).ok_or_else(|| unknown_shape(value))?;
                self.delay = self.delay.clone().with_distribution(shape)?;
            }
            "unordered" => {
                // A word that says yes; leaving it out says no.
                if value != "true" {
                    return Err(not_true(value));
                }
                self.delay = self.delay.clone().unordered();
            }
            "reorder" => self.reorder = value.parse()?,
            _ => {
                let packets = value.parse().ok().filter(|&packets: &usize| packets > 0);
                self.limit_packets = packets.ok_or_else(|| UnitError::OutOfRange {
                    value: value.to_owned(),
                    range: "1 packet up",
                })?;
            }
        }
        Ok(())
    }

    /// The settings that are not as by default, as [`set`](Self::set) takes them; what has no words
    /// (a trace, a table, a rule) is described.
    ///
    /// ```
    /// let mut config = netem::LinkConfig::default();
    /// config.set("loss", "1% 25%")?;
    /// assert_eq!(config.settings(), [("loss", "1% 25%".to_owned())]);
    /// # Ok::<(), netem::SettingError>(())
    /// ```
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let default = Self::default();
        let mut settings = Vec::new();
        let mut say = |name, differs: bool, value: &dyn std::fmt::Display| {
            if differs {
                settings.push((name, value.to_string()));
            }
        };
        say("rules", !self.rules.is_empty(), &self.rules.as_slice().len());
        say("replay", self.replay.is_some(), &"a decision log");
        say("blackhole", self.blackhole != default.blackhole, &self.blackhole);
        say("loss", self.loss != default.loss, &self.loss);
        say("ecn", self.ecn != default.ecn, &self.ecn);
        say("corrupt", self.corrupt != default.corrupt, &self.corrupt);
        say("truncate", self.truncate != default.truncate, &self.truncate);
        if let Some(mtu) = &self.mtu {
            say("mtu", true, mtu);
        }
        say("duplicate", self.duplicate != default.duplicate, &self.duplicate);
        if let Some(rate) = &self.rate {
            say("rate", true, rate);
        }
        say("queue", self.queue != default.queue, &self.queue);
        say("delay", self.delay != default.delay, &self.delay);
        say("reorder", self.reorder != default.reorder, &self.reorder);
        say("limit", self.limit_packets != default.limit_packets, &self.limit_packets);
        settings
    }

    /// What contradicts itself in this configuration, and what to do about it.
    ///
    /// ```
    /// let mut config = netem::LinkConfig::default();
    /// config.set("queue", "codel")?;
    /// assert!(config.contradiction().unwrap().contains("give a rate"));
    /// # Ok::<(), netem::SettingError>(())
    /// ```
    pub fn contradiction(&self) -> Option<&'static str> {
        let default = Self::default();
        let has_delay = self.delay != default.delay;
        if self.queue != default.queue && self.rate.is_none() {
            return Some("queue: it waits in front of a limited rate: give a rate, or no queue");
        }
        if self.reorder.is_ahead() && !has_delay {
            return Some("reorder: to go ahead of delayed packets there must be a delay: give one");
        }
        let is_lossless = self.loss == Loss::NONE;
        if self.ecn.on_loss && is_lossless {
            return Some("ecn: it marks what would be lost: give a loss, or a chance of its own");
        }
        if self.mtu == Some(Bytes::new(0)) {
            return Some("mtu: no packet is that small: give a size, or a blackhole");
        }
        let has_shape = self.delay.has_shape() && self.delay.jitter() == Nanos::ZERO;
        if has_shape {
            return Some("distribution: it shapes the jitter: give a jitter");
        }
        let marks_always = self.ecn != EcnMarking::default() && self.loss == all_lost();
        if marks_always && !self.ecn.on_loss {
            return Some("ecn: everything is lost, so nothing is marked: give less loss");
        }
        None
    }
}

fn all_lost() -> Loss {
    Loss::Random(crate::units::Probability::ONE)
}

fn unknown_shape(value: &str) -> UnitError {
    UnitError::UnexpectedWord {
        value: format!("distribution {value}"),
        word: value.to_owned(),
        example: "normal (or uniform, pareto, paretonormal, lognormal)",
    }
}

fn not_true(value: &str) -> UnitError {
    let (value, word) = (format!("unordered {value}"), value.to_owned());
    UnitError::UnexpectedWord { value, word, example: "unordered = true, or nothing" }
}
