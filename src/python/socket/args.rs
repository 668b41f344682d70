//! Positional arguments with the standard library's words when they do not fit.
//!
//! CPython's socket module parses with `PyArg_ParseTuple`; its messages ("sendto() takes 2 or 3
//! arguments (1 given)", "signed integer is greater than maximum") are part of what programs and
//! CPython's own tests see.

use std::convert::Infallible;
use std::ffi::{c_int, c_long, c_uint};

use pyo3::Borrowed;
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyTuple};

/// One argument that may be missing; `None` counts as given. Borrowed from the caller, since
/// counting references costs as much as parsing does.
#[derive(Clone, Copy)]
pub(crate) struct Arg<'a, 'py>(Option<Borrowed<'a, 'py, PyAny>>);

impl Arg<'_, '_> {
    /// The default in method signatures.
    pub(crate) const MISSING: Self = Self(None);
}

impl<'a, 'py> FromPyObject<'a, 'py> for Arg<'a, 'py> {
    type Error = Infallible;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> Result<Self, Infallible> {
        Ok(Self(Some(value)))
    }
}

/// The arguments of one call. Which of them are there has been checked.
pub(super) struct Args<'a, 'py, const N: usize>([Arg<'a, 'py>; N]);

impl<'a, 'py, const N: usize> Args<'a, 'py, N> {
    /// Checks the number of arguments; `rest` are those beyond the `N` that are known.
    pub(super) fn new(
        name: &str,
        items: [Arg<'a, 'py>; N],
        rest: &Bound<'py, PyTuple>,
        min: usize,
    ) -> PyResult<Self> {
        let given = items.iter().take_while(|item| item.0.is_some()).count() + rest.len();
        if (min..=N).contains(&given) {
            return Ok(Self(items));
        }
        let wanted = if given < min { min } else { N };
        let how = match given < min {
            _ if min == N => "exactly",
            true => "at least",
            false => "at most",
        };
        let s = if wanted == 1 { "" } else { "s" };
        let text = format!("{name}() takes {how} {wanted} argument{s} ({given} given)");
        Err(PyTypeError::new_err(text))
    }

    /// For callers that check by themselves.
    pub(super) fn unchecked(items: [Arg<'a, 'py>; N]) -> Self {
        Self(items)
    }

    /// How many arguments are there.
    pub(super) fn len(&self) -> usize {
        self.0.iter().take_while(|item| item.0.is_some()).count()
    }

    /// An argument that [`Args::new`] made sure of.
    pub(super) fn get(&self, index: usize) -> PyResult<&Bound<'py, PyAny>> {
        self.optional(index).ok_or_else(|| PyTypeError::new_err("missing argument"))
    }

    /// An argument that may be missing.
    pub(super) fn optional(&self, index: usize) -> Option<&Bound<'py, PyAny>> {
        self.0.get(index).and_then(|item| item.0.as_deref())
    }

    /// A C int.
    pub(super) fn int(&self, index: usize) -> PyResult<c_int> {
        c_int_of(self.get(index)?)
    }

    /// A C int, or `default` if it is missing.
    pub(super) fn int_or(&self, index: usize, default: c_int) -> PyResult<c_int> {
        self.optional(index).map_or(Ok(default), c_int_of)
    }

    /// A `Py_ssize_t`.
    pub(super) fn size(&self, index: usize) -> PyResult<isize> {
        size_of(self.get(index)?)
    }
}

/// The one argument of a method that takes one.
pub(super) fn one<'a, 'py>(
    name: &str,
    item: Arg<'a, 'py>,
    rest: &Bound<'py, PyTuple>,
) -> PyResult<Borrowed<'a, 'py, PyAny>> {
    match item.0 {
        Some(item) if rest.is_empty() => Ok(item),
        item => {
            let given = usize::from(item.is_some()) + rest.len();
            let text = format!("socket.{name}() takes exactly one argument ({given} given)");
            Err(PyTypeError::new_err(text))
        }
    }
}

/// Refuses keywords that no parameter has taken.
pub(super) fn no_more_keywords(name: &str, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<()> {
    let Some(key) = keywords.and_then(|keywords| keywords.keys().iter().next()) else {
        return Ok(());
    };
    let text = format!("'{key}' is an invalid keyword argument for {name}()");
    Err(PyTypeError::new_err(text))
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
    if number == -1
        && let Some(error) = PyErr::take(value.py())
    {
        return Err(error);
    }
    Ok(number)
}

/// A C `int`, through `__index__`.
pub(super) fn c_int_of(value: &Bound<'_, PyAny>) -> PyResult<c_int> {
    let number = c_long_of(value)?;
    c_int::try_from(number).map_err(|_| {
        PyOverflowError::new_err(if number > 0 {
            "signed integer is greater than maximum"
        } else {
            "signed integer is less than minimum"
        })
    })
}

/// A C `int` where CPython's converter has only one text for "too large".
pub(super) fn plain_int_of(value: &Bound<'_, PyAny>) -> PyResult<c_int> {
    c_int_of(value).map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            PyOverflowError::new_err("Python int too large to convert to C int")
        } else {
            error
        }
    })
}

/// A C `unsigned int`, cut to its low bits as `PyArg_ParseTuple` does with "I" and "k".
pub(super) fn c_uint_of(value: &Bound<'_, PyAny>) -> PyResult<c_uint> {
    // SAFETY: attached, and `value` is a live object.
    let number = unsafe { ffi::PyLong_AsUnsignedLongMask(value.as_ptr()) };
    if number == std::ffi::c_ulong::MAX
        && let Some(error) = PyErr::take(value.py())
    {
        return Err(error);
    }
    Ok(number as c_uint)
}

/// A `Py_ssize_t`, through `__index__`.
pub(super) fn size_of(value: &Bound<'_, PyAny>) -> PyResult<isize> {
    if !value.is_exact_instance_of::<PyInt>() {
        // SAFETY: attached, and `value` is a live object.
        let index = unsafe { ffi::PyNumber_Index(value.as_ptr()) };
        // SAFETY: a new reference, or null with an exception set.
        let index = unsafe { Bound::from_owned_ptr_or_err(value.py(), index) }?;
        return size_of_int(&index);
    }
    size_of_int(value)
}

fn size_of_int(value: &Bound<'_, PyAny>) -> PyResult<isize> {
    // SAFETY: attached, and `value` is a live int.
    let number = unsafe { ffi::PyLong_AsSsize_t(value.as_ptr()) };
    if number == -1
        && let Some(error) = PyErr::take(value.py())
    {
        return Err(error);
    }
    Ok(number)
}
