//! Whole numbers as arguments: what does not fit the type is a value out of range, with its name.

use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;

/// The number in `value`, which must be as `rule` says.
///
/// # Errors
/// `ValueError` if the type cannot hold it, `TypeError` if it is no number.
pub(crate) fn whole<'py, T>(name: &str, value: &Bound<'py, PyAny>, rule: &str) -> PyResult<T>
where
    T: FromPyObjectOwned<'py>,
{
    value.extract().map_err(|error: T::Error| {
        let error: PyErr = error.into();
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            return PyValueError::new_err(format!("{name} must be {rule}, not {value}"));
        }
        error
    })
}
