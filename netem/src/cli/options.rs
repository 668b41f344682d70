//! The impairments on the command line: every setting by name, `--loss`, and `--up-loss`,
//! `--down-loss` for one direction; whole networks, `--profile` and `--scenario`; and what tc-netem
//! would be told, `--up "delay 20ms loss 1%"`.
//!
//! What is said of one direction overrides what is said of both, and both override the profile.
//! What contradicts itself is refused.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::impair::{Delay, Distribution, Loss, Rate};
use crate::link::LinkConfig;
use crate::log::{ParsedLog, parse_log};
use crate::packet::Direction;
use crate::profile::{PROFILES, Profile};
use crate::random::Seed;
use crate::replay::Replay;
use crate::scenario::Scenario;
use crate::setting::{SETTINGS, SettingError};
use crate::tc::{self, TcNetem};
use crate::timeline::{Change, Timeline};
use crate::units::{Nanos, UnitError};

const PREFIXES: [(&str, &str); 3] = [
    ("", "Impairments, both directions"),
    ("up-", "Impairments, client to server (override those for both)"),
    ("down-", "Impairments, server to client (override those for both)"),
];

/// Value and help of each setting, in the order of [`SETTINGS`].
const HELP: [(&str, &str); SETTINGS.len()] = [
    ("WHEN", "Down at times: \"5s-5800ms\", \"every 10s for 1s\""),
    ("P%", "Drop: 10%, \"1% 25%\", \"gemodel 1% 20%\", \"state 1%\", \"list 3,7-9\""),
    ("P%", "Mark packets that understand ECN; on-loss: instead of losing them"),
    ("P%", "Flip bits: 1%, \"1% bits 3\""),
    ("P%", "Cut off: \"1% to 20B\""),
    ("SIZE", "Drop larger packets, such as 1400B"),
    ("P%", "Deliver twice with this probability"),
    ("RATE", "Send no faster: 10mbit, \"1mbit overhead 28 cell 48 5\""),
    ("KIND", "Wait before the rate: \"droptail 100\", \"drophead 64kB\", codel"),
    ("TIME", "Deliver later: 20ms, \"20ms 5ms 25% distribution normal\""),
    ("NAME", "Shape of the jitter: normal, pareto, paretonormal, lognormal"),
    ("TIME", "Vary the delay by up to this much; the order is kept"),
    ("", "Let packets leave at their own time, even before earlier ones"),
    ("P%", "Let later packets overtake: 2%, \"2% distance 3 flush 50ms\""),
    ("PACKETS", "Hold at most so many packets [default: 100000]"),
];

const FILES: [(&str, &str); 4] = [
    ("loss-trace", "Lose as a file says: one 0 or 1 a packet"),
    ("rate-trace", "Send as a mahimahi trace says: one millisecond a line"),
    ("delay-trace", "Delay as a file says: one time a line"),
    ("delay-table", "Shape the jitter as a .dist table of iproute2 says"),
];

/// What the options make of a network.
pub(super) struct Network {
    pub(super) up: LinkConfig,
    pub(super) down: LinkConfig,
    pub(super) seed: Option<Seed>,
    pub(super) timeline: Timeline,
}

/// Adds the options of every impairment to `command`.
pub(super) fn add(mut command: Command) -> Command {
    const WHOLE: &str = "Whole networks";
    let tc = |name: &'static str, of: &'static str| {
        Arg::new(name).long(name).value_name("TC-NETEM").help_heading(WHOLE).help(of)
    };
    command = command.args([
        Arg::new("profile")
            .long("profile")
            .value_name("NAME")
            .help_heading(WHOLE)
            .help("Begin with a network by name: wifi, 3g, satellite… (netem profiles)"),
        Arg::new("scenario")
            .long("scenario")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help_heading(WHOLE)
            .help("Do as a scenario in TOML says, timeline included"),
        Arg::new("replay")
            .long("replay")
            .value_name("LOG")
            .value_parser(value_parser!(PathBuf))
            .help_heading(WHOLE)
            .help("Take the decisions of an earlier run again, from its log"),
        tc("up", "Client to server as tc-netem is told: \"delay 20ms loss 1%\""),
        tc("down", "Server to client as tc-netem is told"),
    ]);
    for (prefix, heading) in PREFIXES {
        let long = |name: &str| {
            let name = format!("{prefix}{name}");
            Arg::new(name.clone()).long(name).help_heading(heading).hide_short_help(true)
        };
        for (name, (value, help)) in SETTINGS.into_iter().zip(HELP) {
            let arg = long(name).help(help).hide_short_help(!prefix.is_empty());
            command = command.arg(match name {
                "unordered" => arg.action(ArgAction::SetTrue),
                _ => arg.value_name(value).value_parser(parser(name)),
            });
        }
        for (name, help) in FILES {
            let file = value_parser!(PathBuf);
            command = command.arg(long(name).value_name("FILE").value_parser(file).help(help));
        }
    }
    command
}

/// Refuses what the setting cannot be, at once and with the name of the option.
fn parser(name: &'static str) -> ValueParser {
    ValueParser::from(move |text: &str| -> Result<String, UnitError> {
        let refused = match name {
            // More jitter than delay is seen when both are known.
            "jitter" => text.parse::<Nanos>().err(),
            _ => match LinkConfig::default().set(name, text) {
                Err(SettingError::Value { source, .. }) => Some(source),
                _ => None,
            },
        };
        refused.map_or_else(|| Ok(text.to_owned()), Err)
    })
}

/// What the options say.
///
/// # Errors
/// What contradicts itself, as a usage error of `command`.
pub(super) fn network(command: &mut Command, matches: &ArgMatches) -> Result<Network, clap::Error> {
    let reader = Reader { matches };
    let network = reader.network().and_then(|network| reader.replay(network));
    network.map_err(|message| command.error(ErrorKind::ValueValidation, message))
}

/// Whether any option says what the network does.
pub(super) fn is_given(matches: &ArgMatches) -> bool {
    let whole = ["profile", "scenario", "up", "down"];
    whole.iter().any(|name| matches.contains_id(name)) || Reader { matches }.first().is_some()
}

struct Reader<'a> {
    matches: &'a ArgMatches,
}

impl Reader<'_> {
    fn network(&self) -> Result<Network, String> {
        let seed = self.matches.try_get_one::<u64>("seed").ok().flatten().copied().map(Seed);
        if let Some(path) = self.matches.get_one::<PathBuf>("scenario") {
            let other = ["profile", "up", "down"].into_iter().find(|name| self.has(name));
            if let Some(name) = other.map(str::to_owned).or_else(|| self.first()) {
                return Err(format!("--scenario says all: leave --{name} out, or the scenario"));
            }
            let Scenario { seed: own, up, down, timeline } =
                Scenario::load(path).map_err(|error| error.to_string())?;
            return Ok(Network { up, down, seed: seed.or(own), timeline });
        }
        let (up, up_seed) = self.link(Direction::Up)?;
        let (down, down_seed) = self.link(Direction::Down)?;
        if seed.is_none() && up_seed.is_some() && down_seed.is_some() && up_seed != down_seed {
            return Err("--up and --down have different seeds: one seed is for both".to_owned());
        }
        let seed = seed.or(up_seed).or(down_seed);
        Ok(Network { up, down, seed, timeline: Timeline::default() })
    }

    /// With `--replay`: the same network, deciding as the log says.
    fn replay(&self, mut network: Network) -> Result<Network, String> {
        let Some(path) = self.matches.get_one::<PathBuf>("replay") else { return Ok(network) };
        let log = read_log(path)?;
        network.seed = Some(log.seed);
        let [up, down] = Direction::BOTH.map(|way| Arc::new(Replay::from(log.of(way))));
        let set = |direction, config: &mut LinkConfig| {
            let replay = if direction == Direction::Up { &up } else { &down };
            config.replay = Some(Arc::clone(replay));
        };
        set(Direction::Up, &mut network.up);
        set(Direction::Down, &mut network.down);
        let changes = network.timeline.changes().cloned().map(|(at, mut change)| {
            if let Change::Configure(direction, config) = &mut change {
                set(*direction, config);
            }
            (at, change)
        });
        network.timeline = Timeline::new(changes);
        Ok(network)
    }

    fn has(&self, name: &str) -> bool {
        match self.matches.value_source(name) {
            Some(source) => source == clap::parser::ValueSource::CommandLine,
            None => false,
        }
    }

    /// The first impairment that is given.
    fn first(&self) -> Option<String> {
        let names = SETTINGS.into_iter().chain(FILES.map(|(name, _)| name));
        let all = PREFIXES
            .iter()
            .flat_map(|(prefix, _)| names.clone().map(move |name| format!("{prefix}{name}")));
        let mut all = all.collect::<Vec<_>>().into_iter();
        all.find(|name| self.has(name))
    }

    /// The value of a setting: that of the direction, or that of both.
    fn value<T: Clone + Send + Sync + 'static>(&self, own: &str, name: &str) -> Option<T> {
        let own = format!("{own}{name}");
        let name = if self.has(&own) { own.as_str() } else { name };
        self.has(name).then(|| self.matches.get_one::<T>(name).cloned()).flatten()
    }

    fn link(&self, direction: Direction) -> Result<(LinkConfig, Option<Seed>), String> {
        if let Some(text) = self.matches.get_one::<String>(direction.as_str()) {
            let TcNetem { config, seed } =
                tc::parse(text).map_err(|error| format!("--{direction}: {error}"))?;
            let own = SETTINGS.into_iter().chain(FILES.map(|(name, _)| name));
            let mut own = own.map(|name| format!("{direction}-{name}"));
            if let Some(name) = own.find(|name| self.has(name)) {
                let reason = "says all about a direction: leave";
                return Err(format!("--{direction} {reason} --{name} out, or --{direction}"));
            }
            return Ok((config, seed));
        }
        let mut config = match self.matches.get_one::<String>("profile") {
            Some(name) => {
                Profile::named(name).map_err(|error| error.to_string())?.config(direction)
            }
            None => LinkConfig::default(),
        };
        let own = format!("{direction}-");
        for name in SETTINGS {
            let value: Option<String> = match name {
                "unordered" => self.value::<bool>(&own, name).map(|yes| yes.to_string()),
                _ => self.value(&own, name),
            };
            if let Some(value) = value {
                config.set(name, &value).map_err(|error| error.to_string())?;
            }
            self.files(&own, name, &mut config)?;
        }
        match config.contradiction() {
            Some(reason) => Err(reason.to_owned()),
            None => Ok((config, None)),
        }
    }

    /// The files that belong to the setting `name`.
    fn files(&self, own: &str, name: &str, config: &mut LinkConfig) -> Result<(), String> {
        let alone = |file: &str, words: &[&str]| {
            let both = self.value::<PathBuf>(own, file);
            let other = words.iter().find(|word| self.value::<String>(own, word).is_some());
            match (both, other) {
                (Some(_), Some(word)) => Err(format!("--{file} and --{word}: leave one out")),
                (file, _) => Ok(file),
            }
        };
        match name {
            "loss" => {
                if let Some(path) = alone("loss-trace", &["loss"])? {
                    config.loss = Loss::Trace(read(&path)?);
                }
            }
            "rate" => {
                if let Some(path) = alone("rate-trace", &["rate"])? {
                    config.rate = Some(Rate::traced(read(&path)?));
                }
            }
            "delay" => {
                let words = ["delay", "jitter", "distribution"];
                if let Some(path) = alone("delay-trace", &words)? {
                    config.delay = Delay::traced(read(&path)?);
                }
                if let Some(path) = alone("delay-table", &["distribution"])? {
                    let table = Distribution::Table(read(&path)?);
                    let delay = config.delay.clone().with_distribution(table);
                    config.delay = delay.map_err(|error| error.to_string())?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// What a file says.
fn read<T: FromStr<Err = UnitError>>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.parse().map_err(|error| format!("{}: {error}", path.display()))
}

/// A decision log that was written to a file.
pub(super) fn read_log(path: &Path) -> Result<ParsedLog, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    parse_log(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// `netem profiles`: what there is by name, and where the numbers come from.
pub(super) fn profiles() -> String {
    let mut text = String::new();
    for profile in &PROFILES {
        let Profile { name, summary, .. } = profile;
        text += &format!("{name:<14}{summary}\n{:14}source: {}\n", "", profile.provenance());
        for direction in Direction::BOTH {
            let settings = profile.config(direction).settings();
            let words = settings.iter().map(|(name, value)| format!("{name} = \"{value}\""));
            let words = words.collect::<Vec<_>>().join(", ");
            text += &format!("{:14}{direction}: {words}\n", "");
        }
    }
    text
}
