//! `netem replay`: the decisions of an earlier run again: live before a server, or in virtual time.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

use super::{EXIT_FAILED, EXIT_OK, Failure, Interrupted, options, relay};
use crate::link::LinkConfig;
use crate::log::ParsedLog;
use crate::packet::{Direction, Packet};
use crate::sim::Simulator;
use crate::units::Nanos;

const EXAMPLE: &str = "\
Examples:
  netem replay run.log --listen 127.0.0.1:9000 --upstream 127.0.0.1:9999
      relays as in the run of the log; names the first packet that the log does not know
  netem replay run.log
      takes the decisions again in virtual time and compares them with the log
  netem replay run.log --loss 10% --duplicate 1%
      decides anew, with the seed of the log; names the first decision that differs";

pub(super) fn command() -> Command {
    let positional = |arg: clap::Arg| arg.long(None).required(true).help("The decision log");
    relay::command()
        .name("replay")
        .about("Repeat the decisions of an earlier run, and name the first divergence")
        .after_help(EXAMPLE)
        .mut_arg("replay", positional)
        .mut_arg("listen", |arg| arg.required(false).requires("upstream"))
        .mut_arg("upstream", |arg| arg.required(false).requires("listen"))
}

pub(super) fn run(
    command: &mut Command,
    matches: &ArgMatches,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    if matches.contains_id("upstream") {
        return relay::run(command, matches, interrupted);
    }
    let path = matches.get_one::<PathBuf>("replay").expect("required");
    let log = options::read_log(path).map_err(Failure::Work)?;
    let mut network = options::network(command, matches)?;
    if options::is_given(matches) {
        for config in [&mut network.up, &mut network.down] {
            config.replay = None;
            if let Some(name) = of_time(config) {
                let message = format!("--{name} depends on time, and a log has no times");
                return Err(command.error(ErrorKind::ValueValidation, message).into());
            }
        }
    }
    let again = again(&log, network.up, network.down);
    match first_difference(&log.to_text(), &again) {
        None => {
            let count = log.up.decisions().len() + log.down.decisions().len();
            let _ = writeln!(io::stdout(), "{count} decisions, all as in the log");
            Ok(EXIT_OK)
        }
        Some((logged, now)) => {
            let _ = writeln!(io::stdout(), "diverged\n  log: {logged}\n  now: {now}");
            Ok(EXIT_FAILED)
        }
    }
}

/// A setting whose decisions depend on when packets come.
fn of_time(config: &LinkConfig) -> Option<&'static str> {
    let default = LinkConfig::default();
    match config {
        _ if config.rate.is_some() => Some("rate"),
        _ if config.blackhole != default.blackhole => Some("blackhole"),
        _ => None,
    }
}

/// The packets of a log once more, and what is decided about them now.
fn again(log: &ParsedLog, up: LinkConfig, down: LinkConfig) -> String {
    let mut sim = Simulator::new(log.seed, up, down);
    for direction in Direction::BOTH {
        let mut decisions: Vec<_> = log.of(direction).decisions().to_vec();
        decisions.sort_by_key(|decision| (decision.flow, decision.verdict.ordinal));
        let link = sim.link_mut(direction);
        for decision in decisions {
            let (flow, size_bytes) = (decision.flow, decision.size_bytes);
            link.input(Nanos::ZERO, Packet { flow, size_bytes, payload: () });
            while link.poll(Nanos::MAX).is_some() {}
        }
    }
    sim.log_text()
}

fn first_difference(logged: &str, now: &str) -> Option<(String, String)> {
    let decisions = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let (logged, now) = (decisions(logged), decisions(now));
    let place = (0..logged.len().max(now.len())).find(|&n| logged.get(n) != now.get(n))?;
    let line = |lines: &[String]| lines.get(place).map_or("nothing", String::as_str).to_owned();
    Some((line(&logged), line(&now)))
}
