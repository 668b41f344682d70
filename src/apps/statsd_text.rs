//! Writes what was measured as text: Prometheus' exposition format and Graphite's lines.
//!
//! Prometheus gets totals since the start and the quantiles of the last interval; Graphite gets
//! each interval. Characters a format does not allow become underscores.

use crate::apps::statsd::{Aggregator, Flush, Summary};
use crate::wire::statsd::ObservationKind;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The text a Prometheus server scrapes (exposition format 0.0.4).
pub fn prometheus(aggregator: &Aggregator) -> String {
    let mut families: BTreeMap<String, (&str, Vec<String>)> = BTreeMap::new();
    let mut add = |name: String, kind: &'static str, lines: Vec<String>| {
        families.entry(name).or_insert_with(|| (kind, Vec::new())).1.extend(lines);
    };
    for (series, counter) in &aggregator.counters {
        let (name, labels) = prometheus_name(series);
        let name = format!("{name}_total");
        let line = format!("{name}{} {}", braces(&labels), counter.total);
        add(name, "counter", vec![line]);
    }
    for (series, value) in &aggregator.gauges {
        let (name, labels) = prometheus_name(series);
        let line = format!("{name}{} {value}", braces(&labels));
        add(name, "gauge", vec![line]);
    }
    for (series, members) in &aggregator.sets {
        let (name, labels) = prometheus_name(series);
        let name = format!("{name}_members");
        let line = format!("{name}{} {}", braces(&labels), members.last);
        add(name, "gauge", vec![line]);
    }
    for (series, seen) in &aggregator.observations {
        let (name, labels) = prometheus_name(series);
        let name = if seen.kind == ObservationKind::Timer { format!("{name}_ms") } else { name };
        let mut lines: Vec<String> = quantiles(&seen.last)
            .iter()
            .map(|(quantile, value)| {
                let labels = [&labels[..], &[format!("quantile=\"{quantile}\"")]].concat();
                format!("{name}{} {value}", braces(&labels))
            })
            .collect();
        lines.push(format!("{name}_sum{} {}", braces(&labels), seen.sum_total));
        lines.push(format!("{name}_count{} {}", braces(&labels), seen.weight_total));
        add(name, "summary", lines);
    }
    let mut out = String::new();
    for (name, (kind, lines)) in families {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# TYPE {name} {kind}\n{}", lines.join("\n"));
    }
    out
}

/// The lines a Graphite server takes: path, value, seconds since 1970.
pub fn graphite(flush: &Flush, prefix: &str, unix_s: u64) -> String {
    let mut out = String::new();
    let mut line = |path: &str, value: f64| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{prefix}.{path} {value} {unix_s}");
    };
    for (series, sum) in &flush.counters {
        let path = graphite_path(series);
        line(&format!("counters.{path}.count"), *sum);
        line(&format!("counters.{path}.rate"), sum / flush.interval_s.max(f64::MIN_POSITIVE));
    }
    for (series, value) in &flush.gauges {
        line(&format!("gauges.{}", graphite_path(series)), *value);
    }
    for (series, kind, summary) in &flush.observations {
        let room = match kind {
            ObservationKind::Timer => "timers",
            ObservationKind::Histogram => "histograms",
            ObservationKind::Distribution => "distributions",
        };
        let path = graphite_path(series);
        for (name, value) in fields(summary) {
            line(&format!("{room}.{path}.{name}"), value);
        }
    }
    for (series, count) in &flush.sets {
        line(&format!("sets.{}.count", graphite_path(series)), *count as f64);
    }
    out
}

/// The numbers of a summary under the names StatsD gives them.
pub fn fields(summary: &Summary) -> [(&'static str, f64); 10] {
    [
        ("count", summary.count),
        ("sum", summary.sum),
        ("lower", summary.min),
        ("upper", summary.max),
        ("mean", summary.mean),
        ("median", summary.median),
        ("std", summary.deviation),
        ("upper_90", summary.p90),
        ("upper_95", summary.p95),
        ("upper_99", summary.p99),
    ]
}

fn quantiles(summary: &Summary) -> [(&'static str, f64); 4] {
    [("0.5", summary.median), ("0.9", summary.p90), ("0.95", summary.p95), ("0.99", summary.p99)]
}

fn prometheus_name(series: &str) -> (String, Vec<String>) {
    let (name, tags) = series.split_once("|#").unwrap_or((series, ""));
    let labels = tags.split(',').filter(|tag| !tag.is_empty()).map(|tag| {
        let (key, value) = tag.split_once(':').unwrap_or((tag, "true"));
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{}=\"{value}\"", identifier(key))
    });
    let mut labels: Vec<String> = labels.collect();
    // Two tags of one key would be an error to Prometheus.
    labels.dedup_by(|a, b| a.split('=').next() == b.split('=').next());
    (identifier(name), labels)
}

fn identifier(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = text.chars().map(allowed).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn braces(labels: &[String]) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) }
}

/// Graphite's own way to write tags: `path;key=value`.
fn graphite_path(series: &str) -> String {
    let plain = |text: &str| -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        text.chars().map(|c| if allowed(c) { c } else { '_' }).collect()
    };
    let (name, tags) = series.split_once("|#").unwrap_or((series, ""));
    let mut path = plain(name);
    for tag in tags.split(',').filter(|tag| !tag.is_empty()) {
        let (key, value) = tag.split_once(':').unwrap_or((tag, "true"));
        path.push_str(&format!(".{}_{}", plain(key), plain(value)));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed() -> Aggregator {
        let mut aggregator = Aggregator::default();
        aggregator.handle(b"web.hits:3|c|#code:200,path:/a\"b\nweb.hits:1|c|#code:500");
        aggregator.handle(b"temp:-4.5|g\nload:20|ms\nload:10|ms\nusers:x|s\n9lives:1|c\nsize:5|h");
        aggregator
    }

    #[test]
    fn prometheus_text() {
        let mut aggregator = fed();
        aggregator.flush(10.0);
        assert_eq!(
            prometheus(&aggregator),
            "# TYPE _9lives_total counter\n\
             _9lives_total 1\n\
             # TYPE load_ms summary\n\
             load_ms{quantile=\"0.5\"} 10\n\
             load_ms{quantile=\"0.9\"} 20\n\
             load_ms{quantile=\"0.95\"} 20\n\
             load_ms{quantile=\"0.99\"} 20\n\
             load_ms_sum 30\n\
             load_ms_count 2\n\
             # TYPE size summary\n\
             size{quantile=\"0.5\"} 5\n\
             size{quantile=\"0.9\"} 5\n\
             size{quantile=\"0.95\"} 5\n\
             size{quantile=\"0.99\"} 5\n\
             size_sum 5\n\
             size_count 1\n\
             # TYPE temp gauge\n\
             temp -4.5\n\
             # TYPE users_members gauge\n\
             users_members 1\n\
             # TYPE web_hits_total counter\n\
             web_hits_total{code=\"200\",path=\"/a\\\"b\"} 3\n\
             web_hits_total{code=\"500\"} 1\n"
        );
    }

    #[test]
    fn graphite_lines() {
        let text = graphite(&fed().flush(10.0), "stats", 1_700_000_000);
        for line in [
            "stats.counters.web.hits.code_200.path__a_b.count 3 1700000000",
            "stats.counters.9lives.rate 0.1 1700000000",
            "stats.gauges.temp -4.5 1700000000",
            "stats.timers.load.upper_90 20 1700000000",
            "stats.histograms.size.mean 5 1700000000",
            "stats.sets.users.count 1 1700000000",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }
}
