//! getsockopt and setsockopt: ints, bytes of any length, or nothing of a stated length.

use libc::c_int;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::args::{Arg, Args, c_int_of, c_uint_of};
use super::buffer::Input;
use super::errors::{os_error, os_error_text};
use super::state::Socket;
use crate::io::socket::sys;

/// The largest value `getsockopt` hands out, as in the standard library.
const VALUE_LEN_MAX: c_int = 1024;

/// `getsockopt(level, option[, buflen])`.
pub(super) fn getsockopt<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Args<'_, 'py, 3>,
) -> PyResult<Bound<'py, PyAny>> {
    let (level, name, len) = (args.int(0)?, args.int(1)?, args.int_or(2, 0)?);
    let fd = socket.fd.get();
    if len == 0 {
        if socket.family() == libc::AF_VSOCK {
            // VSOCK options are 64 bits wide.
            let mut room = [0; 8];
            sys::socket_option_bytes(fd, level, name, &mut room)
                .map_err(|errno| os_error(py, errno))?;
            return u64::from_ne_bytes(room).into_bound_py_any(py);
        }
        return sys::socket_option(fd, level, name)
            .map_err(|errno| os_error(py, errno))?
            .into_bound_py_any(py);
    }
    if !(1..=VALUE_LEN_MAX).contains(&len) {
        return Err(os_error_text("getsockopt buflen out of range"));
    }
    let mut room = vec![0; usize::try_from(len).unwrap_or(0)];
    let len = sys::socket_option_bytes(fd, level, name, &mut room)
        .map_err(|errno| os_error(py, errno))?;
    Ok(PyBytes::new(py, &room[..len.min(room.len())]).into_any())
}

/// Checks the number of `setsockopt`'s arguments: the fourth goes with a third that is None.
pub(super) fn setsockopt_args<'a, 'py>(
    items: [Arg<'a, 'py>; 4],
    rest: &Bound<'py, PyTuple>,
) -> PyResult<Args<'a, 'py, 4>> {
    let args = Args::new("setsockopt", items, rest, 0);
    let given = args.as_ref().map_or(4 + rest.len(), Args::len);
    match args {
        Ok(args) if given == 3 || (given == 4 && args.get(2)?.is_none()) => Ok(args),
        _ => {
            let text = format!("setsockopt() takes exactly 3 arguments ({given} given)");
            Err(PyTypeError::new_err(text))
        }
    }
}

/// `setsockopt(level, option, value)` and `setsockopt(level, option, None, optlen)`.
pub(super) fn setsockopt(py: Python<'_>, socket: &Socket, args: &Args<'_, '_, 4>) -> PyResult<()> {
    let (level, name) = (args.int(0)?, args.int(1)?);
    let (value, fd) = (args.get(2)?, socket.fd.get());
    let done = if let Some(len) = args.optional(3) {
        sys::set_socket_option_none(fd, level, name, c_uint_of(len)?)
    } else if socket.family() == libc::AF_VSOCK && value.extract::<u64>().is_ok() {
        sys::set_socket_option(fd, level, name, &value.extract::<u64>()?)
    } else {
        match c_int_of(value) {
            Ok(number) => sys::set_socket_option(fd, level, name, &number),
            Err(_) => {
                let input = Input::of(value.clone())?;
                sys::set_socket_option_bytes(fd, level, name, input.source())
            }
        }
    };
    done.map_err(|errno| os_error(py, errno))
}
