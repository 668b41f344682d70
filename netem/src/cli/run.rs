//! What running a driver from the command line has in common: the options `--seed`, `--duration`,
//! `--log`, `--json`, the live line, the end.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::endpoint::Endpoint;
use super::html;
use super::report::{self, Summary};
use super::terminal::Terminal;
use super::{EXIT_INTERRUPTED, EXIT_OK, Failure, Interrupted};
use crate::capture::CaptureStats;
use crate::control::{Control, ControlError};
use crate::live::{History, LOOK_INTERVAL, Network, Screen};
use crate::random::Seed;
use crate::relay::resolve;
use crate::stats::LinkStats;
use crate::units::Nanos;

/// How long the command sleeps between two looks at the signals.
const SLICE: Duration = Duration::from_millis(25);
/// How often the live line is written anew.
const LIVE_INTERVAL: Duration = Duration::from_millis(200);
const SECOND: Nanos = Nanos::from_secs(1);

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

/// The options of the control over HTTP.
pub(super) fn control_args() -> [Arg; 2] {
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

/// The options of what is watched on a terminal or by a program while it runs.
pub(super) fn watch_args() -> [Arg; 3] {
    [
        Arg::new("live")
            .long("live")
            .action(ArgAction::SetTrue)
            .help("Show rates, drops and delays while it runs; keys change them"),
        Arg::new("jsonl")
            .long("jsonl")
            .action(ArgAction::SetTrue)
            .conflicts_with("json")
            .help("Print the counters as JSON every second, then the summary, a line each"),
        Arg::new("report")
            .long("report")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Write a report with curves as HTML at the end"),
    ]
}

/// Starts the control, if one is asked for and there is something to steer.
pub(super) fn control(
    matches: &ArgMatches,
    network: Option<Arc<dyn Network>>,
) -> Result<Option<Control>, Failure> {
    let asked = matches.try_get_one::<Endpoint>("control").ok().flatten();
    let (Some(Endpoint { host, port }), Some(network)) = (asked, network) else {
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
    let (log, page) = (create_log(matches)?, create(matches, "report")?);
    let driver = start()?;
    let title = format!("{}, seed {}", driver.title(), driver.seed());
    let _ = writeln!(io::stderr(), "netem {title}");
    let control = control(matches, driver.network())?;
    let mut watcher = Watcher::new(matches, &driver);
    let until = matches.get_one::<Nanos>("duration").map(|time| time.to_duration());
    let stopped = watcher.watch(&driver, until, interrupted);
    drop(control);
    driver.close();
    let (seed, elapsed, counters) = (driver.seed(), watcher.begin.elapsed(), driver.counters());
    let summary = Summary { title: &title, seed, elapsed, counters: &counters };
    // Whoever closed our standard output does not want to know.
    let _ = report::print(&summary, matches.get_flag("json") || watcher.jsonl.is_some());
    if let Some(warning) = driver.capture().and_then(|capture| capture.warning()) {
        let _ = writeln!(io::stderr(), "netem: {warning}");
    }
    write_log(log, || driver.log_text())?;
    if let Some(network) = driver.network() {
        watcher.history.add(watcher.now(), network.link_stats());
        write_log(page, || html::report(&*network, &watcher.history, elapsed.as_secs_f64()))?;
    }
    if let Some(divergence) = driver.network().and_then(|network| network.divergence()) {
        return Err(Failure::Work(divergence.to_string()));
    }
    match driver.failure() {
        Some(failure) => Err(Failure::Work(failure)),
        None if stopped => Ok(EXIT_INTERRUPTED),
        None => Ok(EXIT_OK),
    }
}

/// What is shown while a driver runs.
struct Watcher {
    begin: Instant,
    is_terminal: bool,
    shown: Option<Instant>,
    network: Option<Arc<dyn Network>>,
    view: Option<(Screen, Terminal)>,
    /// For the report.
    history: History,
    /// When the next line of JSON is due.
    jsonl: Option<Nanos>,
}

impl Watcher {
    fn new(matches: &ArgMatches, driver: &impl Driver) -> Self {
        let network = driver.network();
        let flag = |name: &str| matches.try_get_one::<bool>(name).ok().flatten() == Some(&true);
        let view = network.as_ref().filter(|_| flag("live")).and_then(|network| {
            let screen = Screen::new(&**network);
            Terminal::take().map(|terminal| (screen, terminal))
        });
        Self {
            begin: Instant::now(),
            is_terminal: io::stderr().is_terminal(),
            shown: None,
            network,
            view,
            history: History::new(LOOK_INTERVAL),
            jsonl: flag("jsonl").then_some(SECOND),
        }
    }

    fn now(&self) -> Nanos {
        let elapsed = self.begin.elapsed().as_nanos();
        Nanos::from_nanos(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// Waits for Ctrl-C or the key that ends it (`true`), or the end of the time (`false`).
    fn watch(
        &mut self,
        driver: &impl Driver,
        until: Option<Duration>,
        interrupted: Interrupted<'_>,
    ) -> bool {
        let stopped = loop {
            if interrupted() || !self.look(driver) {
                break true;
            }
            let left = until.map(|until| until.saturating_sub(self.begin.elapsed()));
            if left == Some(Duration::ZERO) || driver.is_closed() {
                break false;
            }
            std::thread::sleep(left.map_or(SLICE, |left| left.min(SLICE)));
        };
        self.view = None;
        if self.shown.is_some() {
            let _ = writeln!(io::stderr());
        }
        stopped
    }

    /// Shows what there is to show; `false` when a key ends the run.
    fn look(&mut self, driver: &impl Driver) -> bool {
        let now = self.now();
        if let Some(network) = &self.network {
            if self.history.is_due(now) {
                self.history.add(now, network.link_stats());
            }
            if let Some((screen, terminal)) = &mut self.view {
                let keys = terminal.keys();
                let goes_on = keys.iter().all(|&key| screen.press(key, &**network));
                if screen.look(now, &**network) || !keys.is_empty() {
                    terminal.show(&screen.lines(&**network, terminal.width()));
                }
                return goes_on;
            }
        }
        if let Some(due) = self.jsonl.filter(|&due| now >= due) {
            self.jsonl = Some(due + SECOND);
            // Whoever closed our standard output does not want to know.
            let _ = report::print_line(now.as_secs_f64(), &driver.counters());
        }
        let is_due = self.shown.is_none_or(|shown| shown.elapsed() >= LIVE_INTERVAL);
        if self.is_terminal && is_due {
            let line = report::live_line(&driver.counters());
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
            self.shown = Some(Instant::now());
        }
        true
    }
}

/// A log or report that was asked for, opened.
pub(super) type OpenLog = Option<(PathBuf, File)>;

/// Before anything runs, so that a log that cannot be written costs no traffic.
pub(super) fn create_log(matches: &ArgMatches) -> Result<OpenLog, Failure> {
    create(matches, "log")
}

fn create(matches: &ArgMatches, name: &str) -> Result<OpenLog, Failure> {
    let Some(path) = matches.try_get_one::<PathBuf>(name).ok().flatten() else { return Ok(None) };
    let file = File::create(path).map_err(|error| cannot_write(path, &error))?;
    Ok(Some((path.clone(), file)))
}

pub(super) fn write_log(log: OpenLog, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let Some((path, mut file)) = log else { return Ok(()) };
    file.write_all(text().as_bytes()).map_err(|error| cannot_write(&path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Work(format!("cannot write {}: {error}", path.display()))
}
