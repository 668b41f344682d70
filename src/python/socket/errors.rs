//! System and resolver errors as the exceptions of the standard library.

use pyo3::exceptions::{PyOSError, PyTimeoutError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::io::socket::Errno;
use crate::io::socket::resolve::ResolveError;

/// `OSError(errno, strerror)`, of the subclass that belongs to the number.
pub(crate) fn os_error(py: Python<'_>, errno: Errno) -> PyErr {
    // SAFETY: the location of this thread's errno is always valid.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: as above; written before the call that reads it.
    unsafe { location.write(errno.0) };
    // SAFETY: attached to the interpreter; the exception type is a static of Python.
    unsafe { set_from_errno() };
    PyErr::fetch(py)
}

/// # Safety
/// The calling thread is attached.
unsafe fn set_from_errno() {
    // SAFETY: reads a static pointer Python sets before any module is imported.
    let class = unsafe { ffi::PyExc_OSError };
    // SAFETY: attached, and `class` is an exception class.
    unsafe { ffi::PyErr_SetFromErrno(class) };
}

/// `OSError(message)` without a number.
pub(super) fn os_error_text(message: impl Into<String>) -> PyErr {
    PyOSError::new_err(message.into())
}

/// `TimeoutError("timed out")`.
pub(super) fn timed_out() -> PyErr {
    PyTimeoutError::new_err("timed out")
}

/// `socket.gaierror(code, message)`: the standard library's own class, so that foreign
/// `except socket.gaierror` works.
pub(super) fn resolve_error(py: Python<'_>, error: ResolveError) -> PyErr {
    static GAIERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let code = match error {
        ResolveError::System(errno) => return os_error(py, errno),
        ResolveError::Resolver(code) => code,
    };
    match GAIERROR.import(py, "_socket", "gaierror") {
        Ok(class) => PyErr::from_type(class.clone(), (code, error.message())),
        Err(error) => error,
    }
}
