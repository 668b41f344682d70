//! `netem relay`: the UDP relay from the command line.

use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::endpoint::Endpoint;
use super::run::{self, Counters, Driver};
use super::{Failure, Interrupted, options};
use crate::capture::CaptureStats;
use crate::live::{Conductor, Network};
use crate::random::Seed;
use crate::relay::{Relay, RelayConfig, resolve};
use crate::timeline::Timeline;
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
    options::add(command).args(run::args()).args(run::control_args()).args(run::watch_args()).args(
        [
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
            Arg::new("no-offload")
                .long("no-offload")
                .action(ArgAction::SetTrue)
                .help("Send each datagram on its own, without UDP GSO: slower, otherwise the same"),
        ],
    )
}

pub(super) fn run(
    command: &mut Command,
    matches: &ArgMatches,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    let (config, timeline) = config(command, matches)?;
    let start = || {
        let relay = Relay::start(config).map_err(|error| Failure::Work(error.to_string()))?;
        let relay = Arc::new(relay);
        let network = Arc::clone(&relay) as Arc<dyn Network>;
        let conductor = Conductor::start(network, timeline);
        let conductor = conductor.map_err(|error| Failure::Work(error.to_string()))?;
        Ok(Running { relay, _conductor: conductor })
    };
    run::run(matches, start, interrupted)
}

struct Running {
    relay: Arc<Relay>,
    _conductor: Conductor,
}

impl Driver for Running {
    fn title(&self) -> String {
        Network::title(&*self.relay)
    }

    fn seed(&self) -> Seed {
        self.relay.seed()
    }

    fn counters(&self) -> Counters {
        let stats = self.relay.stats();
        let mut extra = self.relay.extra();
        // What is alive now stands in the live line.
        extra.remove(0);
        Counters { up: stats.up, down: stats.down, live: ("clients", stats.clients), extra }
    }

    fn log_text(&self) -> String {
        self.relay.log_text()
    }

    fn close(&self) {
        self.relay.close();
    }

    fn is_closed(&self) -> bool {
        self.relay.is_closed()
    }

    fn capture(&self) -> Option<CaptureStats> {
        self.relay.capture_stats()
    }

    fn failure(&self) -> Option<String> {
        None
    }

    fn network(&self) -> Option<Arc<dyn Network>> {
        Some(Arc::clone(&self.relay) as Arc<dyn Network>)
    }
}

fn config(command: &mut Command, matches: &ArgMatches) -> Result<(RelayConfig, Timeline), Failure> {
    let options::Network { up, down, seed, timeline } = options::network(command, matches)?;
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
    config.offload = !matches.get_flag("no-offload");
    config.seed = seed;
    config.pcap = run::pcap(matches);
    if let Some(&clients) = matches.get_one::<u32>("clients") {
        config.clients_max = clients as usize;
    }
    if let Some(&idle) = matches.get_one::<Nanos>("idle") {
        config.idle = idle;
    }
    Ok((config, timeline))
}
