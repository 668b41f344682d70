//! Several new `bytes` objects, written in place instead of copied.
//!
//! Rule of this file: nobody else sees an object before its writer is done.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Makes `count` objects of `len` bytes each and lets `fill` write them; they are zeros before.
///
/// # Errors
/// `MemoryError`, or what `fill` raises: then there are no objects.
pub(crate) fn new_bytes<'py>(
    py: Python<'py>,
    count: usize,
    len: usize,
    fill: impl FnOnce(&mut [&mut [u8]]) -> PyResult<()>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let made: Vec<_> =
        (0..count).map(|_| PyBytes::new_with(py, len, |_| Ok(()))).collect::<PyResult<_>>()?;
    let mut rooms: Vec<&mut [u8]> = Vec::with_capacity(count);
    for bytes in &made {
        // SAFETY: attached, and a live bytes object.
        let ptr: *mut u8 = unsafe { ffi::PyBytes_AsString(bytes.as_ptr()) }.cast();
        // SAFETY: the object has `len` written bytes, each object its own (only the empty one is
        // shared, and a slice of no bytes aliases nothing); it outlives `rooms` and nobody else
        // has a reference to it yet.
        rooms.push(unsafe { std::slice::from_raw_parts_mut(ptr, len) });
    }
    fill(&mut rooms)?;
    Ok(made)
}
