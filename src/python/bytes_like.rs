//! Bytes-like arguments as `bytes`, which nobody can change while Rust reads them.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// `data` itself if it is `bytes`, otherwise a copy.
///
/// # Errors
/// `TypeError` for what is not bytes-like.
pub(crate) fn bytes_of<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    let view = data.py().import("builtins")?.call_method1("memoryview", (data,))?;
    Ok(view.call_method0("tobytes")?.cast_into::<PyBytes>()?)
}
