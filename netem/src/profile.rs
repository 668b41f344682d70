//! Networks by name: `wifi`, `3g`, `satellite`… each with the source of its numbers.
//!
//! Where a source gives a round-trip time, each direction gets half of it. Numbers that nobody
//! published for the purpose are labelled `estimate`: plausible, and no more than that.

use crate::link::LinkConfig;
use crate::packet::Direction;
use crate::suggest::did_you_mean;

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Where its numbers come from; `None`: they are an estimate.
    pub source: Option<&'static str>,
    /// Settings of both directions, then those of one.
    both: &'static [(&'static str, &'static str)],
    up: &'static [(&'static str, &'static str)],
    down: &'static [(&'static str, &'static str)],
}

/// Why there is no such profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown profile {name:?}{suggestion}")]
pub struct UnknownProfile {
    name: String,
    suggestion: String,
}

const WEBPAGETEST: &str = "WebPageTest, www/settings/connectivity.ini.sample: bandwidth in and \
                           out, round-trip time, no loss";
const COMCAST: &str = "the table of network conditions in the README of tylertreat/comcast: \
                       latency, bandwidth, packet loss";
const GEO: &str = "RFC 2488, section 2: 239.6 ms from ground to ground below a geostationary \
                   satellite, both ways through it 558 ms at the edges; rate estimated";

/// All profiles.
pub const PROFILES: [Profile; 16] = [
    Profile {
        name: "perfect",
        summary: "nothing happens to any packet",
        source: Some("by definition"),
        both: &[],
        up: &[],
        down: &[],
    },
    Profile {
        name: "lan",
        summary: "a switched network in one building",
        source: None,
        both: &[("rate", "1gbit"), ("delay", "200us 50us"), ("queue", "droptail 512kB")],
        up: &[],
        down: &[],
    },
    Profile {
        name: "wifi",
        summary: "a good wireless network at home",
        source: None,
        both: &[
            ("rate", "80mbit"),
            ("delay", "2ms 1ms distribution pareto"),
            ("loss", "gemodel 0.02% 30%"),
        ],
        up: &[],
        down: &[],
    },
    Profile {
        name: "wifi-lossy",
        summary: "the far corner of the house: bursts of loss, late packets",
        source: None,
        both: &[
            ("rate", "10mbit"),
            ("delay", "8ms 6ms 30% distribution paretonormal"),
            ("loss", "gemodel 1% 25% 80% 0.2%"),
            ("queue", "droptail 100"),
        ],
        up: &[],
        down: &[],
    },
    Profile {
        name: "wifi-comcast",
        summary: "\"WIFI (good)\"",
        source: Some(COMCAST),
        both: &[("rate", "30mbit"), ("delay", "20ms"), ("loss", "0.2%")],
        up: &[],
        down: &[],
    },
    Profile {
        name: "2g",
        summary: "\"Mobile 2G\"",
        source: Some(WEBPAGETEST),
        both: &[("delay", "650ms")],
        up: &[("rate", "32kbit")],
        down: &[("rate", "35kbit")],
    },
    Profile {
        name: "edge",
        summary: "\"Mobile Edge\"",
        source: Some(WEBPAGETEST),
        both: &[("delay", "420ms")],
        up: &[("rate", "200kbit")],
        down: &[("rate", "240kbit")],
    },
    Profile {
        name: "3g",
        summary: "\"Mobile 3G\"",
        source: Some(WEBPAGETEST),
        both: &[("delay", "150ms")],
        up: &[("rate", "768kbit")],
        down: &[("rate", "1600kbit")],
    },
    Profile {
        name: "3g-slow",
        summary: "\"Mobile 3G - Slow\"",
        source: Some(WEBPAGETEST),
        both: &[("delay", "100ms")],
        up: &[("rate", "330kbit")],
        down: &[("rate", "780kbit")],
    },
    Profile {
        name: "4g",
        summary: "LTE outdoors, with its deep buffers",
        source: None,
        both: &[
            ("delay", "25ms 6ms 50% distribution paretonormal"),
            ("loss", "gemodel 0.02% 40%"),
            ("queue", "droptail 500kB"),
        ],
        up: &[("rate", "10mbit")],
        down: &[("rate", "30mbit")],
    },
    Profile {
        name: "adsl",
        summary: "\"DSL\"",
        source: Some(WEBPAGETEST),
        both: &[("delay", "25ms")],
        up: &[("rate", "384kbit")],
        down: &[("rate", "1500kbit")],
    },
    Profile {
        name: "cable",
        summary: "\"Cable\"",
        source: Some(WEBPAGETEST),
        both: &[("delay", "14ms")],
        up: &[("rate", "1mbit")],
        down: &[("rate", "5mbit")],
    },
    Profile {
        name: "fibre",
        summary: "\"FIOS\"",
        source: Some(WEBPAGETEST),
        both: &[("delay", "2ms")],
        up: &[("rate", "5mbit")],
        down: &[("rate", "20mbit")],
    },
    Profile {
        name: "satellite",
        summary: "a geostationary satellite",
        source: Some(GEO),
        both: &[("delay", "279ms")],
        up: &[("rate", "3mbit")],
        down: &[("rate", "20mbit")],
    },
    Profile {
        name: "train",
        summary: "a fast train: tunnels, and bursts at every handover",
        source: None,
        both: &[
            ("delay", "45ms 20ms 60% distribution paretonormal"),
            ("loss", "gemodel 0.5% 8% 90% 0.1%"),
            ("blackhole", "every 40s for 2500ms from 20s"),
            ("queue", "droptail 300kB"),
        ],
        up: &[("rate", "2mbit")],
        down: &[("rate", "8mbit")],
    },
    Profile {
        name: "congested",
        summary: "a full link with a long queue",
        source: None,
        both: &[
            ("rate", "2mbit"),
            ("delay", "30ms 10ms distribution pareto"),
            ("loss", "3% 30%"),
            ("queue", "droptail 250kB"),
        ],
        up: &[],
        down: &[],
    },
];

impl Profile {
    /// The profile called `name`.
    ///
    /// ```
    /// let profile = netem::profile::Profile::named("3g")?;
    /// let down = profile.config(netem::Direction::Down);
    /// assert_eq!(down.rate.unwrap().to_string(), "1600kbit");
    /// assert!(profile.provenance().contains("WebPageTest"));
    /// # Ok::<(), netem::profile::UnknownProfile>(())
    /// ```
    ///
    /// # Errors
    /// [`UnknownProfile`], with the name that may have been meant.
    pub fn named(name: &str) -> Result<&'static Self, UnknownProfile> {
        let known = PROFILES.iter().find(|profile| profile.name == name);
        known.ok_or_else(|| {
            let names = PROFILES.map(|profile| profile.name);
            let suggestion = did_you_mean(name, &names);
            UnknownProfile { name: name.to_owned(), suggestion }
        })
    }

    /// Where its numbers come from, or `estimate`.
    pub fn provenance(&self) -> &'static str {
        self.source.unwrap_or("estimate")
    }

    /// What it does in one direction.
    pub fn config(&self, direction: Direction) -> LinkConfig {
        let own = match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        };
        let mut config = LinkConfig::default();
        for (name, value) in self.both.iter().chain(own) {
            // The table is this file's own; a test reads all of it.
            let _ = config.set(name, value);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_can_be_read_and_says_where_it_comes_from() {
        for profile in &PROFILES {
            for settings in [profile.both, profile.up, profile.down] {
                let mut config = LinkConfig::default();
                for (name, value) in settings {
                    config.set(name, value).unwrap_or_else(|e| panic!("{}: {e}", profile.name));
                }
            }
            for direction in Direction::BOTH {
                assert_eq!(profile.config(direction).contradiction(), None, "{}", profile.name);
            }
            assert!(!profile.provenance().is_empty());
        }
        let error = Profile::named("wify").unwrap_err().to_string();
        assert_eq!(error, "unknown profile \"wify\" (did you mean \"wifi\"?)");
    }
}
