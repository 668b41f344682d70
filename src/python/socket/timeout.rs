//! Timeouts: Python's numbers of seconds as nanoseconds, with the standard library's errors.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyFloat;

/// How long a call may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Timeout {
    /// For ever: the descriptor is in blocking mode.
    Blocking,
    /// Not at all.
    NonBlocking,
    /// That long; the descriptor is in non-blocking mode.
    After(Duration),
}

const NANOS: i64 = 1_000_000_000;

impl Timeout {
    /// Reads `None` or a number of seconds; fractions of a nanosecond are rounded up.
    ///
    /// # Errors
    /// `ValueError` for a negative number or NaN, `OverflowError` for one out of range,
    /// `TypeError` for what is no number.
    pub(super) fn parse(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        if value.is_none() {
            return Ok(Self::Blocking);
        }
        let nanos = if value.is_instance_of::<PyFloat>() {
            nanos_of_float(value.extract()?)?
        } else {
            nanos_of_int(value)?
        };
        let nanos = u64::try_from(nanos)
            .map_err(|_| PyValueError::new_err("Timeout value out of range"))?;
        Ok(Self::from_nanos(nanos as i64))
    }

    fn from_nanos(nanos: i64) -> Self {
        match nanos {
            0 => Self::NonBlocking,
            1.. => Self::After(Duration::from_nanos(nanos as u64)),
            _ => Self::Blocking,
        }
    }

    fn to_nanos(self) -> i64 {
        match self {
            Self::Blocking => -1,
            Self::NonBlocking => 0,
            Self::After(duration) => i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX),
        }
    }

    /// `None` or seconds, as `gettimeout` says it.
    pub(super) fn seconds(self) -> Option<f64> {
        match self {
            Self::Blocking => None,
            Self::NonBlocking => Some(0.0),
            // As CPython's conversion: one rounding, so that 0.1 comes back as 0.1, and none for
            // whole seconds.
            Self::After(duration) if duration.subsec_nanos() == 0 => {
                Some(duration.as_secs() as f64)
            }
            Self::After(duration) => Some(duration.as_nanos() as f64 / NANOS as f64),
        }
    }
}

fn out_of_range(py: Python<'_>) -> PyErr {
    // Python 3.13 made the type public.
    let name = if py.version_info() < (3, 13) { "_PyTime_t" } else { "PyTime_t" };
    PyOverflowError::new_err(format!("timestamp too large to convert to C {name}"))
}

fn nanos_of_float(seconds: f64) -> PyResult<i64> {
    if seconds.is_nan() {
        return Err(PyValueError::new_err("Invalid value NaN (not a number)"));
    }
    let scaled = seconds * NANOS as f64;
    let nanos = if scaled >= 0.0 { scaled.ceil() } else { scaled.floor() };
    // -2^63 and 2^63 are exact as f64.
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&nanos) {
        let text = "timestamp out of range for platform time_t";
        return Err(PyOverflowError::new_err(text));
    }
    Ok(nanos as i64)
}

fn nanos_of_int(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    // SAFETY: attached, and `value` is a live object.
    let seconds = unsafe { ffi::PyLong_AsLongLong(value.as_ptr()) };
    if seconds == -1
        && let Some(error) = PyErr::take(value.py())
    {
        let overflow = error.is_instance_of::<PyOverflowError>(value.py());
        return Err(if overflow { out_of_range(value.py()) } else { error });
    }
    seconds.checked_mul(NANOS).ok_or_else(|| out_of_range(value.py()))
}

/// A timeout that threads may read and set at any time.
pub(super) struct AtomicTimeout(AtomicI64);

impl AtomicTimeout {
    pub(super) const fn blocking() -> Self {
        Self(AtomicI64::new(-1))
    }

    pub(super) fn get(&self) -> Timeout {
        Timeout::from_nanos(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, timeout: Timeout) {
        self.0.store(timeout.to_nanos(), Ordering::Relaxed);
    }
}

/// What new sockets begin with.
pub(super) static DEFAULT: AtomicTimeout = AtomicTimeout::blocking();
