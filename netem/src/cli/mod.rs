//! The command line: one definition, two doors.
//!
//! The cargo binary and the Python console script both call [`main`]; they differ only in how
//! they learn of Ctrl-C. Results go to standard output, words for people to standard error; exit
//! codes: 0 ok, 1 the work could not be done, 2 usage, 130 Ctrl-C.

#[cfg(all(target_os = "linux", feature = "raw"))]
mod bridge;
#[cfg(all(target_os = "linux", feature = "raw"))]
mod command;
mod endpoint;
mod html;
mod options;
mod relay;
mod replay;
mod report;
mod run;
mod shrink;
pub mod signals;
mod stream;
mod terminal;
mod trial;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::{ArgMatches, Command};

/// All went well.
pub const EXIT_OK: i32 = 0;
/// The work could not be done.
pub const EXIT_FAILED: i32 = 1;
/// The command line is wrong.
pub const EXIT_USAGE: i32 = 2;
/// Ctrl-C.
pub const EXIT_INTERRUPTED: i32 = 130;

/// Whether to stop now; asked at least every 50 ms.
pub type Interrupted<'a> = &'a mut dyn FnMut() -> bool;

/// Why a command ended without doing its work.
#[derive(Debug)]
enum Failure {
    /// The command line is wrong; clap knows how to say it.
    Usage(Box<clap::Error>),
    /// The command line is right, the world is not.
    Work(String),
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::Usage(Box::new(error))
    }
}

/// Runs the command `words` (without the program's name) and returns its exit code.
///
/// `prog` is how the program was called, for the messages: `netem`, or `udpcore netem`.
pub fn main(prog: &str, words: Vec<OsString>, interrupted: Interrupted<'_>) -> i32 {
    let mut command = command().bin_name(prog.to_owned()).display_name(prog.to_owned());
    let words = std::iter::once(OsString::from(prog)).chain(words);
    let result = command
        .try_get_matches_from_mut(words)
        .map_err(Failure::from)
        .and_then(|matches| dispatch(&mut command, &matches, interrupted));
    match result {
        Ok(code) => code,
        Err(Failure::Usage(error)) => {
            // --help and --version come here too, for standard output and with code 0.
            let _ = error.print();
            error.exit_code()
        }
        Err(Failure::Work(message)) => {
            let _ = writeln!(io::stderr(), "{prog}: {message}");
            EXIT_FAILED
        }
    }
}

fn command() -> Command {
    let command = Command::new("netem")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A network that misbehaves on command: seeded, unprivileged, repeatable")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(relay::command())
        .subcommand(stream::command())
        .subcommand(replay::command())
        .subcommand(shrink::command())
        .subcommand(shrink::enumerate_command())
        .subcommand(Command::new("profiles").about("List the networks there are by name"));
    #[cfg(all(target_os = "linux", feature = "raw"))]
    let command = command.subcommand(bridge::command()).subcommand(command::command());
    command
}

fn dispatch(
    command: &mut Command,
    matches: &ArgMatches,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    match matches.subcommand() {
        Some((name, matches)) => {
            // Errors found later name the verb as clap's own do.
            let verb = command.find_subcommand_mut(name).expect("clap found it");
            match name {
                #[cfg(all(target_os = "linux", feature = "raw"))]
                "bridge" => bridge::run(verb, matches, interrupted),
                #[cfg(all(target_os = "linux", feature = "raw"))]
                "run" => command::run(verb, matches, interrupted),
                "enumerate" => shrink::enumerate(verb, matches, interrupted),
                "profiles" => {
                    let _ = io::stdout().write_all(options::profiles().as_bytes());
                    Ok(EXIT_OK)
                }
                "replay" => replay::run(verb, matches, interrupted),
                "shrink" => shrink::run(matches, interrupted),
                "stream" => stream::run(verb, matches, interrupted),
                _ => relay::run(verb, matches, interrupted),
            }
        }
        None => Ok(EXIT_USAGE),
    }
}
