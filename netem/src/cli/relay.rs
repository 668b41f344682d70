//! `netem relay`: the UDP relay from the command line.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::endpoint::Endpoint;
use super::report::{self, Summary};
use super::{EXIT_INTERRUPTED, EXIT_OK, Failure, Interrupted, options};
use crate::packet::Direction;
use crate::random::Seed;
use crate::relay::{Relay, RelayConfig, resolve};
use crate::units::Nanos;

/// How long the command sleeps between two looks at the signals.
const SLICE: Duration = Duration::from_millis(25);
/// How often the live line is written anew.
const LIVE_INTERVAL: Duration = Duration::from_millis(200);

const EXAMPLE: &str = "\
Example:
  netem relay --listen 127.0.0.1:9000 --upstream 127.0.0.1:9999 \\
    --loss 10% --delay 20ms --jitter 5ms --reorder 2% --duplicate 1% --seed 7

Quantities carry their unit: 10%, 20ms, 1.5s. The same seed and the same datagrams
give the same decisions. Ctrl-C prints the summary.";

pub(super) fn command() -> Command {
    let endpoint = |name: &'static str| {
        Arg::new(name).long(name).value_name("HOST:PORT").value_parser(value_parser!(Endpoint))
    };
    let time = |name: &'static str| {
        Arg::new(name).long(name).value_name("TIME").value_parser(value_parser!(Nanos))
    };
    let command = Command::new("relay")
        .about("Relay UDP datagrams to a server over a bad network")
        .after_help(EXAMPLE)
        .arg(endpoint("listen").required(true).help("Where clients send to; port 0: a free one"))
        .arg(endpoint("upstream").required(true).help("The server"));
    options::add(command).args([
        Arg::new("seed")
            .long("seed")
            .value_name("NUMBER")
            .value_parser(value_parser!(u64))
            .help("Decide as in the run with this seed [default: a fresh one, printed]"),
        time("duration").help("Stop after this time [default: at Ctrl-C]"),
        time("idle").help("Forget a client that is silent for so long [default: 2min]"),
        Arg::new("clients")
            .long("clients")
            .value_name("NUMBER")
            .value_parser(value_parser!(u32).range(1..))
            .help("Serve at most so many clients at once [default: 16384]"),
        Arg::new("log")
            .long("log")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Write the decision log, one line a packet, at the end"),
        Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print the summary as JSON"),
    ])
}

pub(super) fn run(
    command: &mut Command,
    matches: &ArgMatches,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    let config = config(command, matches)?;
    let log = matches.get_one::<PathBuf>("log");
    let log = log.map(|path| create(path).map(|file| (path, file))).transpose()?;
    let relay = Relay::start(config).map_err(|error| Failure::Work(error.to_string()))?;
    let title = format!("relay {} -> {}, seed {}", relay.address(), relay.upstream(), relay.seed());
    let _ = writeln!(io::stderr(), "netem {title}");

    let start = Instant::now();
    let until = matches.get_one::<Nanos>("duration").map(|time| time.to_duration());
    let stopped = watch(&relay, start, until, interrupted);
    let stats = relay.close();
    let summary = Summary {
        title: &title,
        seed: relay.seed(),
        elapsed: start.elapsed(),
        up: &stats.up,
        down: &stats.down,
        extra: &[
            ("clients", stats.clients_total),
            ("clients expired", stats.clients_expired),
            ("receive errors", stats.receive_errors),
        ],
    };
    // Whoever closed our standard output does not want to know.
    let _ = report::print(&summary, matches.get_flag("json"));
    if let Some((path, mut file)) = log {
        let text = relay.log_text();
        file.write_all(text.as_bytes()).map_err(|error| cannot_write(path, &error))?;
    }
    Ok(if stopped { EXIT_INTERRUPTED } else { EXIT_OK })
}

/// Waits for Ctrl-C (`true`) or the end of the time (`false`), showing a live line on a terminal.
fn watch(
    relay: &Relay,
    start: Instant,
    until: Option<Duration>,
    interrupted: Interrupted<'_>,
) -> bool {
    let is_terminal = io::stderr().is_terminal();
    let mut shown: Option<Instant> = None;
    let stopped = loop {
        if interrupted() {
            break true;
        }
        let left = until.map(|until| until.saturating_sub(start.elapsed()));
        if left == Some(Duration::ZERO) || relay.is_closed() {
            break false;
        }
        if is_terminal && shown.is_none_or(|shown| shown.elapsed() >= LIVE_INTERVAL) {
            let stats = relay.stats();
            let line = report::live_line(&stats.up, &stats.down, ("clients", stats.clients));
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

fn config(command: &mut Command, matches: &ArgMatches) -> Result<RelayConfig, Failure> {
    let up = options::link_config(command, matches, Direction::Up)?;
    let down = options::link_config(command, matches, Direction::Down)?;
    let address = |name: &str| {
        let Endpoint { host, port } = matches.get_one::<Endpoint>(name).expect("required").clone();
        resolve(&host, port).map_err(|error| Failure::Work(format!("--{name}: {error}")))
    };
    let (listen, upstream) = (address("listen")?, address("upstream")?);
    if upstream.port() == 0 {
        let message = "--upstream: port 0 is nobody's: give the server's port, 1 to 65535";
        return Err(command.error(ErrorKind::ValueValidation, message).into());
    }
    let mut config = RelayConfig { up, down, ..RelayConfig::new(listen, upstream) };
    config.seed = matches.get_one("seed").copied().map(Seed);
    if let Some(&clients) = matches.get_one::<u32>("clients") {
        config.clients_max = clients as usize;
    }
    if let Some(&idle) = matches.get_one::<Nanos>("idle") {
        config.idle = idle;
    }
    Ok(config)
}

fn create(path: &PathBuf) -> Result<File, Failure> {
    File::create(path).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &std::path::Path, error: &io::Error) -> Failure {
    Failure::Work(format!("cannot write the log {}: {error}", path.display()))
}
