//! Runs a command again and again, each time with another file: what `shrink` and `enumerate` do.
//!
//! The command finds the file's name where its words say `{}`, and in an environment variable. It
//! fails when its exit code is not 0, when a signal ends it, or when its time is up.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, value_parser};

use super::{Failure, Interrupted};
use crate::units::Nanos;

/// How long it sleeps between two looks at the command and the signals.
const SLICE: Duration = Duration::from_millis(5);

/// What a run of the command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    /// Ctrl-C.
    Interrupted,
}

/// A command that is run with one file after the other, and the folder of these files.
pub(super) struct Trial<'a> {
    words: Vec<OsString>,
    variable: &'static str,
    timeout: Option<Duration>,
    folder: PathBuf,
    interrupted: Interrupted<'a>,
    pub(super) runs: usize,
}

/// The arguments that a trial needs.
pub(super) fn args() -> [Arg; 2] {
    [
        Arg::new("timeout")
            .long("timeout")
            .value_name("TIME")
            .value_parser(value_parser!(Nanos))
            .help("A run that takes longer has failed [default: no limit]"),
        Arg::new("command")
            .value_name("COMMAND")
            .value_parser(value_parser!(OsString))
            .required(true)
            .num_args(1..)
            .last(true)
            .help("What is run; {} stands for the file's name"),
    ]
}

impl<'a> Trial<'a> {
    pub(super) fn new(
        matches: &ArgMatches,
        variable: &'static str,
        interrupted: Interrupted<'a>,
    ) -> Result<Self, Failure> {
        let words = matches.get_many::<OsString>("command").expect("required");
        let timeout = matches.get_one::<Nanos>("timeout").map(|time| time.to_duration());
        let name = format!("netem-{}-{}", variable.to_ascii_lowercase(), std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).map_err(|error| cannot("write", &folder, &error))?;
        let words = words.cloned().collect();
        Ok(Self { words, variable, timeout, folder, interrupted, runs: 0 })
    }

    /// Runs the command with a file that says `text`.
    pub(super) fn run(&mut self, name: &str, text: &str) -> Result<Outcome, Failure> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
        self.runs += 1;
        let mut words = self.words.iter().map(|word| fill(word, &path));
        let program = words.next().unwrap_or_default();
        let mut child = Command::new(&program)
            .args(words)
            .env(self.variable, &path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| cannot("run", Path::new(&program), &error))?;
        self.wait(&mut child).map_err(|error| cannot("run", Path::new(&program), &error))
    }

    fn wait(&mut self, child: &mut Child) -> io::Result<Outcome> {
        let begin = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(if status.success() { Outcome::Passed } else { Outcome::Failed });
            }
            let is_late = self.timeout.is_some_and(|timeout| begin.elapsed() > timeout);
            let is_interrupted = (self.interrupted)();
            if is_late || is_interrupted {
                child.kill()?;
                child.wait()?;
                return Ok(if is_interrupted { Outcome::Interrupted } else { Outcome::Failed });
            }
            std::thread::sleep(SLICE);
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        // Files that stay in the folder for temporary ones harm nobody.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn fill(word: &OsString, path: &Path) -> OsString {
    match word.to_str() {
        Some(text) if text.contains("{}") => text.replace("{}", &path.to_string_lossy()).into(),
        _ => word.clone(),
    }
}

pub(super) fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::Work(format!("cannot {what} {}: {error}", path.display()))
}
