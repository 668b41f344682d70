//! Waiting for something in Rust while Python stays alive: the GIL is released, Ctrl-C ends it.
//!
//! Rules: a wait is cut into slices of at most [`SLICE`], and between two of them Python's signal
//! handlers run; what they raise ends the wait. The thing waited for decides what a slice is (a
//! condition variable, a socket), this file only knows about time.

use std::time::{Duration, Instant};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// The longest a signal handler has to wait.
pub(crate) const SLICE: Duration = Duration::from_millis(50);

/// A Python timeout: `None` waits as long as it takes, a number is seconds.
///
/// # Errors
/// `TypeError` for anything but a number, `ValueError` for what is negative or not finite.
pub(crate) fn parse_timeout(value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    if value.is_none() {
        return Ok(None);
    }
    let seconds: f64 = value.extract().map_err(|_| {
        let kind = value.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
        PyTypeError::new_err(format!("timeout must be a number of seconds or None, not {kind}"))
    })?;
    Duration::try_from_secs_f64(seconds).map(Some).map_err(|_| {
        PyValueError::new_err(format!(
            "timeout must be a number of seconds from 0 on, not {seconds}"
        ))
    })
}

/// Calls `step` with the GIL released until it returns something, `timeout` is over (`None`), or
/// a signal handler raises. `step` may wait up to the time it is given; it is called at least
/// once.
pub(crate) fn wait_for<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    mut step: impl FnMut(Duration) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    // A timeout beyond the end of the clock is none.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        py.check_signals()?;
        let left = deadline.map_or(SLICE, |deadline| deadline - Instant::now().min(deadline));
        if let Some(found) = py.detach(|| step(left.min(SLICE))) {
            return Ok(Some(found));
        }
        if left < SLICE && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
    }
}
