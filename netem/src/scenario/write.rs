//! Writes faults as a scenario: what shrinking found, to be kept beside the test it broke.

use std::fmt::Write;

use crate::fault::Fault;
use crate::impair::{Condition, Rules};
use crate::log::ParsedLog;
use crate::packet::Direction;
use crate::random::Seed;
use crate::units::Nanos;

/// A scenario that commits exactly these faults. With the log they come from, each direction also
/// gets its delay, if that was the same for all packets; delays that vary are only in the log.
///
/// ```
/// use netem::fault::single_faults;
/// use netem::{Direction, FlowOrdinal, Seed, impair::Action};
/// let faults: Vec<_> = single_faults(Direction::Up, FlowOrdinal(0), Action::Drop, 2).collect();
/// let text = netem::scenario::of_faults(&faults, Seed(7), None);
/// assert!(text.contains("direction = \"up\"\nflow = 0\npackets = \"1-2\"\naction = \"drop\""));
/// ```
pub fn of_faults(faults: &[Fault], seed: Seed, log: Option<&ParsedLog>) -> String {
    let mut text = format!("version = 1\nseed = {}\n", seed.0);
    for direction in Direction::BOTH {
        let delay = log.map_or(Some(Nanos::ZERO), |log| constant_delay(log, direction));
        // Writing to a String cannot fail.
        let _ = match delay {
            Some(Nanos::ZERO) => Ok(()),
            Some(delay) => write!(text, "\n[{direction}]\ndelay = \"{delay}\"\n"),
            None => write!(text, "\n# {direction}: delays varied; the log has them\n"),
        };
    }
    for direction in Direction::BOTH {
        write_rules(&mut text, direction, &Fault::rules(faults, direction));
    }
    text
}

/// The delay of all delivered packets, if it is the same.
fn constant_delay(log: &ParsedLog, direction: Direction) -> Option<Nanos> {
    let delivered = log.of(direction).decisions().iter().map(|decision| decision.verdict);
    let mut delays = delivered.filter(|verdict| verdict.is_delivered()).map(|v| v.delay);
    let first = delays.next().unwrap_or_default();
    delays.all(|delay| delay == first).then_some(first)
}

fn write_rules(text: &mut String, direction: Direction, rules: &Rules) {
    for rule in rules.as_slice() {
        let _ = write!(text, "\n[[rule]]\ndirection = \"{direction}\"\n");
        for condition in &rule.conditions {
            // Rules that come from faults have no others.
            let _ = match condition {
                Condition::Flow(flow) => writeln!(text, "flow = {flow}"),
                Condition::Packets(set) => writeln!(text, "packets = \"{set}\""),
                _ => Ok(()),
            };
        }
        let _ = writeln!(text, "action = \"{}\"", rule.action);
    }
}
