//! `drop=lambda packet: ...`: a Python function that chooses packets.
//!
//! Only a network that has one takes the GIL, once a packet. A function that raises chooses
//! nothing, and Python is told (`sys.unraisablehook`): nothing that happens to a packet can end a
//! running network. A function must not use the network that asks it: that is refused, because it
//! would wait for itself.

use std::cell::Cell;

use netem::impair::{Action, Condition, PacketView, Predicate, Rule, Rules};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// What a predicate is asked about.
#[pyclass(frozen, get_all, module = "udpcore._core")]
pub(crate) struct NetemPacket {
    /// `up` or `down`.
    direction: &'static str,
    flow: u32,
    /// Its place in its flow and direction, from 0.
    ordinal: u64,
    /// Its size in bytes.
    size: u32,
    /// When it came in, in seconds since the start.
    time: f64,
    data: Py<PyBytes>,
}

#[pymethods]
impl NetemPacket {
    fn __repr__(&self) -> String {
        let Self { direction, flow, ordinal, size, .. } = self;
        format!("<netem.Packet {direction} flow {flow} packet {ordinal}, {size} bytes>")
    }
}

impl NetemPacket {
    fn new(py: Python<'_>, packet: &PacketView<'_>) -> Self {
        Self {
            direction: packet.direction.as_str(),
            flow: packet.flow.0,
            ordinal: packet.ordinal.0,
            size: packet.size_bytes,
            time: packet.now.as_secs_f64(),
            data: PyBytes::new(py, packet.bytes).unbind(),
        }
    }
}

/// The rules that drop what `function` chooses.
///
/// # Errors
/// TypeError when it is no function.
pub(super) fn drop_rules(function: &Bound<'_, PyAny>) -> PyResult<Rules> {
    if !function.is_callable() {
        let kind = function.get_type().name()?;
        let text = format!("drop: expected a function that takes a packet, not {kind}");
        return Err(PyTypeError::new_err(text));
    }
    let function = function.clone().unbind();
    let predicate = Predicate::new(move |packet| {
        // None: the interpreter is ending, and chooses nothing any more.
        Python::try_attach(|py| ask(py, &function, packet)).unwrap_or(false)
    });
    let conditions = vec![Condition::Predicate(predicate)];
    Ok(Rules::from(vec![Rule { conditions, action: Action::Drop }]))
}

fn ask(py: Python<'_>, function: &Py<PyAny>, packet: &PacketView<'_>) -> bool {
    let _asked = Asked::begin();
    let function = function.bind(py);
    let answer = function.call1((NetemPacket::new(py, packet),)).and_then(|it| it.is_truthy());
    answer.unwrap_or_else(|error| {
        error.write_unraisable(py, Some(function));
        false
    })
}

thread_local! {
    static IS_ASKED: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, a predicate runs on this thread.
struct Asked {
    before: bool,
}

impl Asked {
    fn begin() -> Self {
        Self { before: IS_ASKED.replace(true) }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        IS_ASKED.set(self.before);
    }
}

/// Refuses a call that comes from within a predicate.
///
/// # Errors
/// RuntimeError then.
pub(super) fn refuse_within_predicate() -> PyResult<()> {
    if IS_ASKED.get() {
        return Err(PyRuntimeError::new_err(
            "a drop function must not use a network: it runs while the network waits for it",
        ));
    }
    Ok(())
}
