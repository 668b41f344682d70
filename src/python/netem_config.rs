//! What Python says of a network, as configurations: options by name, scenarios, faults, logs.
//!
//! Text is parsed by the crate `netem`, the same for the command line, TOML and Python. Bare
//! numbers are seconds, fractions, bit/s, bytes. What is refused is refused by name.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use netem::fault::Fault;
use netem::impair::{Delay, Distribution, Loss, Rate, Rules};
use netem::log::parse_log;
use netem::profile::Profile;
use netem::replay::Replay;
use netem::scenario::Scenario;
use netem::timeline::{Change, Timeline};
use netem::{
    BitRate, Bytes, Direction, LinkConfig, Nanos, Probability, SETTINGS, Seed, UnitError, tc,
};
use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use super::netem_faults::{FaultTuple, fault};
use super::netem_predicate::drop_rules;

/// Everything that is said of a network.
pub(super) struct Network {
    pub(super) up: LinkConfig,
    pub(super) down: LinkConfig,
    pub(super) seed: Seed,
    pub(super) timeline: Timeline,
}

/// A network from options, or from a scenario: its file, or its text if it has several lines.
///
/// # Errors
/// ValueError for what is refused, TypeError for a value of the wrong kind, OSError for a file.
pub(super) fn network(
    up: &Bound<'_, PyDict>,
    down: &Bound<'_, PyDict>,
    seed: Option<&Bound<'_, PyAny>>,
    scenario: Option<String>,
) -> PyResult<Network> {
    let given = seed.map(read_seed).transpose()?;
    let Some(scenario) = scenario else {
        let (up, down) = (change(Direction::Up, None, up)?, change(Direction::Down, None, down)?);
        let seed = given.unwrap_or_else(netem::fresh_seed);
        return Ok(Network { up, down, seed, timeline: Timeline::default() });
    };
    let read = match scenario.contains('\n') {
        true => {
            let mut open = |name: &str| std::fs::read_to_string(name).map_err(|e| e.to_string());
            Scenario::parse(&scenario, "scenario", &mut open)
        }
        false => Scenario::load(Path::new(&scenario)),
    };
    let read = read.map_err(|error| PyValueError::new_err(error.to_string()))?;
    let mut changes: Vec<_> = read.timeline.changes().cloned().collect();
    // What is asked for besides, such as a replay, holds whatever the timeline says.
    for (_, step) in &mut changes {
        if let Change::Configure(way, config) = step {
            let options = if *way == Direction::Up { up } else { down };
            **config = change(*way, Some((**config).clone()), options)?;
        }
    }
    Ok(Network {
        up: change(Direction::Up, Some(read.up), up)?,
        down: change(Direction::Down, Some(read.down), down)?,
        seed: given.or(read.seed).unwrap_or_else(netem::fresh_seed),
        timeline: Timeline::new(changes),
    })
}

/// `before` (nothing at all, if not given) with options by name, as `LinkOptions` lists them.
///
/// # Errors
/// As [`network`].
pub(super) fn change(
    way: Direction,
    before: Option<LinkConfig>,
    options: &Bound<'_, PyDict>,
) -> PyResult<LinkConfig> {
    let mut config = before.unwrap_or_default();
    if let Some(name) = options.get_item("profile")? {
        let profile = Profile::named(&text("profile", &name)?);
        config = profile.map_err(|e| PyValueError::new_err(format!("profile: {e}")))?.config(way);
    }
    if let Some(value) = options.get_item("tc")? {
        let other = SETTINGS.iter().find(|name| options.contains(**name).unwrap_or(false));
        let refused = |message: String| PyValueError::new_err(format!("tc: {message}"));
        if let Some(name) = other {
            let message = format!("it says all about a direction: leave {name} out, or tc");
            return Err(refused(message));
        }
        let tc = tc::parse(&text("tc", &value)?).map_err(|error| refused(error.to_string()))?;
        if tc.seed.is_some() {
            return Err(refused("the seed is for both directions: give seed= instead".to_owned()));
        }
        config = tc.config;
    }
    for name in SETTINGS {
        if let Some(value) = options.get_item(name)? {
            set(&mut config, name, &value)?;
        }
        files(&mut config, name, options)?;
    }
    if let Some(reason) = config.contradiction() {
        return Err(PyValueError::new_err(reason));
    }
    config.rules = rules(way, options, &config.rules)?;
    if let Some(log) = options.get_item("replay")? {
        let log = parse_log(&text("replay", &log)?);
        let log = log.map_err(|error| PyValueError::new_err(format!("replay: {error}")))?;
        config.replay = Some(Arc::new(Replay::from(log.of(way))));
    }
    Ok(config)
}

/// What a function chooses, then single faults, then what there was.
fn rules(way: Direction, options: &Bound<'_, PyDict>, before: &Rules) -> PyResult<Rules> {
    let (drop, faults) = (options.get_item("drop")?, options.get_item("faults")?);
    if drop.is_none() && faults.is_none() {
        return Ok(before.clone());
    }
    let mut rules = Vec::new();
    if let Some(function) = drop {
        rules.extend(drop_rules(&function)?.as_slice().iter().cloned());
    }
    if let Some(faults) = faults {
        let faults: Vec<FaultTuple> = faults.extract()?;
        let faults: Vec<Fault> = faults.iter().map(fault).collect::<PyResult<_>>()?;
        rules.extend(Fault::rules(&faults, way).as_slice().iter().cloned());
    }
    Ok(Rules::from(rules))
}

fn set(config: &mut LinkConfig, name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if name == "limit" {
        let limit = value.extract::<usize>().ok().filter(|&limit| limit > 0);
        config.limit_packets = limit.ok_or_else(|| {
            PyValueError::new_err(format!("limit: {value} is no number of packets: give 1 or more"))
        })?;
        return Ok(());
    }
    if name == "unordered"
        && let Ok(yes) = value.cast::<PyBool>()
    {
        if yes.is_true() {
            config.delay = config.delay.clone().unordered();
        }
        return Ok(());
    }
    let text = match value.cast::<PyString>() {
        Ok(text) => text.to_str()?.to_owned(),
        Err(_) => number(name, value)?,
    };
    config.set(name, &text).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// A bare number with the unit it has in Python.
fn number(name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let written = match (name, value.extract::<f64>(), value.extract::<u64>()) {
        ("delay" | "jitter", Ok(secs), _) => {
            Nanos::from_secs_f64(secs).map(|time| time.to_string())
        }
        ("loss" | "duplicate" | "reorder" | "corrupt" | "ecn", Ok(share), _) => {
            Probability::from_fraction(share).map(|share| share.to_string())
        }
        ("rate", _, Ok(bits)) => BitRate::new(bits).map(|rate| rate.to_string()),
        ("mtu", _, Ok(bytes)) if bytes <= u64::from(u32::MAX) => {
            Ok(Bytes::new(bytes as u32).to_string())
        }
        _ => {
            return Err(PyTypeError::new_err(format!(
                "{name}: expected a string with a unit or a number, not {}",
                value.get_type().name()?
            )));
        }
    };
    written.map_err(refused(name))
}

/// The files that belong to the setting `name`.
fn files(config: &mut LinkConfig, name: &str, options: &Bound<'_, PyDict>) -> PyResult<()> {
    match name {
        "loss" => {
            if let Some(trace) = file(options, "loss_trace", &["loss"])? {
                config.loss = Loss::Trace(trace);
            }
        }
        "rate" => {
            if let Some(trace) = file(options, "rate_trace", &["rate"])? {
                config.rate = Some(Rate::traced(trace));
            }
        }
        "delay" => {
            let words = ["delay", "jitter", "distribution"];
            if let Some(trace) = file(options, "delay_trace", &words)? {
                config.delay = Delay::traced(trace);
            }
            if let Some(table) = file(options, "delay_table", &words[2..])? {
                let table = Distribution::Table(table);
                let delay = config.delay.clone().with_distribution(table);
                config.delay = delay.map_err(refused("delay_table"))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// What the file of an option says; the option does not go with any of `others`.
fn file<T: FromStr<Err = UnitError>>(
    options: &Bound<'_, PyDict>,
    name: &str,
    others: &[&str],
) -> PyResult<Option<T>> {
    let Some(path) = options.get_item(name)? else { return Ok(None) };
    for other in others {
        if options.contains(*other)? {
            return Err(PyValueError::new_err(format!("{name} and {other}: leave one out")));
        }
    }
    let path: PathBuf = path.extract()?;
    let text = std::fs::read_to_string(&path)
        .map_err(|error| PyOSError::new_err((error.raw_os_error(), error.to_string(), path)))?;
    text.parse().map(Some).map_err(refused(name))
}

fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    value.extract().map_err(|_| {
        let kind = value.get_type().name().map_or_else(|_| "?".to_owned(), |n| n.to_string());
        PyTypeError::new_err(format!("{name}: expected a string, not {kind}"))
    })
}

fn refused(name: &str) -> impl FnOnce(UnitError) -> PyErr {
    move |error| PyValueError::new_err(format!("{name}: {error}"))
}

/// Seconds as a time.
pub(super) fn time(name: &str, secs: f64) -> PyResult<Nanos> {
    Nanos::from_secs_f64(secs).map_err(refused(name))
}

/// `up` or `down`.
pub(super) fn direction(word: &str) -> PyResult<Direction> {
    let known = Direction::BOTH.into_iter().find(|way| way.as_str() == word);
    known.ok_or_else(|| {
        PyValueError::new_err(format!("direction: {word:?} is unknown: use 'up' or 'down'"))
    })
}

pub(super) fn read_seed(seed: &Bound<'_, PyAny>) -> PyResult<Seed> {
    seed.extract().map(Seed).map_err(|_| {
        PyValueError::new_err(format!("seed: {seed} is no seed: give an integer, 0 to 2**64 - 1"))
    })
}
