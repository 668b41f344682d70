//! Adds StatsD metrics up: counters, gauges, sets and observations, flushed in intervals.
//!
//! A series is a name with its tags in order. Counters also keep their total since the start,
//! for readers that want rates of their own (Prometheus). Everything is bounded: what is beyond
//! a limit is counted, not kept.

use crate::wire::statsd::{self, Metric, ObservationKind, Parsed, StatsdError};
use std::collections::{BTreeMap, BTreeSet};

/// Counts of what happened to the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatsdStats {
    /// Datagrams taken.
    pub datagrams: u64,
    /// Lines that were metrics.
    pub lines: u64,
    /// Events and service checks, which are not kept.
    pub other: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// Metrics of a series beyond the limit.
    pub series_refused: u64,
    /// Observations and members beyond the limit: counted in the sums, not in percentiles.
    pub values_refused: u64,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Aggregator {
    pub(crate) counters: BTreeMap<String, Counter>,
    pub(crate) gauges: BTreeMap<String, f64>,
    pub(crate) observations: BTreeMap<String, Observations>,
    pub(crate) sets: BTreeMap<String, Members>,
    values_held: usize,
    stats: StatsdStats,
    malformed: BTreeMap<StatsdError, u64>,
    scratch: String,
}

/// A counter: since the start, and in this interval.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counter {
    /// Since the start.
    pub total: f64,
    /// Since the last flush.
    pub interval: f64,
}

/// The observations of one timer, histogram or distribution.
#[derive(Debug, Clone)]
pub struct Observations {
    /// What the values are.
    pub kind: ObservationKind,
    /// The values of this interval, as far as they were kept.
    pub values: Vec<f64>,
    /// How many there were in this interval, by their sample rates.
    pub weight: f64,
    /// Their sum, likewise.
    pub sum: f64,
    /// How many there were since the start.
    pub weight_total: f64,
    /// Their sum since the start.
    pub sum_total: f64,
    /// What the last flush said.
    pub last: Summary,
}

/// The members a set saw.
#[derive(Debug, Clone, Default)]
pub struct Members {
    pub(crate) seen: BTreeSet<String>,
    /// How many different ones the last flush saw.
    pub last: usize,
}

/// What a flush says of observations. All are 0 when there were none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Summary {
    pub count: f64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub median: f64,
    pub deviation: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
}

/// What one interval brought.
#[derive(Debug, Clone, Default)]
pub struct Flush {
    /// The interval's length.
    pub interval_s: f64,
    /// Counters that moved: series and sum.
    pub counters: Vec<(String, f64)>,
    /// All gauges.
    pub gauges: Vec<(String, f64)>,
    /// Observations that came.
    pub observations: Vec<(String, ObservationKind, Summary)>,
    /// Sets that saw a member, and how many different ones.
    pub sets: Vec<(String, usize)>,
}

impl Aggregator {
    /// Take one datagram of any number of lines.
    pub fn handle(&mut self, datagram: &[u8]) {
        self.stats.datagrams += 1;
        for line in statsd::lines(datagram) {
            match statsd::parse_line(line) {
                Ok(Parsed::Line(line)) => {
                    self.stats.lines += 1;
                    self.add(&line);
                }
                Ok(Parsed::Other) => self.stats.other += 1,
                Err(error) => {
                    self.stats.malformed += 1;
                    *self.malformed.entry(error).or_default() += 1;
                }
            }
        }
    }

    /// End the interval and begin the next.
    pub fn flush(&mut self, interval_s: f64) -> Flush {
        let mut flush = Flush { interval_s, ..Flush::default() };
        for (series, counter) in &mut self.counters {
            let sum = std::mem::take(&mut counter.interval);
            if sum != 0.0 {
                flush.counters.push((series.clone(), sum));
            }
        }
        flush.gauges = self.gauges.iter().map(|(series, value)| (series.clone(), *value)).collect();
        for (series, seen) in &mut self.observations {
            seen.last = summarize(&mut seen.values, seen.weight, seen.sum);
            if seen.weight > 0.0 {
                flush.observations.push((series.clone(), seen.kind, seen.last));
            }
            seen.values.clear();
            (seen.weight, seen.sum) = (0.0, 0.0);
        }
        for (series, members) in &mut self.sets {
            members.last = members.seen.len();
            if members.last > 0 {
                flush.sets.push((series.clone(), members.last));
            }
            members.seen.clear();
        }
        self.values_held = 0;
        flush
    }

    /// Every counter, by series.
    pub fn counters(&self) -> impl Iterator<Item = (&str, Counter)> {
        self.counters.iter().map(|(series, counter)| (series.as_str(), *counter))
    }

    /// Every gauge, by series.
    pub fn gauges(&self) -> impl Iterator<Item = (&str, f64)> {
        self.gauges.iter().map(|(series, value)| (series.as_str(), *value))
    }

    /// The observations of this interval, by series.
    pub fn observations(&self) -> impl Iterator<Item = (&str, &Observations)> {
        self.observations.iter().map(|(series, seen)| (series.as_str(), seen))
    }

    /// The number of different members of this interval, by series.
    pub fn sets(&self) -> impl Iterator<Item = (&str, usize)> {
        self.sets.iter().map(|(series, members)| (series.as_str(), members.seen.len()))
    }

    /// What happened so far.
    pub fn stats(&self) -> StatsdStats {
        self.stats
    }

    /// Malformed lines by reason.
    pub fn malformed(&self) -> impl Iterator<Item = (StatsdError, u64)> {
        self.malformed.iter().map(|(error, count)| (*error, *count))
    }

    fn add(&mut self, line: &statsd::Line<'_>) {
        if line.tags.is_empty() {
            return line.metrics().for_each(|metric| self.add_metric(line.name, metric));
        }
        let mut series = std::mem::take(&mut self.scratch);
        write_series(&mut series, line.name, line.tags);
        line.metrics().for_each(|metric| self.add_metric(&series, metric));
        self.scratch = series;
    }

    fn add_metric(&mut self, series: &str, metric: Metric<'_>) {
        let kept = match metric {
            Metric::Count(value) => {
                update(&mut self.counters, series, Counter::default, |counter| {
                    counter.total += value;
                    counter.interval += value;
                })
            }
            Metric::Gauge(value) => {
                update(&mut self.gauges, series, || 0.0, |gauge| *gauge = value)
            }
            Metric::GaugeChange(change) => {
                update(&mut self.gauges, series, || 0.0, |gauge| *gauge += change)
            }
            Metric::Observation { value, weight, kind } => {
                self.add_observation(series, value, weight, kind)
            }
            Metric::Member(member) => self.add_member(series, member),
        };
        self.stats.series_refused += u64::from(!kept);
    }

    fn add_observation(
        &mut self,
        series: &str,
        value: f64,
        weight: f64,
        kind: ObservationKind,
    ) -> bool {
        let Self { observations, values_held, stats, .. } = self;
        update(
            observations,
            series,
            || Observations::new(kind),
            |seen| {
                seen.weight += weight;
                seen.sum += value * weight;
                seen.weight_total += weight;
                seen.sum_total += value * weight;
                if *values_held < VALUES_MAX && seen.values.len() < VALUES_PER_SERIES_MAX {
                    seen.values.push(value);
                    *values_held += 1;
                } else {
                    stats.values_refused += 1;
                }
            },
        )
    }

    fn add_member(&mut self, series: &str, member: &str) -> bool {
        let Self { sets, values_held, stats, .. } = self;
        update(sets, series, Members::default, |members| {
            if members.seen.contains(member) {
                return;
            }
            if *values_held < VALUES_MAX && members.seen.len() < VALUES_PER_SERIES_MAX {
                members.seen.insert(member.to_owned());
                *values_held += 1;
            } else {
                stats.values_refused += 1;
            }
        })
    }
}

impl Observations {
    fn new(kind: ObservationKind) -> Self {
        Self {
            kind,
            values: Vec::new(),
            weight: 0.0,
            sum: 0.0,
            weight_total: 0.0,
            sum_total: 0.0,
            last: Summary::default(),
        }
    }
}

/// Changes the value of a series, with one look-up when it is known; false without room.
fn update<V>(
    map: &mut BTreeMap<String, V>,
    series: &str,
    new: impl FnOnce() -> V,
    change: impl FnOnce(&mut V),
) -> bool {
    if let Some(value) = map.get_mut(series) {
        change(value);
        return true;
    }
    if map.len() >= SERIES_MAX {
        return false;
    }
    let mut value = new();
    change(&mut value);
    map.insert(series.to_owned(), value);
    true
}

/// `name`, or `name|#tags` with the tags in order, so that their order makes no difference.
fn write_series(out: &mut String, name: &str, tags: &str) {
    out.clear();
    out.push_str(name);
    if tags.is_empty() {
        return;
    }
    let mut sorted: Vec<&str> = tags.split(',').filter(|tag| !tag.is_empty()).collect();
    sorted.sort_unstable();
    sorted.dedup();
    out.push_str("|#");
    out.push_str(&sorted.join(","));
}

fn summarize(values: &mut [f64], weight: f64, sum: f64) -> Summary {
    values.sort_unstable_by(f64::total_cmp);
    let (Some(min), Some(max)) = (values.first().copied(), values.last().copied()) else {
        return Summary { count: weight, sum, ..Summary::default() };
    };
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance =
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
    // Nearest rank: the smallest value that so many percent do not exceed.
    let rank = |percent: usize| values[(values.len() * percent).div_ceil(100).max(1) - 1];
    Summary {
        count: weight,
        sum,
        min,
        max,
        mean,
        median: rank(50),
        deviation: variance.sqrt(),
        p90: rank(90),
        p95: rank(95),
        p99: rank(99),
    }
}

/// Series of each kind.
pub const SERIES_MAX: usize = 100_000;
/// Values and members of one series in one interval.
pub const VALUES_PER_SERIES_MAX: usize = 100_000;
/// Values and members of all series in one interval.
pub const VALUES_MAX: usize = 4_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(text: &str) -> Aggregator {
        let mut aggregator = Aggregator::default();
        aggregator.handle(text.as_bytes());
        aggregator
    }

    #[test]
    fn counters_add_up_with_their_rate_and_start_anew() {
        let mut aggregator = fed("a:1|c\na:2|c|@0.5\nb:1|c\na:-1|c");
        let flush = aggregator.flush(10.0);
        assert_eq!(flush.counters, [("a".into(), 4.0), ("b".into(), 1.0)]);
        aggregator.handle(b"a:1|c");
        assert_eq!(aggregator.flush(10.0).counters, [("a".into(), 1.0)]);
        assert_eq!(
            aggregator.counters().next(),
            Some(("a", Counter { total: 5.0, interval: 0.0 }))
        );
    }

    #[test]
    fn gauges_stay_and_change() {
        let mut aggregator = fed("g:10|g\ng:+5|g\ng:-2.5|g\nnew:-3|g");
        assert_eq!(aggregator.flush(1.0).gauges, [("g".into(), 12.5), ("new".into(), -3.0)]);
        assert_eq!(aggregator.flush(1.0).gauges.len(), 2);
    }

    #[test]
    fn timers_have_percentiles() {
        let lines: Vec<String> = (1..=100).map(|n| format!("t:{n}|ms|@0.5")).collect();
        let mut aggregator = fed(&lines.join("\n"));
        let (series, kind, summary) = aggregator.flush(10.0).observations[0].clone();
        assert_eq!((series.as_str(), kind), ("t", ObservationKind::Timer));
        assert_eq!((summary.count, summary.sum), (200.0, 10_100.0));
        assert_eq!((summary.min, summary.max, summary.mean), (1.0, 100.0, 50.5));
        assert_eq!((summary.median, summary.p90, summary.p99), (50.0, 90.0, 99.0));
        assert!((summary.deviation - 28.866).abs() < 0.001);
        assert!(aggregator.flush(10.0).observations.is_empty());
    }

    #[test]
    fn sets_count_the_different() {
        let mut aggregator = fed("u:a|s\nu:b|s\nu:a|s");
        assert_eq!(aggregator.flush(1.0).sets, [("u".into(), 2)]);
        assert!(aggregator.flush(1.0).sets.is_empty());
    }

    #[test]
    fn the_order_of_tags_makes_no_difference() {
        let mut aggregator = fed("a:1|c|#x:1,y:2\na:1|c|#y:2,x:1\na:1|c");
        let flush = aggregator.flush(1.0);
        assert_eq!(flush.counters, [("a".into(), 1.0), ("a|#x:1,y:2".into(), 2.0)]);
    }

    #[test]
    fn malformed_lines_are_counted_by_reason() {
        let aggregator = fed("a:1|c\nnonsense\na:x|c\nb:y|g\n_e{1,1}:a|b");
        let stats = aggregator.stats();
        assert_eq!((stats.lines, stats.malformed, stats.other), (1, 3, 1));
        let reasons: Vec<_> = aggregator.malformed().collect();
        assert_eq!(reasons, [(StatsdError::NoName, 1), (StatsdError::Value, 2)]);
    }

    #[test]
    fn series_are_bounded() {
        let mut aggregator = Aggregator::default();
        for n in 0..=SERIES_MAX {
            aggregator.handle(format!("c{n}:1|c").as_bytes());
        }
        assert_eq!(aggregator.counters().count(), SERIES_MAX);
        assert_eq!(aggregator.stats().series_refused, 1);
    }
}
