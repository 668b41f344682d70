//! Options of anything with a descriptor.

use libc::c_int;
use pyo3::prelude::*;

use super::super::errors::os_error;
use super::handle::Handle;
use crate::io::batch::{coalesces, set_coalescing};
use crate::io::socket::sys::{set_socket_option, socket_option};

/// An option that is an int.
#[pyfunction]
pub(crate) fn mmsg_getsockopt(
    sock: &Bound<'_, PyAny>,
    level: c_int,
    option: c_int,
) -> PyResult<c_int> {
    let fd = Handle::of(sock)?.fd();
    socket_option(fd, level, option).map_err(|errno| os_error(sock.py(), errno))
}

/// Sets an option that is an int.
#[pyfunction]
pub(crate) fn mmsg_setsockopt(
    sock: &Bound<'_, PyAny>,
    level: c_int,
    option: c_int,
    value: c_int,
) -> PyResult<()> {
    let fd = Handle::of(sock)?.fd();
    set_socket_option(fd, level, option, &value).map_err(|errno| os_error(sock.py(), errno))
}

/// Whether the kernel coalesces datagrams for this socket.
#[pyfunction]
pub(crate) fn mmsg_coalesces(sock: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(coalesces(Handle::of(sock)?.fd()))
}

/// Asks the kernel to coalesce; whether it can.
#[pyfunction]
pub(crate) fn mmsg_set_coalescing(sock: &Bound<'_, PyAny>, on: bool) -> PyResult<bool> {
    let fd = Handle::of(sock)?.fd();
    set_coalescing(fd, on).map_err(|errno| os_error(sock.py(), errno))
}
