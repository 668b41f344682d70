//! The impairments on the command line: `--loss`, and `--up-loss`, `--down-loss` for one
//! direction. An option of a direction overrides the one for both.

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, value_parser};

use crate::impair::{Delay, Duplicate, Loss, Reorder};
use crate::link::{LinkConfig, QUEUE_PACKETS_DEFAULT};
use crate::packet::Direction;
use crate::units::Nanos;

const PREFIXES: [(&str, &str); 3] = [
    ("", "Impairments, both directions"),
    ("up-", "Impairments, client to server (override those for both)"),
    ("down-", "Impairments, server to client (override those for both)"),
];

/// Adds the options of every impairment to `command`.
pub(super) fn add(mut command: Command) -> Command {
    for (prefix, heading) in PREFIXES {
        let option = |name: &str, value: &'static str, parser: ValueParser, help: &'static str| {
            let name = format!("{prefix}{name}");
            let arg = Arg::new(name.clone()).long(name).value_name(value).help(help);
            arg.value_parser(parser).help_heading(heading).hide_short_help(!prefix.is_empty())
        };
        let (loss, duplicate) = (value_parser!(Loss).into(), value_parser!(Duplicate).into());
        let reorder = value_parser!(Reorder).into();
        let time = || value_parser!(Nanos).into();
        command = command.args([
            option("loss", "P%", loss, "Drop a packet with this probability"),
            option("delay", "TIME", time(), "Deliver later by this much, such as 20ms"),
            option(
                "jitter",
                "TIME",
                time(),
                "Vary the delay by up to this much; the order is kept",
            ),
            option("reorder", "P%", reorder, REORDER_HELP),
            option("duplicate", "P%", duplicate, "Deliver twice with this probability"),
            option("limit", "PACKETS", limit(), "Hold at most so many packets [default: 100000]"),
        ]);
    }
    command
}

const REORDER_HELP: &str = "Let later packets overtake with this probability; \
    \"2% distance 3 flush 50ms\" says how many, and how long they are waited for";

fn limit() -> ValueParser {
    value_parser!(u32).range(1..).into()
}

/// What the options say for one direction.
///
/// # Errors
/// A jitter larger than its delay, as a usage error of `command`.
pub(super) fn link_config(
    command: &mut Command,
    matches: &ArgMatches,
    direction: Direction,
) -> Result<LinkConfig, clap::Error> {
    let own = format!("{direction}-");
    let delay: Nanos = get(matches, &own, "delay").unwrap_or_default();
    let jitter: Nanos = get(matches, &own, "jitter").unwrap_or_default();
    let delay = Delay::new(delay, jitter)
        .map_err(|error| command.error(ErrorKind::ValueValidation, error))?;
    let limit: Option<u32> = get(matches, &own, "limit");
    Ok(LinkConfig {
        loss: get(matches, &own, "loss").unwrap_or_default(),
        duplicate: get(matches, &own, "duplicate").unwrap_or_default(),
        delay,
        reorder: get(matches, &own, "reorder").unwrap_or_default(),
        limit_packets: limit.map_or(QUEUE_PACKETS_DEFAULT, |limit| limit as usize),
        ..LinkConfig::default()
    })
}

fn get<T>(matches: &ArgMatches, own: &str, name: &str) -> Option<T>
where
    T: Clone + Send + Sync + 'static,
{
    let of_direction = matches.get_one::<T>(&format!("{own}{name}"));
    of_direction.or_else(|| matches.get_one::<T>(name)).cloned()
}
