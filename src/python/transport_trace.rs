//! The hash of a simulated run of the transport, for comparison between builds.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::trace_run::trace_hash;

/// The hash of the run of `seed`: the same twice, in every build and on every machine.
#[pyfunction]
pub(crate) fn transport_trace_hash(py: Python<'_>, seed: u64) -> PyResult<u32> {
    py.detach(|| trace_hash(seed)).map_err(PyRuntimeError::new_err)
}
