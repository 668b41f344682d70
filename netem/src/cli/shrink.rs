//! `netem shrink`: the smallest set of faults with which a command still fails; and
//! `netem enumerate`: one fault at a time.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::trial::{self, Outcome, Trial, cannot};
use super::{EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, Failure, Interrupted, options};
use crate::fault::{Fault, fault_pairs, single_faults};
use crate::impair::Action;
use crate::packet::{Direction, FlowOrdinal};
use crate::random::Seed;
use crate::scenario::{Scenario, of_faults};
use crate::shrink::shrink;

/// What shrinking takes at most unless said otherwise: two faults among 500 take about 20.
const RUNS_DEFAULT: usize = 60;

const SHRINK_EXAMPLE: &str = "\
Example: a test failed and left its decision log; which of its faults were needed?
  netem shrink traces/1.log -- pytest test_upload.py::test_it --netem-replay {}

The command is run with a log that has fewer and fewer faults; {} stands for its name, which
is also in the environment variable NETEM_REPLAY. What remains is written as a scenario.";

const ENUMERATE_EXAMPLE: &str = "\
Example: does an upload survive the loss of any one of its first 40 packets?
  netem enumerate drop --first 40 -- ./upload-through-netem.sh {}

The command is run once for each fault with a scenario that commits it; {} stands for its
name, which is also in the environment variable NETEM_SCENARIO.";

pub(super) fn command() -> Command {
    Command::new("shrink")
        .about("Find the smallest set of faults with which a command still fails")
        .after_help(SHRINK_EXAMPLE)
        .arg(
            Arg::new("log")
                .value_name("LOG")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("The decision log of a run that failed"),
        )
        .arg(
            Arg::new("runs")
                .long("runs")
                .value_name("NUMBER")
                .value_parser(value_parser!(u32).range(1..))
                .help("Run the command at most so often [default: 60]"),
        )
        .arg(out())
        .args(trial::args())
}

pub(super) fn enumerate_command() -> Command {
    let number = |name: &'static str| {
        Arg::new(name).long(name).value_name("NUMBER").value_parser(value_parser!(u32))
    };
    Command::new("enumerate")
        .about("Run a command once for each single fault: drop exactly the n-th packet")
        .after_help(ENUMERATE_EXAMPLE)
        .arg(
            Arg::new("action")
                .value_name("ACTION")
                .required(true)
                .value_parser(Action::ALL.map(Action::as_str))
                .help("What is done to the packet"),
        )
        .arg(
            Arg::new("direction")
                .long("direction")
                .value_name("WAY")
                .value_parser(Direction::BOTH.map(Direction::as_str))
                .default_value("up")
                .help("Which way it travels"),
        )
        .arg(number("flow").default_value("0").help("Its flow"))
        .arg(number("first").default_value("40").help("Try the first so many packets"))
        .arg(Arg::new("pairs").long("pairs").action(ArgAction::SetTrue).help("Two at a time"))
        .arg(
            Arg::new("base")
                .long("scenario")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("What happens besides, as a scenario"),
        )
        .args(trial::args())
}

fn out() -> Arg {
    Arg::new("out")
        .long("out")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Write the scenario there [default: standard output]")
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "netem: {line}");
}

pub(super) fn run(matches: &ArgMatches, interrupted: Interrupted<'_>) -> Result<i32, Failure> {
    let path = matches.get_one::<PathBuf>("log").expect("required");
    let log = options::read_log(path).map_err(Failure::Work)?;
    let runs_max = matches.get_one::<u32>("runs").map_or(RUNS_DEFAULT, |&runs| runs as usize);
    let faults = Fault::all_of(&log);
    let mut trial = Trial::new(matches, "NETEM_REPLAY", interrupted)?;
    let mut ended = Ok(false);
    let shrunk = shrink(&faults, runs_max, |faults| {
        if !matches!(ended, Ok(false)) {
            return false;
        }
        let outcome = trial.run("replay.log", &log.with_only(faults).to_text());
        let (count, number) = (faults.len(), trial.runs);
        let fails = matches!(outcome, Ok(Outcome::Failed));
        match outcome {
            Err(failure) => ended = Err(failure),
            Ok(Outcome::Interrupted) => ended = Ok(true),
            Ok(_) => say(&format!("run {number}: {count} faults, {}", word(fails))),
        }
        fails
    });
    if ended? {
        return Ok(EXIT_INTERRUPTED);
    }
    let Some(shrunk) = shrunk else {
        say(&format!("the command passes with all {} faults: nothing to shrink", faults.len()));
        return Ok(EXIT_FAILED);
    };
    let text = of_faults(&shrunk.faults, log.seed, Some(&log));
    match matches.get_one::<PathBuf>("out") {
        Some(path) => std::fs::write(path, text).map_err(|error| cannot("write", path, &error))?,
        None => _ = io::stdout().write_all(text.as_bytes()),
    }
    let (some, all) = (shrunk.faults.len(), faults.len());
    let end = if shrunk.is_minimal { "none can be left out" } else { "the runs were used up" };
    say(&format!("{some} of {all} faults, after {} runs; {end}", shrunk.runs));
    for fault in &shrunk.faults {
        say(&format!("  {fault}"));
    }
    Ok(EXIT_OK)
}

const fn word(fails: bool) -> &'static str {
    if fails { "fails" } else { "passes" }
}

pub(super) fn enumerate(
    command: &mut Command,
    matches: &ArgMatches,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    let number = |name: &str| *matches.get_one::<u32>(name).expect("has a default");
    let word = |name: &str| matches.get_one::<String>(name).expect("has a default").as_str();
    let action = Action::ALL.into_iter().find(|known| known.as_str() == word("action"));
    let way = Direction::BOTH.into_iter().find(|way| way.as_str() == word("direction"));
    let (action, way) = (action.expect("clap checked it"), way.expect("clap checked it"));
    let (flow, first) = (FlowOrdinal(number("flow")), u64::from(number("first")));
    if first == 0 {
        let message = "--first: 0 packets give no fault to try: give 1 or more";
        return Err(command.error(ErrorKind::ValueValidation, message).into());
    }
    let sets: Vec<Vec<Fault>> = if matches.get_flag("pairs") {
        fault_pairs(way, flow, action, first).map(Vec::from).collect()
    } else {
        single_faults(way, flow, action, first).map(|fault| vec![fault]).collect()
    };
    let base = base(command, matches)?;
    let mut trial = Trial::new(matches, "NETEM_SCENARIO", interrupted)?;
    let mut failed = 0;
    for faults in &sets {
        let rules = of_faults(faults, Seed(0), None);
        let text = match &base {
            Some(base) => base.clone() + "\n" + rules_only(&rules),
            None => rules,
        };
        let outcome = trial.run("scenario.toml", &text)?;
        let names = faults.iter().map(Fault::to_string).collect::<Vec<_>>().join(", ");
        match outcome {
            Outcome::Passed => say(&format!("passes with {names}")),
            Outcome::Failed => {
                failed += 1;
                let _ = writeln!(io::stdout(), "fails with {names}");
            }
            Outcome::Interrupted => return Ok(EXIT_INTERRUPTED),
        }
    }
    say(&format!("{failed} of {} runs failed", sets.len()));
    Ok(if failed == 0 { EXIT_OK } else { EXIT_FAILED })
}

/// The scenario that the faults are added to.
fn base(command: &mut Command, matches: &ArgMatches) -> Result<Option<String>, Failure> {
    let Some(path) = matches.get_one::<PathBuf>("base") else { return Ok(None) };
    Scenario::load(path).map_err(|error| command.error(ErrorKind::ValueValidation, error))?;
    std::fs::read_to_string(path).map(Some).map_err(|error| cannot("read", path, &error))
}

/// What `of_faults` writes from its first rule on.
fn rules_only(scenario: &str) -> &str {
    &scenario[scenario.find("[[rule]]").unwrap_or(scenario.len())..]
}
