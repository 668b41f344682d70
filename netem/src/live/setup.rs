//! What happens in one direction of a running network, by name: to packets, or to a stream.
//!
//! So control and view need not know which of the two they look at.

use crate::link::LinkConfig;
use crate::packet::Direction;
use crate::profile::Profile;
use crate::setting::{SETTINGS, WHOLES};
use crate::stream::{STREAM_SETTINGS, StreamShape};
use crate::suggest::did_you_mean;

/// What happens in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setup {
    /// To packets: of a relay or a bridge.
    Packets(Box<LinkConfig>),
    /// To bytes that keep their order.
    Stream(Box<StreamShape>),
}

impl Default for Setup {
    /// Nothing happens to packets.
    fn default() -> Self {
        LinkConfig::default().into()
    }
}

impl From<LinkConfig> for Setup {
    fn from(config: LinkConfig) -> Self {
        Self::Packets(Box::new(config))
    }
}

impl From<StreamShape> for Setup {
    fn from(shape: StreamShape) -> Self {
        Self::Stream(Box::new(shape))
    }
}

impl Setup {
    /// The names that [`set`](Self::set) knows, in the order they take effect.
    pub const fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Packets(_) => &SETTINGS,
            Self::Stream(_) => &STREAM_SETTINGS,
        }
    }

    /// What sets all of a direction at once.
    pub(crate) const fn wholes(&self) -> &'static [&'static str] {
        match self {
            Self::Packets(_) => &WHOLES,
            Self::Stream(_) => &[],
        }
    }

    /// Whether there are packets: flows that can be moved, decisions that can be logged.
    pub const fn has_packets(&self) -> bool {
        matches!(self, Self::Packets(_))
    }

    /// Sets one thing.
    ///
    /// ```
    /// use netem::live::Setup;
    /// let mut setup = Setup::from(netem::LinkConfig::default());
    /// setup.set("loss", "10%")?;
    /// assert_eq!(setup.settings(), [("loss", "10%".to_owned())]);
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// Why not, in words for people.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match self {
            Self::Packets(config) => config.set(name, value).map_err(|error| error.to_string()),
            Self::Stream(shape) => shape.set(name, value).map_err(|error| error.to_string()),
        }
    }

    /// Sets several things, whatever their order; `profile` and `tc` come first.
    ///
    /// # Errors
    /// Why not, in words for people; some may have been set.
    pub fn change(&mut self, way: Direction, members: &[(String, String)]) -> Result<(), String> {
        let (wholes, names) = (self.wholes(), self.names());
        for (name, value) in members {
            if wholes.contains(&name.as_str()) || names.contains(&name.as_str()) {
                continue;
            }
            match self {
                Self::Packets(_) => {
                    let hint = did_you_mean(name, &[wholes, names].concat());
                    return Err(format!("unknown key {name:?}{hint}"));
                }
                // Another word for a setting, or an impairment that it refuses with the reason.
                Self::Stream(_) => self.set(name, value)?,
            }
        }
        let find = |name: &str| members.iter().find(|(known, _)| known == name).map(|(_, v)| v);
        if let Self::Packets(config) = self {
            let (rules, replay) = (config.rules.clone(), config.replay.clone());
            if let Some(name) = find("profile") {
                **config = Profile::named(name).map_err(|error| error.to_string())?.config(way);
            }
            if let Some(text) = find("tc") {
                let tc = crate::tc::parse(text).map_err(|error| format!("tc: {error}"))?;
                **config = tc.config;
            }
            (config.rules, config.replay) = (rules, replay);
        }
        for name in names {
            if let Some(value) = find(name) {
                self.set(name, value)?;
            }
        }
        self.contradiction().map_or(Ok(()), |reason| Err(reason.to_owned()))
    }

    /// The settings that are not as by default, as [`set`](Self::set) takes them.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Packets(config) => config.settings(),
            Self::Stream(shape) => shape.settings(),
        }
    }

    /// What contradicts itself, and what to do about it.
    pub fn contradiction(&self) -> Option<&'static str> {
        match self {
            Self::Packets(config) => config.contradiction(),
            Self::Stream(shape) => shape.contradiction(),
        }
    }
}
