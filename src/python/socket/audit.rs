//! Audit events (PEP 578), the same as the standard library's.
//!
//! `PySys_Audit` joined the stable ABI only with Python 3.13 but is exported by every CPython
//! since 3.8, so it is looked up when the module is first used; without hooks it costs a few
//! nanoseconds, which calling `sys.audit` would not.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

type AuditFn = unsafe extern "C" fn(*const c_char, *const c_char, ...) -> c_int;

fn lookup() -> Option<AuditFn> {
    static AUDIT: OnceLock<Option<AuditFn>> = OnceLock::new();
    *AUDIT.get_or_init(|| {
        // SAFETY: both arguments are what dlsym(3) asks for.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"PySys_Audit".as_ptr()) };
        // SAFETY: the symbol of this name is a function of this type in every CPython.
        (!found.is_null()).then(|| unsafe { std::mem::transmute::<*mut c_void, AuditFn>(found) })
    })
}

fn outcome(py: Python<'_>, returned: c_int) -> PyResult<()> {
    if returned == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
}

/// Raises `event` with two objects.
pub(super) fn audit2(
    event: &CStr,
    first: &Bound<'_, PyAny>,
    second: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let Some(audit) = lookup() else { return Ok(()) };
    let (first_ptr, second_ptr) = (first.as_ptr(), second.as_ptr());
    // SAFETY: attached; the format announces exactly the two live objects that follow.
    let returned = unsafe { audit(event.as_ptr(), c"OO".as_ptr(), first_ptr, second_ptr) };
    outcome(first.py(), returned)
}

/// Raises `socket.__new__` with the object and its family, type and protocol.
pub(super) fn audit_new(socket: &Bound<'_, PyAny>, numbers: [c_int; 3]) -> PyResult<()> {
    let Some(audit) = lookup() else { return Ok(()) };
    let (event, format) = (c"socket.__new__".as_ptr(), c"Oiii".as_ptr());
    let [family, kind, protocol] = numbers;
    // SAFETY: attached; the format announces exactly the live object and the ints that follow.
    let returned = unsafe { audit(event, format, socket.as_ptr(), family, kind, protocol) };
    outcome(socket.py(), returned)
}

/// Raises `event` with any number of objects.
pub(super) fn audit(event: &CStr, arguments: &Bound<'_, PyTuple>) -> PyResult<()> {
    let Some(audit) = lookup() else { return Ok(()) };
    let tuple: *mut ffi::PyObject = arguments.as_ptr();
    // SAFETY: attached; the format announces the one live tuple that follows, which Python takes
    // as the list of arguments.
    let returned = unsafe { audit(event.as_ptr(), c"O".as_ptr(), tuple) };
    outcome(arguments.py(), returned)
}
