//! `netem.Proxy` for Python, and the command line: what is under the typed face.
//!
//! Does not know which keywords exist in which version of the face: it takes option dicts that
//! `udpcore.netem` has checked for unknown names. Values are parsed here, and refused by name.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use netem::control::{Control, ControlError};
use netem::live::{Conductor, Network as _};
use netem::relay::{Relay, RelayConfig, RelayError, RelayStats, resolve};
use netem::{Direction, FlowOrdinal, LinkStats};
use pyo3::exceptions::{PyOSError, PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::MutexExt;
use pyo3::types::PyDict;

use super::netem_config::{self, Network, network};
use super::netem_predicate::refuse_within_predicate;

/// A UDP relay with its engine on its own thread.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct NetemRelay {
    relay: Arc<Relay>,
    /// While there is one, the timeline goes on.
    conductor: Mutex<Option<Conductor>>,
    /// While there is one, it answers HTTP.
    control: Mutex<Option<Control>>,
    has_scenario: bool,
}

#[pymethods]
impl NetemRelay {
    #[new]
    #[pyo3(signature = (
        upstream, listen, up, down, seed=None, pcap=None, scenario=None, control=None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        upstream: (String, i64),
        listen: (String, i64),
        up: &Bound<'_, PyDict>,
        down: &Bound<'_, PyDict>,
        seed: Option<&Bound<'_, PyAny>>,
        pcap: Option<PathBuf>,
        scenario: Option<String>,
        control: Option<(String, i64)>,
    ) -> PyResult<Self> {
        let has_scenario = scenario.is_some();
        let Network { up, down, seed, timeline } = network(up, down, seed, scenario)?;
        let (listen, upstream) = (address("listen", &listen)?, address("upstream", &upstream)?);
        if upstream.1 == 0 {
            return Err(PyValueError::new_err("upstream: port 0 is nobody's: give the server's"));
        }
        let start = || {
            let resolve = |(host, port): (&str, u16)| resolve(host, port);
            let base = RelayConfig::new(resolve(listen)?, resolve(upstream)?);
            Relay::start(RelayConfig { up, down, seed: Some(seed), pcap, ..base })
        };
        let relay = py.detach(start).map_err(|error| relay_error(py, &error))?;
        let relay = Arc::new(relay);
        let control = control.map(|at| start_control(py, &relay, &at)).transpose()?;
        let conductor = Conductor::start(Arc::clone(&relay) as _, timeline)?;
        let (conductor, control) = (Mutex::new(Some(conductor)), Mutex::new(control));
        Ok(Self { relay, conductor, control, has_scenario })
    }

    #[getter]
    fn address(&self) -> (String, u16) {
        pair(self.relay.address())
    }

    #[getter]
    fn upstream(&self) -> (String, u16) {
        pair(self.relay.upstream())
    }

    #[getter]
    fn seed(&self) -> u64 {
        self.relay.seed().0
    }

    /// Where the control listens, until the end.
    #[getter]
    fn control(&self, py: Python<'_>) -> Option<(String, u16)> {
        let control = self.control.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        control.as_ref().map(|control| pair(control.address()))
    }

    #[getter]
    fn closed(&self) -> bool {
        self.relay.is_closed()
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        refuse_within_predicate()?;
        let stats = py.detach(|| self.relay.stats());
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
        let [up, down] = [(Direction::Up, up), (Direction::Down, down)].map(|(way, options)| {
            let before = self.has_scenario.then(|| py.detach(|| self.relay.config(way)));
            netem_config::change(way, before, options)
        });
        let (up, down) = (up?, down?);
        py.detach(|| {
            self.relay.set_config(Direction::Up, up);
            self.relay.set_config(Direction::Down, down);
        });
        Ok(())
    }

    #[pyo3(signature = (flow=None))]
    fn rebind(&self, py: Python<'_>, flow: Option<u32>) -> PyResult<usize> {
        refuse_within_predicate()?;
        Ok(py.detach(|| self.relay.rebind(flow.map(FlowOrdinal))))
    }

    fn divergence(&self, py: Python<'_>) -> PyResult<Option<String>> {
        refuse_within_predicate()?;
        Ok(py.detach(|| self.relay.divergence()).map(|divergence| divergence.to_string()))
    }

    fn log(&self, py: Python<'_>) -> PyResult<String> {
        refuse_within_predicate()?;
        Ok(py.detach(|| self.relay.log_text()))
    }

    /// Packets captured and omitted, and what the disk said; None without a capture.
    #[allow(clippy::type_complexity)]
    fn capture(&self, py: Python<'_>) -> PyResult<Option<(u64, u64, Option<String>)>> {
        refuse_within_predicate()?;
        let stats = py.detach(|| self.relay.capture_stats());
        Ok(stats.map(|stats| (stats.captured, stats.omitted, stats.warning())))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        refuse_within_predicate()?;
        py.detach(|| self.end());
        Ok(())
    }
}

impl NetemRelay {
    fn end(&self) {
        drop(self.control.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(self.conductor.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.relay.close();
    }
}

/// The engine may be waiting for the GIL to ask a predicate: let it, or its end never comes.
impl Drop for NetemRelay {
    fn drop(&mut self) {
        if !self.relay.is_closed() {
            Python::attach(|py| py.detach(|| self.end()));
        }
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

fn start_control(py: Python<'_>, relay: &Arc<Relay>, at: &(String, i64)) -> PyResult<Control> {
    let (host, port) = address("control", at)?;
    let address = resolve(host, port).map_err(|error| relay_error(py, &error))?;
    let start = || Control::start(Arc::clone(relay) as _, address, false);
    py.detach(start).map_err(|error| match error {
        ControlError::NotLoopback { .. } => PyValueError::new_err(error.to_string()),
        ControlError::System { ref source, .. } => {
            PyOSError::new_err((source.raw_os_error(), error.to_string()))
        }
    })
}

/// The port as the standard library checks it.
pub(super) fn address<'a>(name: &str, (host, port): &'a (String, i64)) -> PyResult<(&'a str, u16)> {
    let port = u16::try_from(*port).map_err(|_| {
        PyOverflowError::new_err(format!("{name}: port must be 0-65535, not {port}"))
    })?;
    Ok((host, port))
}

pub(super) fn pair(address: SocketAddr) -> (String, u16) {
    (address.ip().to_string(), address.port())
}

pub(super) fn relay_error(py: Python<'_>, error: &RelayError) -> PyErr {
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

pub(super) fn link_stats<'py>(py: Python<'py>, stats: &LinkStats) -> PyResult<Bound<'py, PyDict>> {
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
        ("ahead", stats.ahead),
        ("corrupted", stats.corrupted),
        ("truncated", stats.truncated),
        ("ecn_marked", stats.ecn_marked),
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
