//! Bytes-like arguments as `bytes`, which nobody can change while Rust reads them.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// `data` itself if it is `bytes`, otherwise a copy.
///
/// # Errors
/// `TypeError` for what is not bytes-like.
pub(crate) fn bytes_of<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    into_bytes(data.clone())
}

/// As [`bytes_of`], for who has no other use for the object.
///
/// # Errors
/// As [`bytes_of`].
pub(crate) fn into_bytes(data: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyBytes>> {
    let data = match data.cast_into::<PyBytes>() {
        Ok(bytes) => return Ok(bytes),
        Err(other) => other.into_inner(),
    };
    let view = data.py().import("builtins")?.call_method1("memoryview", (data,))?;
    Ok(view.call_method0("tobytes")?.cast_into::<PyBytes>()?)
}
