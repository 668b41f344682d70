//! `netem run`: a command in a network of its own, with a bad wire to the other side.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command as Program, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::report::{self, Summary};
use super::run::{self, Counters};
use super::{EXIT_INTERRUPTED, Failure, Interrupted, options};
use crate::bridge::{Bridge, BridgeConfig};
use crate::live::{Conductor, Network};
use crate::run::{Laboratory, RunError, Side};
use crate::units::Nanos;

/// How long the command sleeps between two looks at its child and the signals.
const SLICE: Duration = Duration::from_millis(5);
/// How long a server may take until it listens; then the command starts anyway.
const SERVER_PATIENCE: Duration = Duration::from_secs(5);
/// After Ctrl-C, or when the time is over: how long a command may take to end by itself, how
/// long after it was asked to (SIGTERM); then it is killed.
const GRACE: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(2)];
/// What a shell says of a program that is not there, or cannot be run.
const EXIT_NOT_FOUND: i32 = 127;
const EXIT_NOT_EXECUTABLE: i32 = 126;
/// Added to the number of the signal that ended a command, as shells do.
const EXIT_SIGNAL: i32 = 128;

const EXAMPLE: &str = "\
Examples, as root:
  netem run --delay 20ms --loss 1% -- ping -c 5 10.77.0.2
  netem run --scenario s.toml --server 'iperf3 -s -1' -- sh -c 'iperf3 -c $NETEM_SERVER'

The command runs in a network namespace with one interface, 10.77.0.1 and fd77::1; the far side
is 10.77.0.2 and fd77::2 (NETEM_CLIENT, NETEM_SERVER; with a 6 behind for IPv6). Without --server
it answers ping, and echoes what comes to port 7 by UDP and TCP. The machine's own network is
neither touched nor reachable. The exit code is that of the command; the counters go to standard
error. Everything is removed at the end, whatever happens.";

pub(super) fn command() -> Command {
    let shared = run::args().into_iter().map(|arg| match arg.get_id().as_str() {
        "duration" => arg.help("End the command after this time [default: when it ends]"),
        "json" => arg.help("Write the counters as JSON, to standard error"),
        _ => arg,
    });
    let command = Command::new("run")
        .about("Run a command behind a bad network, in namespaces of its own (needs root)")
        .after_help(EXAMPLE)
        .arg(
            Arg::new("server")
                .long("server")
                .value_name("COMMAND")
                .help("Run this shell command on the far side; the other waits until it listens"),
        )
        .arg(
            Arg::new("quiet")
                .long("quiet")
                .short('q')
                .action(ArgAction::SetTrue)
                .help("Say nothing: no seed, no counters"),
        )
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .required(true)
                .num_args(1..)
                .last(true)
                .value_parser(value_parser!(OsString))
                .help("The command and its words"),
        );
    options::add(command).args(shared).args(run::control_args())
}

pub(super) fn run(
    command: &mut Command,
    matches: &ArgMatches,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    let options::Network { up, down, seed, timeline } = options::network(command, matches)?;
    let log = run::create_log(matches)?;
    let pcap = run::pcap(matches);
    let config = BridgeConfig { up, down, seed, pcap, ..BridgeConfig::new("", "") };
    let mut failed = |error: RunError| -> Failure {
        match error.is_usage() {
            true => command.error(ErrorKind::ValueValidation, error).into(),
            false => Failure::Work(error.to_string()),
        }
    };
    let laboratory = Laboratory::build(config).map_err(&mut failed)?;
    let is_quiet = matches.get_flag("quiet");
    let title = format!("run, seed {}", laboratory.bridge().seed());
    if !is_quiet {
        let _ = writeln!(io::stderr(), "netem {title}");
    }
    let server = match matches.get_one::<String>("server") {
        Some(line) => Some(start_server(&laboratory, line, interrupted)?),
        None => {
            laboratory.start_echo().map_err(&mut failed)?;
            None
        }
    };
    let network = Arc::clone(laboratory.bridge()) as Arc<dyn Network>;
    let control = run::control(matches, Some(Arc::clone(&network)))?;
    let conductor = Conductor::start(network, timeline);
    let _conductor = conductor.map_err(|error| Failure::Work(error.to_string()))?;
    let begin = Instant::now();
    let until = matches.get_one::<Nanos>("duration").map(|time| time.to_duration());
    let code = match start_client(&laboratory, matches) {
        Ok(client) => watch(client, server, until, interrupted)?,
        Err((code, message)) => {
            let _ = writeln!(io::stderr(), "netem run: {message}");
            code
        }
    };
    drop(control);
    let bridge = Arc::clone(laboratory.bridge());
    drop(laboratory);
    if !is_quiet {
        let elapsed = begin.elapsed();
        let (seed, counters) = (bridge.seed(), counters(&bridge));
        let summary = Summary { title: &title, seed, elapsed, counters: &counters };
        let text = report::text(&summary, matches.get_flag("json"));
        let _ = io::stderr().write_all(text.as_bytes());
    }
    if let Some(warning) = bridge.capture_stats().and_then(|capture| capture.warning()) {
        let _ = writeln!(io::stderr(), "netem: {warning}");
    }
    run::write_log(log, || bridge.log_text())?;
    match bridge.divergence() {
        Some(divergence) => Err(Failure::Work(divergence.to_string())),
        None => Ok(code),
    }
}

fn counters(bridge: &Bridge) -> Counters {
    let stats = bridge.stats();
    let live = ("flows", stats.flows_total);
    Counters { up: stats.up, down: stats.down, live, extra: Network::extra(bridge) }
}

/// Starts the command; or the exit code that a shell would give, and why.
fn start_client(laboratory: &Laboratory, matches: &ArgMatches) -> Result<Child, (i32, String)> {
    let words: Vec<&OsString> = matches.get_many("command").expect("required").collect();
    let mut program = Program::new(words[0]);
    program.args(&words[1..]);
    laboratory.spawn(Side::Client, &mut program).map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::NotFound => EXIT_NOT_FOUND,
            _ => EXIT_NOT_EXECUTABLE,
        };
        (code, format!("cannot run {}: {error}", words[0].display()))
    })
}

/// Starts the far side's command, and waits until it listens.
fn start_server(
    laboratory: &Laboratory,
    line: &str,
    interrupted: Interrupted<'_>,
) -> Result<Child, Failure> {
    let mut program = Program::new("sh");
    // Its words are for people: the command's own output must stay clean.
    program.args(["-c", line]).stdin(Stdio::null()).stdout(io::stderr());
    let server = laboratory.spawn(Side::Server, &mut program);
    let mut server =
        server.map_err(|error| Failure::Work(format!("--server: cannot run sh: {error}")))?;
    let begin = Instant::now();
    while !is_listening(server.id()) && begin.elapsed() < SERVER_PATIENCE && !interrupted() {
        if let Ok(Some(status)) = server.try_wait() {
            return Err(Failure::Work(format!("--server: it ended before it listened: {status}")));
        }
        std::thread::sleep(SLICE);
    }
    Ok(server)
}

/// Whether anything in the namespace of `process` waits for TCP connections or has a UDP port.
fn is_listening(process: u32) -> bool {
    /// The state in the fourth column: TCP_LISTEN of the kernel.
    const LISTENING: &str = "0A";
    let lines = |table: &str| -> Vec<String> {
        let text = std::fs::read_to_string(format!("/proc/{process}/net/{table}"));
        text.unwrap_or_default().lines().skip(1).map(str::to_owned).collect()
    };
    let listens = |line: &String| line.split_whitespace().nth(3) == Some(LISTENING);
    ["tcp", "tcp6"].iter().any(|table| lines(table).iter().any(listens))
        || ["udp", "udp6"].iter().any(|table| !lines(table).is_empty())
}

/// Waits for the end of the command and returns its exit code.
fn watch(
    mut client: Child,
    mut server: Option<Child>,
    until: Option<Duration>,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    let begin = Instant::now();
    loop {
        if let Some(status) = ended(&mut client)? {
            return Ok(code_of(status));
        }
        if interrupted() {
            end(&mut client)?;
            return Ok(EXIT_INTERRUPTED);
        }
        if until.is_some_and(|until| begin.elapsed() >= until) {
            return end(&mut client).map(code_of);
        }
        if let Some(running) = &mut server
            && let Ok(Some(status)) = running.try_wait()
        {
            if !status.success() {
                let _ = writeln!(io::stderr(), "netem run: the server ended: {status}");
            }
            server = None;
        }
        std::thread::sleep(SLICE);
    }
}

fn ended(child: &mut Child) -> Result<Option<ExitStatus>, Failure> {
    let failed = |error| Failure::Work(format!("cannot wait for the command: {error}"));
    child.try_wait().map_err(failed)
}

/// Lets the command end: by itself (a terminal has told it, too), asked to, or killed.
fn end(child: &mut Child) -> Result<ExitStatus, Failure> {
    for (patience, signal) in GRACE.into_iter().zip([libc::SIGTERM, libc::SIGKILL]) {
        let begin = Instant::now();
        while begin.elapsed() < patience {
            if let Some(status) = ended(child)? {
                return Ok(status);
            }
            std::thread::sleep(SLICE);
        }
        // SAFETY: no pointers; the process is our child and has not been waited for.
        unsafe { libc::kill(child.id() as libc::pid_t, signal) };
    }
    child.wait().map_err(|error| Failure::Work(format!("cannot wait for the command: {error}")))
}

fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| EXIT_SIGNAL + status.signal().unwrap_or_default())
}
