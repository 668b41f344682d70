//! The functions of the module that are about sockets, not about names.

use libc::c_int;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::args::{Arg, Args, c_int_of, size_of};
use super::errors::os_error;
use super::state::Socket;
use super::timeout::{DEFAULT, Timeout};
use crate::io::socket::{cmsg, sys};

/// Closes a socket's descriptor by number.
#[pyfunction]
pub(crate) fn close(py: Python<'_>, fd: &Bound<'_, PyAny>) -> PyResult<()> {
    let fd = c_int_of(fd)?;
    match py.detach(|| sys::close(fd)) {
        Err(errno) if errno.0 != libc::ECONNRESET => Err(os_error(py, errno)),
        _ => Ok(()),
    }
}

/// A second descriptor for the same socket, not inherited by programs started later.
#[pyfunction]
pub(crate) fn dup(py: Python<'_>, fd: &Bound<'_, PyAny>) -> PyResult<c_int> {
    sys::duplicate(c_int_of(fd)?).map_err(|errno| os_error(py, errno))
}

/// Two sockets connected to each other.
#[pyfunction]
#[pyo3(
    signature = (family=Arg::MISSING, r#type=Arg::MISSING, proto=Arg::MISSING, /, *rest),
    text_signature = "(family=..., type=..., proto=0, /)"
)]
pub(crate) fn socketpair<'py>(
    py: Python<'py>,
    family: Arg<'_, 'py>,
    r#type: Arg<'_, 'py>,
    proto: Arg<'_, 'py>,
    rest: &Bound<'py, PyTuple>,
) -> PyResult<(Socket, Socket)> {
    let args = Args::new("socketpair", [family, r#type, proto], rest, 0)?;
    let family = args.int_or(0, libc::AF_UNIX)?;
    let kind = args.int_or(1, libc::SOCK_STREAM)?;
    let protocol = args.int_or(2, 0)?;
    let [a, b] = py
        .detach(|| sys::socketpair(family, kind, protocol))
        .map_err(|errno| os_error(py, errno))?;
    let first = Socket::around(a, family, kind, protocol);
    let second = Socket::around(b, family, kind, protocol);
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(errno), _) | (_, Err(errno)) => Err(os_error(py, errno)),
    }
}

/// Seconds that new sockets wait, or None.
#[pyfunction]
pub(crate) fn getdefaulttimeout() -> Option<f64> {
    DEFAULT.get().seconds()
}

/// Sets how many seconds new sockets wait; None means for ever.
#[pyfunction]
pub(crate) fn setdefaulttimeout(timeout: &Bound<'_, PyAny>) -> PyResult<()> {
    DEFAULT.set(Timeout::parse(timeout)?);
    Ok(())
}

/// The length of a control message with that much data, without trailing padding.
#[pyfunction(name = "CMSG_LEN")]
pub(crate) fn cmsg_len(length: &Bound<'_, PyAny>) -> PyResult<usize> {
    let len = usize::try_from(size_of(length)?).ok().and_then(cmsg::len_with);
    len.ok_or_else(|| PyOverflowError::new_err("CMSG_LEN() argument out of range"))
}

/// The room a control message with that much data takes.
#[pyfunction(name = "CMSG_SPACE")]
pub(crate) fn cmsg_space(length: &Bound<'_, PyAny>) -> PyResult<usize> {
    let len = usize::try_from(size_of(length)?).ok().and_then(cmsg::space_for);
    len.ok_or_else(|| PyOverflowError::new_err("CMSG_SPACE() argument out of range"))
}
