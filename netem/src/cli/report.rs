//! What a run did: a live line, a table for people, JSON for programs.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use super::run::Counters;
use crate::control::link_stats;
use crate::random::Seed;
use crate::stats::LinkStats;
use crate::verdict::DropReason;

/// Everything a summary says.
pub(super) struct Summary<'a> {
    /// What ran, in one line.
    pub(super) title: &'a str,
    pub(super) seed: Seed,
    pub(super) elapsed: Duration,
    pub(super) counters: &'a Counters,
}

/// Prints the summary to standard output.
pub(super) fn print(summary: &Summary<'_>, as_json: bool) -> io::Result<()> {
    io::stdout().write_all(text(summary, as_json).as_bytes())?;
    io::stdout().flush()
}

/// The summary, for people or for programs.
pub(super) fn text(summary: &Summary<'_>, as_json: bool) -> String {
    if as_json { json(summary) } else { table(summary) }
}

/// Prints the counters at a time as a line of JSON.
pub(super) fn print_line(at_s: f64, counters: &Counters) -> io::Result<()> {
    let (up, down) = (link_stats(&counters.up), link_stats(&counters.down));
    let (name, count) = counters.live;
    let line =
        format!("{{\"at_s\": {at_s:.3}, \"{name}\": {count}, \"up\": {up}, \"down\": {down}}}\n");
    io::stdout().write_all(line.as_bytes())?;
    io::stdout().flush()
}

/// Both directions in one line.
pub(super) fn live_line(counters: &Counters) -> String {
    let side = |stats: &LinkStats| {
        let (dropped, queued) = (stats.dropped_total(), stats.queued);
        let (received, delivered) = (stats.received, stats.delivered);
        format!("{received} in, {delivered} out, {dropped} dropped, {queued} queued")
    };
    let (name, count) = counters.live;
    format!("up {} | down {} | {count} {name}", side(&counters.up), side(&counters.down))
}

/// The counters of a direction by name, in the order they balance.
fn by_name(stats: &LinkStats) -> Vec<(String, u64)> {
    let mut counters = vec![
        ("received".to_owned(), stats.received),
        ("duplicated".to_owned(), stats.duplicated),
        ("reordered".to_owned(), stats.reordered),
        ("delivered".to_owned(), stats.delivered),
    ];
    for (reason, count) in stats.dropped_by_reason() {
        if count > 0 || reason == DropReason::Loss {
            counters.push((format!("dropped: {reason}"), count));
        }
    }
    counters.push(("received bytes".to_owned(), stats.received_bytes));
    counters.push(("delivered bytes".to_owned(), stats.delivered_bytes));
    counters
}

fn table(summary: &Summary<'_>) -> String {
    let (up, down) = (by_name(&summary.counters.up), by_name(&summary.counters.down));
    let mut names: Vec<&str> = up.iter().map(|(name, _)| name.as_str()).collect();
    for (place, (name, _)) in down.iter().enumerate() {
        if !names.contains(&name.as_str()) {
            names.insert(place.min(names.len()), name);
        }
    }
    let value = |counters: &[(String, u64)], name: &str| {
        counters.iter().find(|(other, _)| other == name).map_or(0, |&(_, value)| value)
    };
    let mut text = format!("{}, {:.1} s\n", summary.title, summary.elapsed.as_secs_f64());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{:<26}{:>14}{:>14}", "", "up", "down");
    for name in names {
        let _ = writeln!(text, "{name:<26}{:>14}{:>14}", value(&up, name), value(&down, name));
    }
    for (name, value) in &summary.counters.extra {
        let _ = writeln!(text, "{name:<26}{value:>14}");
    }
    text
}

fn json(summary: &Summary<'_>) -> String {
    let mut text = format!("{{\"seed\": {}", summary.seed);
    let _ = write!(text, ", \"elapsed_s\": {:.6}", summary.elapsed.as_secs_f64());
    for (name, value) in &summary.counters.extra {
        let _ = write!(text, ", \"{}\": {value}", name.replace(' ', "_"));
    }
    let _ = writeln!(
        text,
        ", \"up\": {}, \"down\": {}}}",
        link_stats(&summary.counters.up),
        link_stats(&summary.counters.down)
    );
    text
}
