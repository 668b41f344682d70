//! `udpcore.apps`: what the metrics server adds up.

use std::collections::BTreeMap;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::apps::statsd::{Aggregator, Flush};
use crate::apps::statsd_text::{fields, graphite, prometheus};
#[cfg(target_os = "linux")]
use crate::io::socket::drain::drain;
use crate::python::apps_net::lock;

#[derive(Default)]
struct State {
    aggregator: Aggregator,
    last: Flush,
    room: Vec<u8>,
}

/// The largest UDP datagram.
#[cfg(target_os = "linux")]
const DATAGRAM_BYTES_MAX: usize = 65_535;

#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct AppMetrics(Mutex<State>);

#[pymethods]
impl AppMetrics {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(State::default()))
    }

    fn handle(&self, datagram: &[u8]) {
        lock(&self.0).aggregator.handle(datagram);
    }

    /// Take the datagrams that wait on a socket, at most `count_max`; returns how many.
    #[cfg(target_os = "linux")]
    fn drain(&self, py: Python<'_>, fd: i32, count_max: usize) -> PyResult<usize> {
        let took = py.detach(|| {
            let mut state = lock(&self.0);
            let State { aggregator, room, .. } = &mut *state;
            room.resize(DATAGRAM_BYTES_MAX, 0);
            drain(fd, room, count_max, |datagram| aggregator.handle(datagram))
        });
        took.map_err(|errno| std::io::Error::from(errno).into())
    }

    fn counters(&self) -> BTreeMap<String, f64> {
        let state = lock(&self.0);
        state.aggregator.counters().map(|(s, counter)| (s.to_owned(), counter.total)).collect()
    }

    fn gauges(&self) -> BTreeMap<String, f64> {
        lock(&self.0)
            .aggregator
            .gauges()
            .map(|(series, value)| (series.to_owned(), value))
            .collect()
    }

    fn timers(&self) -> BTreeMap<String, Vec<f64>> {
        let state = lock(&self.0);
        let timers = state.aggregator.observations();
        timers.map(|(series, seen)| (series.to_owned(), seen.values.clone())).collect()
    }

    fn sets(&self) -> BTreeMap<String, usize> {
        lock(&self.0).aggregator.sets().map(|(series, count)| (series.to_owned(), count)).collect()
    }

    /// End the interval: what it brought, by kind and series.
    fn flush<'py>(&self, py: Python<'py>, interval: f64) -> PyResult<Bound<'py, PyDict>> {
        let mut state = lock(&self.0);
        state.last = state.aggregator.flush(interval);
        let flush = &state.last;
        let out = PyDict::new(py);
        out.set_item("counters", flush.counters.iter().cloned().collect::<BTreeMap<_, _>>())?;
        out.set_item("gauges", flush.gauges.iter().cloned().collect::<BTreeMap<_, _>>())?;
        out.set_item("sets", flush.sets.iter().cloned().collect::<BTreeMap<_, _>>())?;
        let timers = flush.observations.iter().map(|(series, _, summary)| {
            (series.clone(), fields(summary).into_iter().collect::<BTreeMap<_, _>>())
        });
        out.set_item("timers", timers.collect::<BTreeMap<_, _>>())?;
        Ok(out)
    }

    fn prometheus(&self) -> String {
        prometheus(&lock(&self.0).aggregator)
    }

    /// The last flush as Graphite's lines.
    fn graphite(&self, prefix: &str, unix_s: u64) -> String {
        graphite(&lock(&self.0).last, prefix, unix_s)
    }

    fn stats(&self) -> BTreeMap<&'static str, u64> {
        let stats = lock(&self.0).aggregator.stats();
        BTreeMap::from([
            ("datagrams", stats.datagrams),
            ("lines", stats.lines),
            ("other", stats.other),
            ("malformed", stats.malformed),
            ("series_refused", stats.series_refused),
            ("values_refused", stats.values_refused),
        ])
    }

    fn malformed(&self) -> BTreeMap<String, u64> {
        let state = lock(&self.0);
        state.aggregator.malformed().map(|(error, count)| (error.to_string(), count)).collect()
    }
}
