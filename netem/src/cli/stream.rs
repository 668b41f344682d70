//! `netem stream`: the TCP relay from the command line.

use std::sync::{Arc, LazyLock};

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, value_parser};

use super::endpoint::Endpoint;
use super::run::{self, Counters, Driver};
use super::{Failure, Interrupted};
use crate::capture::CaptureStats;
use crate::live::Network;
use crate::packet::Direction;
use crate::random::Seed;
use crate::relay::resolve;
use crate::setting::SETTINGS;
use crate::stream::{STREAM_ALIASES, STREAM_SETTINGS, Stream, StreamConfig, StreamShape};
use crate::units::Bytes;

const EXAMPLE: &str = "\
Example:
  netem stream --listen 127.0.0.1:8080 --upstream 127.0.0.1:80 \\
    --latency 20ms --jitter 5ms --down-bandwidth 3mbit --down-limit 64kB

A stream between two TCP connections: bytes keep their order. Loss, duplicates and reordering
are refused, because TCP would repair them before anybody sees them: 'netem bridge' does them.
--log, --pcap and --replay are refused, too: they are about packets, and there are none here.";

/// Options of the other drivers that a stream cannot have, because it has no packets.
const NOT_HERE: [&str; 3] = ["log", "pcap", "replay"];

/// Name, value and help of each setting, in the order of [`STREAM_SETTINGS`].
const OPTIONS: [(&str, &str); 9] = [
    ("TIME", "Deliver later by this much, such as 20ms"),
    ("TIME", "Vary the delay by up to this much; the order is kept"),
    ("NAME", "The shape of the jitter: uniform, normal, pareto, paretonormal, lognormal"),
    ("RATE", "Let bytes flow at this rate, such as 3mbit"),
    ("BYTES [TIME]", "Cut the stream into pieces of this size, each so much after the last"),
    ("BYTES", "End the connection after so many bytes"),
    ("TIME", "Let nothing pass, and end the connection when it is so old; 0s: never"),
    ("TIME", "End the stream so much after its last byte"),
    ("TIME", "Reset the connection (RST, both sides) when it is so old"),
];

/// Prefix and heading; the last two override the first.
const PREFIXES: [(&str, &str); 3] = [
    ("", "Impairments, both directions"),
    ("up-", "Impairments, client to server (override those for both)"),
    ("down-", "Impairments, server to client (override those for both)"),
];

/// What happens to packets only: known, to be refused with the reason.
static REFUSED: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| SETTINGS.into_iter().filter(|name| !STREAM_SETTINGS.contains(name)).collect());

pub(super) fn command() -> Command {
    let endpoint = |name: &'static str| {
        let arg = Arg::new(name).long(name).value_name("HOST:PORT").required(true);
        arg.value_parser(value_parser!(Endpoint))
    };
    let connections = Arg::new("connections")
        .long("connections")
        .value_name("NUMBER")
        .value_parser(value_parser!(u32).range(1..))
        .help("Serve at most so many connections at once [default: 16384]");
    let memory = Arg::new("memory")
        .long("memory")
        .value_name("BYTES")
        .value_parser(value_parser!(Bytes))
        .help("Hold at most so much for all connections together, such as 64MB [default: 256 MiB]");
    let mut command = Command::new("stream")
        .about("Relay TCP connections to a server: slow, narrow, cut apart, broken off")
        .after_help(EXAMPLE)
        .arg(endpoint("listen").help("Where clients connect to; port 0: a free one"))
        .arg(endpoint("upstream").help("The server"));
    for (prefix, heading) in PREFIXES {
        let settings = STREAM_SETTINGS.into_iter().zip(OPTIONS);
        command = command.args(settings.map(|(name, (value, help))| {
            let alias = STREAM_ALIASES.into_iter().find(|(_, known)| *known == name);
            let aliases = alias.map(|(alias, _)| format!("{prefix}{alias}"));
            Arg::new(format!("{prefix}{name}"))
                .long(format!("{prefix}{name}"))
                .visible_aliases(aliases)
                .value_name(value)
                .value_parser(parser(name))
                .help(help)
                .help_heading(heading)
                .hide_short_help(!prefix.is_empty())
        }));
        command = command.args(REFUSED.iter().map(|name| {
            let name = format!("{prefix}{name}");
            Arg::new(name.clone()).long(name).hide(true).num_args(0..=1)
        }));
    }
    let shared = run::args().into_iter().filter(|arg| !NOT_HERE.contains(&arg.get_id().as_str()));
    let not_here = NOT_HERE.map(|name| Arg::new(name).long(name).hide(true).num_args(0..=1));
    command
        .args(shared)
        .args(run::control_args())
        .args(run::watch_args())
        .args(not_here)
        .args([connections, memory])
}

/// Checks a value alone; what goes together with others is checked when it is set.
fn parser(name: &'static str) -> ValueParser {
    ValueParser::new(move |value: &str| {
        let mut shape = StreamShape::default();
        if matches!(name, "jitter" | "distribution") {
            // Both need a delay beside them.
            shape.set("delay", "1000s").map_err(|error| error.to_string())?;
            shape.set("jitter", "1ms").map_err(|error| error.to_string())?;
        }
        shape.set(name, value).map(|()| value.to_owned()).map_err(|error| {
            let text = error.to_string();
            // clap names the option itself.
            text.strip_prefix(&format!("{name}: ")).map_or(text.clone(), str::to_owned)
        })
    })
}

/// What the options say for one direction.
fn shape(
    command: &mut Command,
    matches: &ArgMatches,
    direction: Direction,
) -> Result<StreamShape, clap::Error> {
    let own = format!("{direction}-");
    let mut shape = StreamShape::default();
    let mut refuse = |error: String| command.error(ErrorKind::ValueValidation, error);
    for prefix in ["", &own] {
        let is_given = |name: &&&str| matches.contains_id(&format!("{prefix}{name}"));
        if let Some(name) = REFUSED.iter().find(is_given) {
            let error = shape.set(name, "").expect_err("not for streams");
            return Err(refuse(format!("--{prefix}{error}")));
        }
    }
    for name in STREAM_SETTINGS {
        let of_direction = matches.get_one::<String>(&format!("{own}{name}"));
        if let Some(value) = of_direction.or_else(|| matches.get_one::<String>(name)) {
            shape.set(name, value).map_err(|error| refuse(format!("--{error}")))?;
        }
    }
    Ok(shape)
}

pub(super) fn run(
    command: &mut Command,
    matches: &ArgMatches,
    interrupted: Interrupted<'_>,
) -> Result<i32, Failure> {
    if let Some(name) = NOT_HERE.into_iter().find(|name| matches.contains_id(name)) {
        let reason = "a stream has no packets to log, capture or decide on: leave it out";
        let message = format!("--{name}: {reason}, or take 'netem bridge', which has");
        return Err(command.error(ErrorKind::ArgumentConflict, message).into());
    }
    let up = shape(command, matches, Direction::Up)?;
    let down = shape(command, matches, Direction::Down)?;
    let address = |name: &str| {
        let Endpoint { host, port } = matches.get_one::<Endpoint>(name).expect("required").clone();
        resolve(&host, port).map_err(|error| Failure::Work(format!("--{name}: {error}")))
    };
    let (listen, upstream) = (address("listen")?, address("upstream")?);
    if upstream.port() == 0 {
        let message = "--upstream: port 0 is nobody's: give the server's port, 1 to 65535";
        return Err(command.error(ErrorKind::ValueValidation, message).into());
    }
    let mut config = StreamConfig { up, down, ..StreamConfig::new(listen, upstream) };
    config.seed = matches.get_one("seed").copied().map(Seed);
    if let Some(&connections) = matches.get_one::<u32>("connections") {
        config.connections_max = connections as usize;
    }
    if let Some(memory) = matches.get_one::<Bytes>("memory") {
        config.memory_bytes_max = memory.get() as usize;
    }
    let start = || match Stream::start(config) {
        Ok(stream) => Ok(Running(Arc::new(stream))),
        Err(error) => Err(Failure::Work(error.to_string())),
    };
    run::run(matches, start, interrupted)
}

struct Running(Arc<Stream>);

impl Driver for Running {
    fn title(&self) -> String {
        Network::title(&*self.0)
    }

    fn seed(&self) -> Seed {
        self.0.seed()
    }

    fn counters(&self) -> Counters {
        let stats = self.0.stats();
        // What is alive now goes to the live line.
        let extra = Network::extra(&*self.0).into_iter().skip(1).collect();
        let live = ("connections", stats.connections);
        Counters { up: stats.up, down: stats.down, live, extra }
    }

    fn log_text(&self) -> String {
        String::new()
    }

    fn close(&self) {
        self.0.close();
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn capture(&self) -> Option<CaptureStats> {
        None
    }

    fn failure(&self) -> Option<String> {
        None
    }

    fn network(&self) -> Option<Arc<dyn Network>> {
        Some(Arc::clone(&self.0) as Arc<dyn Network>)
    }
}
