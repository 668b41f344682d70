//! Positional arguments with the standard library's words when they do not fit.
//!
//! CPython's socket module parses with `PyArg_ParseTuple`; its messages ("sendto() takes 2 or 3
//! arguments (1 given)", "signed integer is greater than maximum") are part of what programs and
//! CPython's own tests see.

use std::ffi::{c_int, c_long, c_uint};

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The arguments of one call.
pub(super) struct Args<'a, 'py> {
    items: &'a Bound<'py, PyTuple>,
}

impl<'a, 'py> Args<'a, 'py> {
    /// Checks the number of arguments.
    pub(super) fn new(
        name: &str,
        items: &'a Bound<'py, PyTuple>,
        min: usize,
        max: usize,
    ) -> PyResult<Self> {
        let given = items.len();
        if (min..=max).contains(&given) {
            return Ok(Self { items });
        }
        let wanted = if given < min { min } else { max };
        let how = match given < min {
            _ if min == max => "exactly",
            true => "at least",
            false => "at most",
        };
        let s = if wanted == 1 { "" } else { "s" };
        let text = format!("{name}() takes {how} {wanted} argument{s} ({given} given)");
        Err(PyTypeError::new_err(text))
    }

    /// The one argument of a method that takes one.
    pub(super) fn one(name: &str, items: &'a Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        match items.len() {
            1 => items.get_item(0),
            given => Err(PyTypeError::new_err(format!(
                "socket.{name}() takes exactly one argument ({given} given)"
            ))),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// An argument that [`Args::new`] made sure of.
    pub(super) fn get(&self, index: usize) -> PyResult<Bound<'py, PyAny>> {
        self.items.get_item(index)
    }

    /// An argument that may be missing.
    pub(super) fn optional(&self, index: usize) -> Option<Bound<'py, PyAny>> {
        self.items.get_item(index).ok().filter(|_| index < self.items.len())
    }

    /// A C int.
    pub(super) fn int(&self, index: usize) -> PyResult<c_int> {
        c_int_of(&self.get(index)?)
    }

    /// A C int, or `default` if it is missing.
    pub(super) fn int_or(&self, index: usize, default: c_int) -> PyResult<c_int> {
        if index < self.len() { self.int(index) } else { Ok(default) }
    }

    /// A `Py_ssize_t`.
    pub(super) fn size(&self, index: usize) -> PyResult<isize> {
        size_of(&self.get(index)?)
    }
}

/// Gathers positional and keyword arguments in the order of `names`.
pub(super) fn with_keywords<'py>(
    name: &str,
    names: &[&str],
    required: usize,
    items: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
    let mut values: Vec<Option<Bound<'py, PyAny>>> = items.iter().map(Some).collect();
    let given = values.len() + keywords.map_or(0, |keywords| keywords.len());
    if given > names.len() {
        let (most, s) = (names.len(), if names.len() == 1 { "" } else { "s" });
        let how = if required == names.len() { "exactly" } else { "at most" };
        let text = format!("{name}() takes {how} {most} argument{s} ({given} given)");
        return Err(PyTypeError::new_err(text));
    }
    values.resize(names.len(), None);
    for (key, value) in keywords.into_iter().flatten() {
        let key: String = key.extract()?;
        let Some(index) = names.iter().position(|name| *name == key) else {
            let text = format!("'{key}' is an invalid keyword argument for {name}()");
            return Err(PyTypeError::new_err(text));
        };
        if values[index].replace(value).is_some() {
            let at = index + 1;
            let text = format!("argument for {name}() given by name ('{key}') and position ({at})");
            return Err(PyTypeError::new_err(text));
        }
    }
    match values.iter().take(required).position(Option::is_none) {
        Some(missing) => Err(PyTypeError::new_err(format!(
            "{name}() missing required argument '{}' (pos {})",
            names[missing],
            missing + 1
        ))),
        None => Ok(values),
    }
}

/// A C `long`, through `__index__`.
pub(super) fn c_long_of(value: &Bound<'_, PyAny>) -> PyResult<c_long> {
    // SAFETY: attached, and `value` is a live object.
    let number = unsafe { ffi::PyLong_AsLong(value.as_ptr()) };
    match PyErr::take(value.py()) {
        Some(error) if number == -1 => Err(error),
        _ => Ok(number),
    }
}

/// A C `int`, through `__index__`.
pub(super) fn c_int_of(value: &Bound<'_, PyAny>) -> PyResult<c_int> {
    // SAFETY: attached, and `value` is a live object.
    let number = unsafe { ffi::PyLong_AsLong(value.as_ptr()) };
    if number == -1
        && let Some(error) = PyErr::take(value.py())
    {
        return Err(error);
    }
    c_int::try_from(number).map_err(|_| {
        PyOverflowError::new_err(if number > 0 {
            "signed integer is greater than maximum"
        } else {
            "signed integer is less than minimum"
        })
    })
}

/// A C `unsigned int`, cut to its low bits as `PyArg_ParseTuple` does with "I" and "k".
pub(super) fn c_uint_of(value: &Bound<'_, PyAny>) -> PyResult<c_uint> {
    // SAFETY: attached, and `value` is a live object.
    let number = unsafe { ffi::PyLong_AsUnsignedLongMask(value.as_ptr()) };
    match PyErr::take(value.py()) {
        Some(error) if number == std::ffi::c_ulong::MAX => Err(error),
        _ => Ok(number as c_uint),
    }
}

/// A `Py_ssize_t`, through `__index__`.
pub(super) fn size_of(value: &Bound<'_, PyAny>) -> PyResult<isize> {
    // SAFETY: attached, and `value` is a live object.
    let index = unsafe { ffi::PyNumber_Index(value.as_ptr()) };
    // SAFETY: a new reference, or null with an exception set.
    let index = unsafe { Bound::from_owned_ptr_or_err(value.py(), index) }?;
    // SAFETY: attached, and `index` is a live int.
    let number = unsafe { ffi::PyLong_AsSsize_t(index.as_ptr()) };
    if number == -1
        && let Some(error) = PyErr::take(value.py())
    {
        return Err(error);
    }
    Ok(number)
}
