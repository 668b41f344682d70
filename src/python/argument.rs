//! Arguments whose error names them, the value and what it must be.

use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

/// The value of the argument `name`, which must be `what`.
///
/// # Errors
/// `ValueError` for a number that does not fit the type, `TypeError` for what is no number.
pub(crate) fn parse<'py, T: FromPyObjectOwned<'py>>(
    name: &str,
    value: &Bound<'py, PyAny>,
    what: &str,
) -> PyResult<T> {
    value.extract().map_err(|_| {
        let given = value.repr().map_or_else(|_| "?".into(), |text| text.to_string());
        let text = format!("{name} must be {what}, not {given}");
        let is_number = value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>();
        if is_number { PyValueError::new_err(text) } else { PyTypeError::new_err(text) }
    })
}
