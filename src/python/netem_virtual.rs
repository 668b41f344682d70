//! `netem.Simulator` and `netem.Link` for Python: networks in the caller's time, below the face.
//!
//! Does not know which keywords exist in which version of the face: it takes option dicts that
//! `udpcore.netem` has checked for unknown names.

use std::sync::{Mutex, MutexGuard, PoisonError};

use netem::timeline::{Change, Timeline};
use netem::{Direction, FlowOrdinal, Link, Nanos, Packet, Simulator, Verdict};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict};

use super::netem::link_stats;
use super::netem_config::{self, Network, direction, network, time};
use super::netem_predicate::refuse_within_predicate;

type Payload = Vec<u8>;
/// (ordinal, drop reason or None, effects joined by "+", delay in seconds)
type VerdictTuple = (u64, Option<&'static str>, String, f64);

/// One direction, sans-IO, and what changes it in time.
struct TimedLink {
    link: Link<Payload>,
    timeline: Timeline,
    has_scenario: bool,
}

impl TimedLink {
    /// Does what the timeline says up to `now`.
    fn keep_time(&mut self, now: Nanos) {
        while let Some(change) = self.timeline.poll(now) {
            if let Change::Configure(way, config) = change
                && way == self.link.direction()
            {
                self.link.set_config(*config);
            }
        }
    }
}

/// One direction, sans-IO.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct NetemLink(Mutex<TimedLink>);

#[pymethods]
impl NetemLink {
    #[new]
    #[pyo3(signature = (way, options, log_packets_max, seed=None, scenario=None))]
    fn new(
        way: &str,
        options: &Bound<'_, PyDict>,
        log_packets_max: usize,
        seed: Option<&Bound<'_, PyAny>>,
        scenario: Option<String>,
    ) -> PyResult<Self> {
        let (way, none) = (direction(way)?, PyDict::new(options.py()));
        let [up, down] = if way == Direction::Up { [options, &none] } else { [&none, options] };
        let has_scenario = scenario.is_some();
        let Network { up, down, seed, timeline } = network(up, down, seed, scenario)?;
        let config = if way == Direction::Up { up } else { down };
        let link = Link::new(way, config, seed).with_log(log_packets_max).with_bytes();
        Ok(Self(Mutex::new(TimedLink { link, timeline, has_scenario })))
    }

    #[getter]
    fn seed(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(lock(py, &self.0)?.link.seed().0)
    }

    fn input(&self, py: Python<'_>, now: f64, data: &[u8], flow: u32) -> PyResult<VerdictTuple> {
        let (now, size_bytes) = (time("now", now)?, data.len() as u32);
        let packet = Packet { flow: FlowOrdinal(flow), size_bytes, payload: data.into() };
        let mut timed = lock(py, &self.0)?;
        timed.keep_time(now);
        Ok(verdict(timed.link.input(now, packet)))
    }

    fn poll<'py>(&self, py: Python<'py>, now: f64) -> PyResult<Option<(u32, Bound<'py, PyBytes>)>> {
        let packet = lock(py, &self.0)?.link.poll(time("now", now)?);
        Ok(packet.map(|packet| (packet.flow.0, PyBytes::new(py, &packet.payload))))
    }

    fn next_deadline(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(lock(py, &self.0)?.link.next_deadline().map(Nanos::as_secs_f64))
    }

    fn set_config(&self, py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<()> {
        let mut timed = lock(py, &self.0)?;
        let before = timed.has_scenario.then(|| timed.link.config().clone());
        let config = netem_config::change(timed.link.direction(), before, options)?;
        timed.link.set_config(config);
        Ok(())
    }

    fn divergence(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(lock(py, &self.0)?.link.divergence().map(ToString::to_string))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        link_stats(py, lock(py, &self.0)?.link.stats())
    }

    fn log(&self, py: Python<'_>) -> PyResult<String> {
        let timed = lock(py, &self.0)?;
        let link = &timed.link;
        let (mine, other) = (link.log(), Default::default());
        let (up, down) = match link.direction() {
            Direction::Up => (mine, &other),
            Direction::Down => (&other, mine),
        };
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = netem::log::write_log(&mut text, link.seed(), up, down);
        Ok(text)
    }
}

/// A network in virtual time.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct NetemSimulator {
    simulator: Mutex<Simulator<Payload>>,
    has_scenario: bool,
}

#[pymethods]
impl NetemSimulator {
    #[new]
    #[pyo3(signature = (up, down, seed=None, scenario=None))]
    fn new(
        up: &Bound<'_, PyDict>,
        down: &Bound<'_, PyDict>,
        seed: Option<&Bound<'_, PyAny>>,
        scenario: Option<String>,
    ) -> PyResult<Self> {
        let has_scenario = scenario.is_some();
        let Network { up, down, seed, timeline } = network(up, down, seed, scenario)?;
        let simulator = Simulator::new(seed, up, down).with_timeline(timeline).with_bytes();
        Ok(Self { simulator: Mutex::new(simulator), has_scenario })
    }

    #[getter]
    fn seed(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(lock(py, &self.simulator)?.seed().0)
    }

    #[getter]
    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(lock(py, &self.simulator)?.now().as_secs_f64())
    }

    fn send(&self, py: Python<'_>, way: &str, data: &[u8], flow: u32) -> PyResult<VerdictTuple> {
        let way = direction(way)?;
        Ok(verdict(lock(py, &self.simulator)?.send(way, FlowOrdinal(flow), data.into())))
    }

    #[pyo3(signature = (until=None))]
    #[allow(clippy::type_complexity)]
    fn advance<'py>(
        &self,
        py: Python<'py>,
        until: Option<f64>,
    ) -> PyResult<Option<(f64, String, u32, Bound<'py, PyBytes>)>> {
        let mut simulator = lock(py, &self.simulator)?;
        let until = match until {
            Some(until) => time("until", until)?,
            // Without an end: to the next arrival, or not at all when there is none.
            None => simulator.next_deadline().unwrap_or(simulator.now()),
        };
        let arrival = simulator.advance(until);
        Ok(arrival.map(|arrival| {
            let (time, way) = (arrival.time.as_secs_f64(), arrival.direction.to_string());
            (time, way, arrival.flow.0, PyBytes::new(py, &arrival.payload))
        }))
    }

    fn next_deadline(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(lock(py, &self.simulator)?.next_deadline().map(Nanos::as_secs_f64))
    }

    fn set_config(
        &self,
        py: Python<'_>,
        up: &Bound<'_, PyDict>,
        down: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let mut simulator = lock(py, &self.simulator)?;
        let [up, down] = [(Direction::Up, up), (Direction::Down, down)].map(|(way, options)| {
            let before = self.has_scenario.then(|| simulator.link(way).config().clone());
            netem_config::change(way, before, options)
        });
        let (up, down) = (up?, down?);
        simulator.link_mut(Direction::Up).set_config(up);
        simulator.link_mut(Direction::Down).set_config(down);
        Ok(())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let simulator = lock(py, &self.simulator)?;
        let dict = PyDict::new(py);
        for way in Direction::BOTH {
            dict.set_item(way.to_string(), link_stats(py, simulator.stats(way))?)?;
        }
        Ok(dict)
    }

    fn log(&self, py: Python<'_>) -> PyResult<String> {
        Ok(lock(py, &self.simulator)?.log_text())
    }

    /// The rebindings that the timeline has come to: when, and which flow (None: all).
    fn rebinds(&self, py: Python<'_>) -> PyResult<Vec<(f64, Option<u32>)>> {
        let mut simulator = lock(py, &self.simulator)?;
        let next = || simulator.poll_rebind();
        let rebinds = std::iter::from_fn(next);
        Ok(rebinds.map(|(at, flow)| (at.as_secs_f64(), flow.map(|flow| flow.0))).collect())
    }

    fn divergence(&self, py: Python<'_>) -> PyResult<Option<String>> {
        let simulator = lock(py, &self.simulator)?;
        let of = |way| simulator.link(way).divergence().map(ToString::to_string);
        Ok(Direction::BOTH.into_iter().find_map(of))
    }
}

/// Waits without the GIL: who has the mutex may need it, to ask a predicate.
fn lock<'a, T>(py: Python<'_>, mutex: &'a Mutex<T>) -> PyResult<MutexGuard<'a, T>> {
    refuse_within_predicate()?;
    Ok(mutex.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
}

fn verdict(verdict: Verdict) -> VerdictTuple {
    let reason = verdict.dropped.map(|reason| reason.as_str());
    let effects =
        if verdict.effects.is_empty() { String::new() } else { verdict.effects.to_string() };
    (verdict.ordinal.0, reason, effects, verdict.delay.as_secs_f64())
}
