//! `netem.StreamProxy` for Python: the class under the typed face.
//!
//! Values are parsed here, by name, and refused by name; an impairment of packets is refused with
//! the reason.

use netem::stream::{STREAM_ALIASES, Stream, StreamConfig, StreamShape, StreamStats};
use netem::{Direction, Nanos};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::netem::{address, link_stats, pair, relay_error};
use super::netem_config::read_seed;

/// A TCP relay with its engine on its own thread.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct NetemStream(Stream);

#[pymethods]
impl NetemStream {
    #[new]
    #[pyo3(signature = (upstream, listen, up, down, seed=None))]
    fn new(
        py: Python<'_>,
        upstream: (String, i64),
        listen: (String, i64),
        up: &Bound<'_, PyDict>,
        down: &Bound<'_, PyDict>,
        seed: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let (up, down) = (shape(up)?, shape(down)?);
        let seed = seed.map(read_seed).transpose()?;
        let (listen, upstream) = (address("listen", &listen)?, address("upstream", &upstream)?);
        if upstream.1 == 0 {
            return Err(PyValueError::new_err("upstream: port 0 is nobody's: give the server's"));
        }
        let start = || {
            let resolve = |(host, port): (&str, u16)| netem::relay::resolve(host, port);
            let base = StreamConfig::new(resolve(listen)?, resolve(upstream)?);
            Stream::start(StreamConfig { up, down, seed, ..base })
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
        let stats = py.detach(|| self.0.stats());
        stream_stats(py, &stats)
    }

    fn set_config(
        &self,
        py: Python<'_>,
        up: &Bound<'_, PyDict>,
        down: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        // Both are parsed before either is set: a refused value changes nothing.
        let (up, down) = (shape(up)?, shape(down)?);
        py.detach(|| {
            self.0.set_shape(Direction::Up, up);
            self.0.set_shape(Direction::Down, down);
        });
        Ok(())
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

/// What the options say, in the order they were given: a delay comes before its jitter.
fn shape(options: &Bound<'_, PyDict>) -> PyResult<StreamShape> {
    let mut shape = StreamShape::default();
    for (name, value) in options.iter() {
        let name: String = name.extract()?;
        let text = match value.cast::<PyString>() {
            Ok(text) => text.to_str()?.to_owned(),
            Err(_) => number(&name, &value)?,
        };
        shape.set(&name, &text).map_err(|error| PyValueError::new_err(error.to_string()))?;
    }
    Ok(shape)
}

/// A bare number with the unit that it has: seconds, bit/s, bytes.
fn number(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let alias = STREAM_ALIASES.into_iter().find(|(alias, _)| *alias == name.replace('_', "-"));
    let refused = |error: String| PyValueError::new_err(format!("{name}: {error}"));
    let Ok(number) = value.extract::<f64>() else {
        let kind = value.get_type().name()?;
        let message = format!("{name}: expected a string with a unit or a number, not {kind}");
        return Err(PyTypeError::new_err(message));
    };
    match alias.map_or(name, |(_, name)| name) {
        "rate" => Ok(format!("{number}bit")),
        "slice" | "limit" => Ok(format!("{number}B")),
        _ => match Nanos::from_secs_f64(number) {
            Ok(time) => Ok(time.to_string()),
            Err(error) => Err(refused(error.to_string())),
        },
    }
}

fn stream_stats<'py>(py: Python<'py>, stats: &StreamStats) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("up", link_stats(py, &stats.up)?)?;
    dict.set_item("down", link_stats(py, &stats.down)?)?;
    for (name, value) in [
        ("connections", stats.connections),
        ("connections_total", stats.connections_total),
        ("connections_refused", stats.connections_refused),
        ("upstream_failures", stats.upstream_failures),
        ("resets", stats.resets),
        ("ended", stats.ended),
    ] {
        dict.set_item(name, value)?;
    }
    Ok(dict)
}
