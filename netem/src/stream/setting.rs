//! What a stream can suffer, by name: `latency = 20ms`. What options and Python share.
//!
//! Impairments of packets are known here only to be refused, with the reason.

use std::str::FromStr;

use super::shape::{PACKETS_ONLY, StreamShape};
use crate::link::LinkConfig;
use crate::setting::{SETTINGS, SettingError};
use crate::suggest::did_you_mean;
use crate::units::UnitError;

/// The names of all settings of a stream, in an order in which they can be set.
pub const STREAM_SETTINGS: [&str; 9] =
    ["delay", "jitter", "distribution", "rate", "slice", "limit", "timeout", "slow-close", "reset"];

/// Other words for some of them, as toxiproxy calls them.
pub const STREAM_ALIASES: [(&str, &str); 5] = [
    ("latency", "delay"),
    ("bandwidth", "rate"),
    ("slicer", "slice"),
    ("limit-data", "limit"),
    ("reset-peer", "reset"),
];

/// Why a setting of a stream was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamSettingError {
    /// It is known, but happens to packets only.
    #[error("{name}: it {PACKETS_ONLY}")]
    PacketsOnly {
        /// The name.
        name: &'static str,
    },
    /// The name or the value is no good.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

impl StreamShape {
    /// Sets one thing, as an option does. Underscores are as good as hyphens.
    ///
    /// ```
    /// let mut shape = netem::stream::StreamShape::default();
    /// shape.set("latency", "20ms")?;
    /// shape.set("slow_close", "1s")?;
    /// assert_eq!(shape.delay.to_string(), "20ms");
    /// let error = shape.set("loss", "1%").unwrap_err().to_string();
    /// assert!(error.starts_with("loss: it happens to packets, and TCP repairs it"));
    /// # Ok::<(), netem::stream::StreamSettingError>(())
    /// ```
    ///
    /// # Errors
    /// [`StreamSettingError`] for an unknown name, an impairment of packets, or a value that
    /// cannot be read.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), StreamSettingError> {
        let plain = name.replace('_', "-");
        let alias = STREAM_ALIASES.into_iter().find(|(alias, _)| *alias == plain);
        let plain = alias.map_or(plain.as_str(), |(_, name)| name);
        if let Some(name) = STREAM_SETTINGS.into_iter().find(|known| *known == plain) {
            return self.set_known(name, value);
        }
        if let Some(name) = SETTINGS.into_iter().find(|known| *known == plain) {
            return Err(StreamSettingError::PacketsOnly { name });
        }
        let suggestion = did_you_mean(plain, &STREAM_SETTINGS);
        Err(SettingError::Unknown { name: name.to_owned(), suggestion }.into())
    }

    fn set_known(&mut self, name: &'static str, value: &str) -> Result<(), StreamSettingError> {
        let refused = |source: UnitError| SettingError::Value { name, source };
        match name {
            "slice" => self.slice = unless_none(value).map_err(refused)?,
            "limit" => self.limit = unless_none(value).map_err(refused)?,
            "timeout" => self.timeout = unless_none(value).map_err(refused)?,
            "slow-close" => self.slow_close = value.parse().map_err(refused)?,
            "reset" => self.reset = unless_none(value).map_err(refused)?,
            _ => {
                // Time and rate are read as for a link.
                let (delay, rate) = (self.delay.clone(), self.rate.clone());
                let mut link = LinkConfig { delay, rate, ..LinkConfig::default() };
                link.set(name, value)?;
                (self.delay, self.rate) = (link.delay, link.rate);
            }
        }
        Ok(())
    }
}

/// `none` takes back what was set before.
fn unless_none<T: FromStr<Err = UnitError>>(value: &str) -> Result<Option<T>, UnitError> {
    if value == "none" { Ok(None) } else { value.parse().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_and_alias_is_taken_and_packets_only_are_refused() {
        let mut shape = StreamShape::default();
        for (name, value) in [
            ("latency", "20ms"),
            ("jitter", "5ms"),
            ("distribution", "normal"),
            ("bandwidth", "8mbit"),
            ("slicer", "100B 1ms"),
            ("limit_data", "10kB"),
            ("timeout", "2s"),
            ("slow-close", "1s"),
            ("reset_peer", "3s"),
        ] {
            shape.set(name, value).unwrap();
        }
        assert!(shape.rate.is_some() && shape.slice.is_some() && shape.limit.is_some());
        assert!(shape.timeout.is_some() && shape.reset.is_some());
        for name in SETTINGS {
            let is_refused = matches!(
                StreamShape::default().set(name, "1%"),
                Err(StreamSettingError::PacketsOnly { .. })
            );
            assert_eq!(is_refused, !STREAM_SETTINGS.contains(&name), "{name}");
        }
        let error = shape.set("dealy", "1ms").unwrap_err().to_string();
        assert_eq!(error, "unknown key \"dealy\" (did you mean \"delay\"?)");
        let error = shape.set("slice", "0B").unwrap_err().to_string();
        assert_eq!(error, "slice: 0B is out of range: give a value from 1B up");
    }
}
