//! What running a driver from the command line has in common: the options `--seed`, `--duration`,
//! `--log`, `--json`, the live line, the end.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::endpoint::Endpoint;
use super::report::{self, Summary};
use super::{EXIT_INTERRUPTED, EXIT_OK, Failure, Interrupted};
use crate::capture::CaptureStats;
use crate::control::{Control, ControlError};
use crate::live::Network;
use crate::random::Seed;
use crate::relay::resolve;
use crate::stats::LinkStats;
use crate::units::Nanos;

/// How long the command sleeps between two looks at the signals.
const SLICE: Duration = Duration::from_millis(25);
/// How often the live line is written anew.
const LIVE_INTERVAL: Duration = Duration::from_millis(200);

/// The counters of a driver, by name.
pub(super) struct Counters {
    pub(super) up: LinkStats,
    pub(super) down: LinkStats,
    /// What is alive now, for the live line.
    pub(super) live: (&'static str, u64),
    /// Counters of the driver itself, for the summary.
    pub(super) extra: Vec<(&'static str, u64)>,
}

/// A driver that runs until it is closed.
pub(super) trait Driver {
    /// What runs, in one line.
    fn title(&self) -> String;
    fn seed(&self) -> Seed;
    fn counters(&self) -> Counters;
    fn log_text(&self) -> String;
    fn close(&self);
    /// Whether it has ended on its own.
    fn is_closed(&self) -> bool;
    /// How the capture does, if there is one.
    fn capture(&self) -> Option<CaptureStats>;
    /// Why it has ended on its own.
    fn failure(&self) -> Option<String>;
    /// What can be steered while it runs, if anything can.
    fn network(&self) -> Option<Arc<dyn Network>> {
        None
    }
}

/// The options that every driver has.
pub(super) fn args() -> [Arg; 5] {
    [
        Arg::new("seed")
            .long("seed")
            .value_name("NUMBER")
            .value_parser(value_parser!(u64))
            .help("Decide as in the run with this seed [default: a fresh one, printed]"),
        Arg::new("duration")
            .long("duration")
            .value_name("TIME")
            .value_parser(value_parser!(Nanos))
            .help("Stop after this time [default: at Ctrl-C]"),
        Arg::new("log")
            .long("log")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Write the decision log, one line a packet, at the end"),
        Arg::new("pcap")
            .long("pcap")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Capture both sides to a pcapng file, with the reason of every drop"),
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the summary as JSON"),
    ]
}

/// The options of what can be steered while it runs.
pub(super) fn network_args() -> [Arg; 2] {
    [
        Arg::new("control")
            .long("control")
            .value_name("HOST:PORT")
            .value_parser(value_parser!(Endpoint))
            .help("Answer HTTP there: a page with plots, metrics for Prometheus, changes"),
        Arg::new("control-public")
            .long("control-public")
            .action(ArgAction::SetTrue)
            .requires("control")
            .help("Let other machines reach the control, and change this network"),
    ]
}

/// Starts the control, if one is asked for and there is something to steer.
fn control(matches: &ArgMatches, driver: &impl Driver) -> Result<Option<Control>, Failure> {
    let asked = matches.try_get_one::<Endpoint>("control").ok().flatten();
    let (Some(Endpoint { host, port }), Some(network)) = (asked, driver.network()) else {
        return Ok(None);
    };
    let failure = |error: String| Failure::Work(error);
    let address = resolve(host, *port).map_err(|error| failure(format!("--control: {error}")))?;
    let control = Control::start(network, address, matches.get_flag("control-public"));
    let control = control.map_err(|error| {
        let hint = matches!(error, ControlError::NotLoopback { .. });
        failure(format!("{error}{}", if hint { " (--control-public)" } else { "" }))
    })?;
    let _ = writeln!(io::stderr(), "netem control http://{}/", control.address());
    Ok(Some(control))
}

/// Where to capture to, if anywhere.
pub(super) fn pcap(matches: &ArgMatches) -> Option<PathBuf> {
    matches.get_one::<PathBuf>("pcap").cloned()
}

/// Starts a driver, watches it to its end, reports.
pub(super) fn run<D: Driver>(
    matches: &ArgMatches,
    start: impl FnOnce() -> Result<D, Failure>,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    let log = create_log(matches)?;
    let driver = start()?;
    let title = format!("{}, seed {}", driver.title(), driver.seed());
    let _ = writeln!(io::stderr(), "netem {title}");
    let control = control(matches, &driver)?;
    let begin = Instant::now();
    let until = matches.get_one::<Nanos>("duration").map(|time| time.to_duration());
    let stopped = watch(&driver, begin, until, interrupted);
    drop(control);
    driver.close();
    let (seed, elapsed, counters) = (driver.seed(), begin.elapsed(), driver.counters());
    let summary = Summary { title: &title, seed, elapsed, counters: &counters };
    // Whoever closed our standard output does not want to know.
    let _ = report::print(&summary, matches.get_flag("json"));
    if let Some(warning) = driver.capture().and_then(|capture| capture.warning()) {
        let _ = writeln!(io::stderr(), "netem: {warning}");
    }
    write_log(log, || driver.log_text())?;
    if let Some(divergence) = driver.network().and_then(|network| network.divergence()) {
        return Err(Failure::Work(divergence.to_string()));
    }
    match driver.failure() {
        Some(failure) => Err(Failure::Work(failure)),
        None if stopped => Ok(EXIT_INTERRUPTED),
        None => Ok(EXIT_OK),
    }
}

/// Waits for Ctrl-C (`true`) or the end of the time (`false`), showing a live line on a terminal.
fn watch(
    driver: &impl Driver,
    begin: Instant,
    until: Option<Duration>,
    interrupted: Interrupted<'_>,
) -> bool {
    let is_terminal = io::stderr().is_terminal();
    let mut shown: Option<Instant> = None;
    let stopped = loop {
        if interrupted() {
            break true;
        }
        let left = until.map(|until| until.saturating_sub(begin.elapsed()));
        if left == Some(Duration::ZERO) || driver.is_closed() {
            break false;
        }
        if is_terminal && shown.is_none_or(|shown| shown.elapsed() >= LIVE_INTERVAL) {
            let line = report::live_line(&driver.counters());
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
            shown = Some(Instant::now());
        }
        std::thread::sleep(left.map_or(SLICE, |left| left.min(SLICE)));
    };
    if shown.is_some() {
        let _ = writeln!(io::stderr());
    }
    stopped
}

/// A log that was asked for, opened.
pub(super) type OpenLog = Option<(PathBuf, File)>;

/// Before anything runs, so that a log that cannot be written costs no traffic.
pub(super) fn create_log(matches: &ArgMatches) -> Result<OpenLog, Failure> {
    let Some(path) = matches.try_get_one::<PathBuf>("log").ok().flatten() else { return Ok(None) };
    let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
    Ok(Some((path.clone(), file)))
}

pub(super) fn write_log(log: OpenLog, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let Some((path, mut file)) = log else { return Ok(()) };
    file.write_all(text().as_bytes()).map_err(|error| cannot_write(&path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Work(format!("cannot write the log {}: {error}", path.display()))
}
