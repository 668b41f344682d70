//! `netem relay`: the UDP relay from the command line.

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, value_parser};

use super::endpoint::Endpoint;
use super::run::{self, Counters, Driver};
use super::{Failure, Interrupted, options};
use crate::capture::CaptureStats;
use crate::packet::Direction;
use crate::random::Seed;
use crate::relay::{Relay, RelayConfig, resolve};
use crate::units::Nanos;

const EXAMPLE: &str = "\
Example:
  netem relay --listen 127.0.0.1:9000 --upstream 127.0.0.1:9999 \\
    --loss 10% --delay 20ms --jitter 5ms --reorder 2% --duplicate 1% --seed 7

Quantities carry their unit: 10%, 20ms, 1.5s. The same seed and the same datagrams
give the same decisions. Ctrl-C prints the summary.";

pub(super) fn command() -> Command {
    let endpoint = |name: &'static str| {
        let arg = Arg::new(name).long(name).value_name("HOST:PORT").required(true);
        arg.value_parser(value_parser!(Endpoint))
    };
    let command = Command::new("relay")
        .about("Relay UDP datagrams to a server over a bad network")
        .after_help(EXAMPLE)
        .arg(endpoint("listen").help("Where clients send to; port 0: a free one"))
        .arg(endpoint("upstream").help("The server"));
    options::add(command).args(run::args()).args([
        Arg::new("clients")
            .long("clients")
            .value_name("NUMBER")
            .value_parser(value_parser!(u32).range(1..))
            .help("Serve at most so many clients at once [default: 16384]"),
        Arg::new("idle")
            .long("idle")
            .value_name("TIME")
            .value_parser(value_parser!(Nanos))
            .help("Forget a client that is silent for so long [default: 2min]"),
    ])
}

pub(super) fn run(
    command: &mut Command,
    matches: &ArgMatches,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    let config = config(command, matches)?;
    let start = || Relay::start(config).map_err(|error| Failure::Work(error.to_string()));
    run::run(matches, start, interrupted)
}

impl Driver for Relay {
    fn title(&self) -> String {
        format!("relay {} -> {}", self.address(), self.upstream())
    }

    fn seed(&self) -> Seed {
        Self::seed(self)
    }

    fn counters(&self) -> Counters {
        let stats = self.stats();
        Counters {
            up: stats.up,
            down: stats.down,
            live: ("clients", stats.clients),
            extra: vec![
                ("clients", stats.clients_total),
                ("clients expired", stats.clients_expired),
                ("sockets refused", stats.sockets_refused),
                ("receive errors", stats.receive_errors),
            ],
        }
    }

    fn log_text(&self) -> String {
        Self::log_text(self)
    }

    fn close(&self) {
        Self::close(self);
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }

    fn capture(&self) -> Option<CaptureStats> {
        Self::capture_stats(self)
    }

    fn failure(&self) -> Option<String> {
        None
    }
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
    config.seed = run::seed(matches);
    config.pcap = run::pcap(matches);
    if let Some(&clients) = matches.get_one::<u32>("clients") {
        config.clients_max = clients as usize;
    }
    if let Some(&idle) = matches.get_one::<Nanos>("idle") {
        config.idle = idle;
    }
    Ok(config)
}
