//! `udpcore.fec`'s sliding window: repair across messages.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::fec::sliding::{SlidingEncoder as Encoder, SlidingError};
use crate::fec::sliding_decoder::{Found, SlidingDecoder as Decoder};
use crate::python::argument::parse;
use crate::python::bytes_like::bytes_of;
use crate::wire::serial::Serial;

const WINDOW: &str = "1 to 4095";

type Numbered<'py> = Vec<(u32, Bound<'py, PyBytes>)>;

/// The sender's half.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct FecSlidingEncoder(Mutex<Encoder>);

#[pymethods]
impl FecSlidingEncoder {
    #[new]
    fn new(window: &Bound<'_, PyAny>, density: &Bound<'_, PyAny>) -> PyResult<Self> {
        let window = parse("window", window, WINDOW)?;
        let density = parse("density", density, "0 to 15")?;
        Encoder::new(window, density).map(|machine| Self(Mutex::new(machine))).map_err(error)
    }

    fn push(&self, message: &Bound<'_, PyAny>) -> PyResult<u32> {
        let message = bytes_of(message)?;
        lock(&self.0).push(message.as_bytes()).map(Serial::get).map_err(error)
    }

    fn repair<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        lock(&self.0).repair().map(|repair| PyBytes::new(py, &repair))
    }
}

/// The receiver's half.
#[pyclass(frozen, module = "udpcore._core")]
pub(crate) struct FecSlidingDecoder(Mutex<Decoder>);

#[pymethods]
impl FecSlidingDecoder {
    #[new]
    fn new(window: &Bound<'_, PyAny>) -> PyResult<Self> {
        let window = parse("window", window, WINDOW)?;
        Decoder::new(window).map(|machine| Self(Mutex::new(machine))).map_err(error)
    }

    fn source<'py>(
        &self,
        number: &Bound<'py, PyAny>,
        message: &Bound<'py, PyAny>,
    ) -> PyResult<Numbered<'py>> {
        let number = parse("number", number, "0 to 4294967295")?;
        let message = bytes_of(message)?;
        let found = lock(&self.0).handle_source(Serial::new(number), message.as_bytes());
        found.map(|found| to_list(message.py(), found)).map_err(error)
    }

    fn repair<'py>(&self, datagram: &Bound<'py, PyAny>) -> PyResult<Numbered<'py>> {
        let datagram = bytes_of(datagram)?;
        let found = lock(&self.0).handle_repair(datagram.as_bytes());
        let found = found.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(to_list(datagram.py(), found))
    }
}

fn to_list(py: Python<'_>, found: Found) -> Numbered<'_> {
    found.into_iter().map(|(seq, message)| (seq.get(), PyBytes::new(py, &message))).collect()
}

fn lock<T>(machine: &Mutex<T>) -> MutexGuard<'_, T> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(error: SlidingError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
