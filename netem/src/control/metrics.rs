//! The counters in the text format of Prometheus (exposition format 0.0.4).

use std::fmt::Write;

use crate::live::Network;
use crate::packet::Direction;
use crate::stats::LinkStats;

/// A counter's name and what it counts.
type Counter = (&'static str, &'static str, fn(&LinkStats) -> u64);

const COUNTERS: [Counter; 10] = [
    ("packets_received", "Packets that came in", |s| s.received),
    ("bytes_received", "Bytes that came in", |s| s.received_bytes),
    ("packets_delivered", "Packets that came out", |s| s.delivered),
    ("bytes_delivered", "Bytes that came out", |s| s.delivered_bytes),
    ("packets_duplicated", "Copies made", |s| s.duplicated),
    ("packets_reordered", "Packets held back so that others overtake", |s| s.reordered),
    ("packets_ahead", "Packets let ahead of others", |s| s.ahead),
    ("packets_corrupted", "Packets with flipped bits", |s| s.corrupted),
    ("packets_truncated", "Packets cut off", |s| s.truncated),
    ("packets_ecn_marked", "Packets marked congestion experienced", |s| s.ecn_marked),
];

/// Everything there is to measure about a network.
pub fn metrics(network: &dyn Network) -> String {
    let stats = network.link_stats();
    let sides = || Direction::BOTH.into_iter().zip(&stats);
    // Writing to a String cannot fail.
    let mut all = head("info", "The network and its seed", "gauge");
    let (title, seed) = (label(&network.title()), network.seed());
    let _ = writeln!(all, "netem_info{{title=\"{title}\",seed=\"{seed}\"}} 1");
    for (name, help, value) in COUNTERS {
        all += &head(&format!("{name}_total"), help, "counter");
        for (way, stats) in sides() {
            let _ = writeln!(all, "netem_{name}_total{{direction=\"{way}\"}} {}", value(stats));
        }
    }
    all += &head("packets_dropped_total", "Packets dropped, by reason", "counter");
    for (way, stats) in sides() {
        for (reason, count) in stats.dropped_by_reason() {
            let labels = format!("direction=\"{way}\",reason=\"{reason}\"");
            let _ = writeln!(all, "netem_packets_dropped_total{{{labels}}} {count}");
        }
    }
    all += &head("packets_queued", "Packets on their way now", "gauge");
    for (way, stats) in sides() {
        let _ = writeln!(all, "netem_packets_queued{{direction=\"{way}\"}} {}", stats.queued);
    }
    all += &head("packets_queued_max", "The most that were on their way at once", "gauge");
    for (way, stats) in sides() {
        let _ =
            writeln!(all, "netem_packets_queued_max{{direction=\"{way}\"}} {}", stats.queued_max);
    }
    all += &head("delay_seconds", "How long packets take", "histogram");
    for (way, stats) in sides() {
        delays(&mut all, way, stats);
    }
    all += &head("driver", "Counters of what moves the packets", "gauge");
    for (name, value) in network.extra() {
        let _ = writeln!(all, "netem_driver{{name=\"{}\"}} {value}", label(name));
    }
    all
}

fn head(name: &str, help: &str, kind: &str) -> String {
    format!("# HELP netem_{name} {help}.\n# TYPE netem_{name} {kind}\n")
}

fn delays(text: &mut String, way: Direction, stats: &LinkStats) {
    let mut below = 0;
    for (end, count) in stats.delays.classes() {
        below += count;
        let end = end.map_or("+Inf".to_owned(), |end| end.as_secs_f64().to_string());
        let labels = format!("direction=\"{way}\",le=\"{end}\"");
        let _ = writeln!(text, "netem_delay_seconds_bucket{{{labels}}} {below}");
    }
    let sum = stats.delays.sum().as_secs_f64();
    let _ = writeln!(text, "netem_delay_seconds_sum{{direction=\"{way}\"}} {sum}");
    let _ = writeln!(text, "netem_delay_seconds_count{{direction=\"{way}\"}} {below}");
}

/// The text of a label between its quotes.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
