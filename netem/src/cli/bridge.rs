//! `netem bridge`: the packet-level bridge from the command line.

use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};

use super::run::{self, Counters, Driver};
use super::{Failure, Interrupted, options};
use crate::bridge::{Backend, Bridge, BridgeConfig, BridgeError};
use crate::capture::CaptureStats;
use crate::live::{Conductor, Network};
use crate::random::Seed;

const EXAMPLE: &str = "\
Example, as root, with the far ends of two veth pairs in the namespaces a and b:
  netem bridge --left veth-a --right veth-b --loss 1% --delay 10ms --seed 7

Every protocol passes. 'up' is left to right. Decisions are taken for each packet as it
would be on the wire: large frames that the sender left to be cut are cut first.";

pub(super) fn command() -> Command {
    let interface = |name: &'static str, help| {
        Arg::new(name).long(name).value_name("INTERFACE").required(true).help(help)
    };
    let command = Command::new("bridge")
        .about("Join two interfaces by a bad wire, for every protocol (needs CAP_NET_RAW)")
        .after_help(EXAMPLE)
        .arg(interface("left", "The interface whose frames go up"))
        .arg(interface("right", "The interface whose frames go down"));
    let backend = Arg::new("backend")
        .long("backend")
        .value_name("NAME")
        .value_parser(PossibleValuesParser::new(["packet", "pnet"]))
        .default_value("packet")
        .help("How frames are taken: many a system call, or one by one through pnet");
    options::add(command)
        .args(run::args())
        .args(run::control_args())
        .args(run::watch_args())
        .arg(backend)
}

pub(super) fn run(
    command: &mut Command,
    matches: &ArgMatches,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    let name = |side| matches.get_one::<String>(side).expect("required").clone();
    let mut config = BridgeConfig::new(name("left"), name("right"));
    let options::Network { up, down, seed, timeline } = options::network(command, matches)?;
    (config.up, config.down, config.seed) = (up, down, seed);
    config.pcap = run::pcap(matches);
    if matches.get_one::<String>("backend").is_some_and(|name| name == "pnet") {
        config.backend = Backend::Pnet;
    }
    let title = format!("bridge {} -> {}", config.left, config.right);
    let start = || match Bridge::start(config) {
        Ok(bridge) => {
            let bridge = Arc::new(bridge);
            let network = Arc::clone(&bridge) as Arc<dyn Network>;
            let conductor = Conductor::start(network, timeline);
            let conductor = conductor.map_err(|error| Failure::Work(error.to_string()))?;
            Ok(Running { title, bridge, _conductor: conductor })
        }
        Err(error) => Err(failure(command, &error)),
    };
    run::run(matches, start, interrupted)
}

fn failure(command: &mut Command, error: &BridgeError) -> Failure {
    match error.is_usage() {
        true => command.error(ErrorKind::ValueValidation, error).into(),
        false => Failure::Work(error.to_string()),
    }
}

struct Running {
    title: String,
    bridge: Arc<Bridge>,
    _conductor: Conductor,
}

impl Driver for Running {
    fn title(&self) -> String {
        self.title.clone()
    }

    fn seed(&self) -> Seed {
        self.bridge.seed()
    }

    fn counters(&self) -> Counters {
        let stats = self.bridge.stats();
        Counters {
            up: stats.up,
            down: stats.down,
            live: ("flows", stats.flows_total),
            extra: vec![
                ("flows", stats.flows_total),
                ("frames cut", stats.segmented),
                ("receive errors", stats.receive_errors),
            ],
        }
    }

    fn log_text(&self) -> String {
        self.bridge.log_text()
    }

    fn close(&self) {
        self.bridge.close();
    }

    fn is_closed(&self) -> bool {
        self.bridge.is_closed()
    }

    fn capture(&self) -> Option<CaptureStats> {
        self.bridge.capture_stats()
    }

    fn failure(&self) -> Option<String> {
        self.bridge.failure().map(|error| error.to_string())
    }

    fn network(&self) -> Option<Arc<dyn Network>> {
        Some(Arc::clone(&self.bridge) as Arc<dyn Network>)
    }
}
