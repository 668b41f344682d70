//! `netem.Proxy`, `netem.Simulator`, `netem.Link` for Python: the classes under the typed face.
//!
//! Does not know which keywords exist in which version of the face: it takes option dicts that
//! `udpcore.netem` has checked for unknown names. Values are parsed here, and refused by name.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use netem::impair::{Delay, Duplicate, Loss, Reorder};
use netem::relay::{Relay, RelayConfig, RelayError, RelayStats, resolve};
use netem::{
    Direction, FlowOrdinal, Link, LinkConfig, LinkStats, Nanos, Packet, Probability, Seed,
    Simulator, UnitError, Verdict,
};
use pyo3::exceptions::{PyOSError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::netem_predicate::{drop_rules, refuse_within_predicate};

type Payload = Vec<u8>;
/// (ordinal, drop reason or None, effects joined by "+", delay in seconds)
type VerdictTuple = (u64, Option<&'static str>, String, f64);

/// A UDP relay with its engine on its own thread.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct NetemRelay(Relay);

#[pymethods]
impl NetemRelay {
    #[new]
    #[pyo3(signature = (upstream, listen, up, down, seed=None, pcap=None))]
    fn new(
        py: Python<'_>,
        upstream: (String, i64),
        listen: (String, i64),
        up: &Bound<'_, PyDict>,
        down: &Bound<'_, PyDict>,
        seed: Option<&Bound<'_, PyAny>>,
        pcap: Option<PathBuf>,
    ) -> PyResult<Self> {
        let (up, down) = (link_config(up)?, link_config(down)?);
        let seed = Some(seed_or_fresh(seed)?);
        let (listen, upstream) = (address("listen", &listen)?, address("upstream", &upstream)?);
        if upstream.1 == 0 {
            return Err(PyValueError::new_err("upstream: port 0 is nobody's: give the server's"));
        }
        let start = || {
            let resolve = |(host, port): (&str, u16)| resolve(host, port);
            let base = RelayConfig::new(resolve(listen)?, resolve(upstream)?);
            Relay::start(RelayConfig { up, down, seed, pcap, ..base })
        };
        py.detach(start).map(Self).map_err(|error| relay_error(py, &error))
    }

    #[getter]
    fn address(&self) -> (String, u16) {
        pair(self.0.address())
    }

    #[getter]
    fn upstream(&self) -> (String, u16) {
        pair(self.0.upstream())
    }

    #[getter]
    fn seed(&self) -> u64 {
        self.0.seed().0
    }

    #[getter]
    fn closed(&self) -> bool {
        self.0.is_closed()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        refuse_within_predicate()?;
        let stats = py.detach(|| self.0.stats());
        relay_stats(py, &stats)
    }

    fn set_config(
        &self,
        py: Python<'_>,
        up: &Bound<'_, PyDict>,
        down: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        refuse_within_predicate()?;
        // Both are parsed before either is set: a refused value changes nothing.
        let (up, down) = (link_config(up)?, link_config(down)?);
        py.detach(|| {
            self.0.set_config(Direction::Up, up);
            self.0.set_config(Direction::Down, down);
        });
        Ok(())
    }

    fn log(&self, py: Python<'_>) -> PyResult<String> {
        refuse_within_predicate()?;
        Ok(py.detach(|| self.0.log_text()))
    }

    /// Packets captured and omitted, and what the disk said; None without a capture.
    #[allow(clippy::type_complexity)]
    fn capture(&self, py: Python<'_>) -> PyResult<Option<(u64, u64, Option<String>)>> {
        refuse_within_predicate()?;
        let stats = py.detach(|| self.0.capture_stats());
        Ok(stats.map(|stats| (stats.captured, stats.omitted, stats.warning())))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        refuse_within_predicate()?;
        py.detach(|| self.0.close());
        Ok(())
    }
}

/// The engine may be waiting for the GIL to ask a predicate: let it, or its end never comes.
impl Drop for NetemRelay {
    fn drop(&mut self) {
        if !self.0.is_closed() {
            Python::attach(|py| py.detach(|| self.0.close()));
        }
    }
}

/// One direction, sans-IO.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct NetemLink(Mutex<Link<Payload>>);

#[pymethods]
impl NetemLink {
    #[new]
    #[pyo3(signature = (way, options, log_packets_max, seed=None))]
    fn new(
        way: &str,
        options: &Bound<'_, PyDict>,
        log_packets_max: usize,
        seed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let link = Link::new(direction(way)?, link_config(options)?, seed_or_fresh(seed)?);
        Ok(Self(Mutex::new(link.with_log(log_packets_max).with_bytes())))
    }

    #[getter]
    fn seed(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(lock(py, &self.0)?.seed().0)
    }

    fn input(&self, py: Python<'_>, now: f64, data: &[u8], flow: u32) -> PyResult<VerdictTuple> {
        let size_bytes = data.len() as u32;
        let packet = Packet { flow: FlowOrdinal(flow), size_bytes, payload: data.into() };
        Ok(verdict(lock(py, &self.0)?.input(time("now", now)?, packet)))
    }

    fn poll<'py>(&self, py: Python<'py>, now: f64) -> PyResult<Option<(u32, Bound<'py, PyBytes>)>> {
        let packet = lock(py, &self.0)?.poll(time("now", now)?);
        Ok(packet.map(|packet| (packet.flow.0, PyBytes::new(py, &packet.payload))))
    }

    fn next_deadline(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(lock(py, &self.0)?.next_deadline().map(Nanos::as_secs_f64))
    }

    fn set_config(&self, py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<()> {
        let config = link_config(options)?;
        lock(py, &self.0)?.set_config(config);
        Ok(())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        link_stats(py, lock(py, &self.0)?.stats())
    }

    fn log(&self, py: Python<'_>) -> PyResult<String> {
        let link = lock(py, &self.0)?;
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
pub(crate) struct NetemSimulator(Mutex<Simulator<Payload>>);

#[pymethods]
impl NetemSimulator {
    #[new]
    #[pyo3(signature = (up, down, seed=None))]
    fn new(
        up: &Bound<'_, PyDict>,
        down: &Bound<'_, PyDict>,
        seed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let (up, down) = (link_config(up)?, link_config(down)?);
        Ok(Self(Mutex::new(Simulator::new(seed_or_fresh(seed)?, up, down).with_bytes())))
    }

    #[getter]
    fn seed(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(lock(py, &self.0)?.seed().0)
    }

    #[getter]
    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        Ok(lock(py, &self.0)?.now().as_secs_f64())
    }

    fn send(&self, py: Python<'_>, way: &str, data: &[u8], flow: u32) -> PyResult<VerdictTuple> {
        let way = direction(way)?;
        Ok(verdict(lock(py, &self.0)?.send(way, FlowOrdinal(flow), data.into())))
    }

    #[pyo3(signature = (until=None))]
    #[allow(clippy::type_complexity)]
    fn advance<'py>(
        &self,
        py: Python<'py>,
        until: Option<f64>,
    ) -> PyResult<Option<(f64, String, u32, Bound<'py, PyBytes>)>> {
        let mut simulator = lock(py, &self.0)?;
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
        Ok(lock(py, &self.0)?.next_deadline().map(Nanos::as_secs_f64))
    }

    fn set_config(
        &self,
        py: Python<'_>,
        up: &Bound<'_, PyDict>,
        down: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let (up, down) = (link_config(up)?, link_config(down)?);
        let mut simulator = lock(py, &self.0)?;
        simulator.link_mut(Direction::Up).set_config(up);
        simulator.link_mut(Direction::Down).set_config(down);
        Ok(())
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let simulator = lock(py, &self.0)?;
        let dict = PyDict::new(py);
        for way in Direction::BOTH {
            dict.set_item(way.to_string(), link_stats(py, simulator.stats(way))?)?;
        }
        Ok(dict)
    }

    fn log(&self, py: Python<'_>) -> PyResult<String> {
        Ok(lock(py, &self.0)?.log_text())
    }
}

/// Runs the command `netem`, called as `prog`, and returns its exit code.
#[pyfunction]
pub(crate) fn netem_main(py: Python<'_>, prog: &str, argv: Vec<OsString>) -> PyResult<i32> {
    let mut raised = None;
    let code = py.detach(|| {
        let mut interrupted = || {
            raised = raised.take().or_else(|| Python::attach(|py| py.check_signals().err()));
            raised.is_some()
        };
        netem::cli::main(prog, argv, &mut interrupted)
    });
    // The summary has been printed; now the signal's exception goes its way.
    raised.map_or(Ok(code), Err)
}

/// Waits without the GIL: who has the mutex may need it, to ask a predicate.
fn lock<'a, T>(py: Python<'_>, mutex: &'a Mutex<T>) -> PyResult<MutexGuard<'a, T>> {
    refuse_within_predicate()?;
    Ok(mutex.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner))
}

/// Options by name, as `udpcore.netem.LinkOptions` lists them; an absent one has its default.
fn link_config(options: &Bound<'_, PyDict>) -> PyResult<LinkConfig> {
    let mut config = LinkConfig::default();
    if let Some(function) = options.get_item("drop")? {
        config.rules = drop_rules(&function)?;
    }
    if let Some(value) = options.get_item("loss")? {
        config.loss = quantity("loss", &value, Probability::from_fraction, Loss::from)?;
    }
    if let Some(value) = options.get_item("duplicate")? {
        config.duplicate =
            quantity("duplicate", &value, Probability::from_fraction, Duplicate::from)?;
    }
    if let Some(value) = options.get_item("reorder")? {
        config.reorder = quantity("reorder", &value, Probability::from_fraction, Reorder::from)?;
    }
    if let Some(value) = options.get_item("delay")? {
        config.delay = quantity("delay", &value, Nanos::from_secs_f64, Delay::from)?;
    }
    if let Some(value) = options.get_item("jitter")? {
        let jitter = quantity("jitter", &value, Nanos::from_secs_f64, |time| time)?;
        config.delay = Delay::new(config.delay.time(), jitter).map_err(refused("jitter"))?;
    }
    if let Some(value) = options.get_item("limit")? {
        let limit = value.extract::<usize>().ok().filter(|&limit| limit > 0);
        config.limit_packets = limit.ok_or_else(|| {
            PyValueError::new_err(format!("limit: {value} is no number of packets: give 1 or more"))
        })?;
    }
    Ok(config)
}

/// A value that is text with a unit, or a bare number.
fn quantity<N, T: std::str::FromStr<Err = UnitError>>(
    name: &str,
    value: &Bound<'_, PyAny>,
    from_number: impl FnOnce(f64) -> Result<N, UnitError>,
    from: impl FnOnce(N) -> T,
) -> PyResult<T> {
    if let Ok(text) = value.cast::<PyString>() {
        return text.to_str()?.parse().map_err(refused(name));
    }
    match value.extract::<f64>() {
        Ok(number) => from_number(number).map(from).map_err(refused(name)),
        Err(_) => Err(PyTypeError::new_err(format!(
            "{name}: expected a string with a unit or a number, not {}",
            value.get_type().name()?
        ))),
    }
}

fn refused(name: &str) -> impl FnOnce(UnitError) -> PyErr {
    move |error| PyValueError::new_err(format!("{name}: {error}"))
}

fn time(name: &str, secs: f64) -> PyResult<Nanos> {
    Nanos::from_secs_f64(secs).map_err(refused(name))
}

fn direction(word: &str) -> PyResult<Direction> {
    let known = Direction::BOTH.into_iter().find(|way| way.to_string() == word);
    known.ok_or_else(|| {
        PyValueError::new_err(format!("direction: {word:?} is unknown: use 'up' or 'down'"))
    })
}

fn seed_or_fresh(seed: Option<&Bound<'_, PyAny>>) -> PyResult<Seed> {
    let Some(seed) = seed else { return Ok(netem::fresh_seed()) };
    seed.extract().map(Seed).map_err(|_| {
        PyValueError::new_err(format!("seed: {seed} is no seed: give an integer, 0 to 2**64 - 1"))
    })
}

/// The port as the standard library checks it.
fn address<'a>(name: &str, (host, port): &'a (String, i64)) -> PyResult<(&'a str, u16)> {
    let port = u16::try_from(*port).map_err(|_| {
        PyOverflowError::new_err(format!("{name}: port must be 0-65535, not {port}"))
    })?;
    Ok((host, port))
}

fn pair(address: SocketAddr) -> (String, u16) {
    (address.ip().to_string(), address.port())
}

fn relay_error(py: Python<'_>, error: &RelayError) -> PyErr {
    /// The resolver's number for an unknown name; the standard library's class carries it.
    const EAI_NONAME: i32 = -2;
    let text = error.to_string();
    match (error, error.io().and_then(std::io::Error::raw_os_error)) {
        (RelayError::Loop { .. }, _) => PyValueError::new_err(text),
        (_, Some(errno)) => PyOSError::new_err((errno, text)),
        (RelayError::Resolve { .. }, None) => {
            let class = py.import("socket").and_then(|socket| socket.getattr("gaierror"));
            let raised = class.and_then(|class| class.call1((EAI_NONAME, text)));
            raised.map_or_else(|error| error, PyErr::from_value)
        }
        (_, None) => PyOSError::new_err(text),
    }
}

fn verdict(verdict: Verdict) -> VerdictTuple {
    let reason = verdict.dropped.map(|reason| reason.as_str());
    let effects =
        if verdict.effects.is_empty() { String::new() } else { verdict.effects.to_string() };
    (verdict.ordinal.0, reason, effects, verdict.delay.as_secs_f64())
}

fn link_stats<'py>(py: Python<'py>, stats: &LinkStats) -> PyResult<Bound<'py, PyDict>> {
    let dropped = PyDict::new(py);
    for (reason, count) in stats.dropped_by_reason() {
        dropped.set_item(reason.as_str(), count)?;
    }
    let dict = PyDict::new(py);
    for (name, value) in [
        ("received", stats.received),
        ("received_bytes", stats.received_bytes),
        ("duplicated", stats.duplicated),
        ("reordered", stats.reordered),
        ("delivered", stats.delivered),
        ("delivered_bytes", stats.delivered_bytes),
        ("queued", stats.queued),
        ("queued_max", stats.queued_max),
    ] {
        dict.set_item(name, value)?;
    }
    dict.set_item("dropped", dropped)?;
    Ok(dict)
}

fn relay_stats<'py>(py: Python<'py>, stats: &RelayStats) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("up", link_stats(py, &stats.up)?)?;
    dict.set_item("down", link_stats(py, &stats.down)?)?;
    for (name, value) in [
        ("clients", stats.clients),
        ("clients_total", stats.clients_total),
        ("clients_expired", stats.clients_expired),
        ("sockets_refused", stats.sockets_refused),
        ("receive_errors", stats.receive_errors),
    ] {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}
