//! send, sendall and sendto.

use libc::c_int;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::args::{Arg, Args};
use super::audit::audit2;
use super::buffer::Input;
use super::call::{EAGER_STREAM_MAX, Eager, call, call_waiting, deadline};
use super::errors::{os_error, timed_out};
use super::state::Socket;
use super::timeout::Timeout;
use crate::io::socket::Errno;
use crate::io::socket::sys::{self, Source};
use crate::io::socket::wait::Interest;

pub(super) fn eagerness(socket: &Socket, len: usize) -> Eager {
    if socket.is_stream() && len > EAGER_STREAM_MAX { Eager::No } else { Eager::Yes }
}

/// Sends once, as the socket's timeout says.
///
/// A blocking stream takes everything before it returns, so what an eager attempt left over
/// follows in a second call. As in the kernel, an error after the first bytes is kept for the
/// next call.
fn send_once(
    py: Python<'_>,
    socket: &Socket,
    source: Source,
    operation: impl Fn(c_int, Source, c_int) -> Result<usize, Errno> + Send + Sync,
) -> PyResult<usize> {
    let eager = eagerness(socket, source.len());
    let sent = call(py, socket, Interest::Write, eager, |fd, extra| operation(fd, source, extra))?;
    let complete = sent >= source.len() || eager == Eager::No || !socket.is_stream();
    if complete || socket.timeout.get() != Timeout::Blocking {
        return Ok(sent);
    }
    let lease = socket.fd.lease();
    let rest = source.skip(sent);
    let more = py.detach(|| operation(lease.fd(), rest, 0));
    Ok(sent + more.unwrap_or(0))
}

/// `send(data[, flags])`.
pub(super) fn send(py: Python<'_>, socket: &Socket, args: &Args<'_, '_, 2>) -> PyResult<usize> {
    let input = Input::of(args.get(0)?.clone())?;
    let flags = args.int_or(1, 0)?;
    send_once(py, socket, input.source(), |fd, source, extra| sys::send(fd, source, flags | extra))
}

/// `sendall(data[, flags])`: everything, within one timeout.
pub(super) fn sendall(py: Python<'_>, socket: &Socket, args: &Args<'_, '_, 2>) -> PyResult<()> {
    let input = Input::of(args.get(0)?.clone())?;
    let flags = args.int_or(1, 0)?;
    let timeout = socket.timeout.get();
    let end = deadline(timeout);
    let mut rest = input.source();
    if eagerness(socket, rest.len()) == Eager::Yes {
        match sys::send(socket.fd.get(), rest, flags | libc::MSG_DONTWAIT) {
            Ok(sent) => rest = rest.skip(sent),
            Err(Errno::AGAIN) if timeout != Timeout::NonBlocking => {}
            Err(Errno::INTR) => {}
            Err(errno) => return Err(os_error(py, errno)),
        }
        if rest.is_empty() {
            return py.check_signals();
        }
    }
    while !rest.is_empty() {
        if matches!(timeout, Timeout::After(_)) && end.is_over() {
            return Err(timed_out());
        }
        let sent = call_waiting(py, socket, timeout, end, Interest::Write, |fd, extra| {
            sys::send(fd, rest, flags | extra)
        })?;
        rest = rest.skip(sent);
        // A signal may have cut the call short.
        py.check_signals()?;
    }
    Ok(())
}

/// Checks the number of `sendto`'s arguments.
pub(super) fn sendto_args<'a, 'py>(
    items: [Arg<'a, 'py>; 3],
    rest: &Bound<'py, PyTuple>,
) -> PyResult<Args<'a, 'py, 3>> {
    let args = Args::unchecked(items);
    let given = args.len() + rest.len();
    if matches!(given, 2 | 3) {
        return Ok(args);
    }
    let text = format!("sendto() takes 2 or 3 arguments ({given} given)");
    Err(PyTypeError::new_err(text))
}

/// `sendto(data, [flags, ]address)`.
pub(super) fn sendto(slf: &Bound<'_, Socket>, args: &Args<'_, '_, 3>) -> PyResult<usize> {
    let (py, socket) = (slf.py(), slf.get());
    let input = Input::of(args.get(0)?.clone())?;
    let (flags, address) = match args.optional(2) {
        Some(address) => (args.int(1)?, address),
        None => (0, args.get(1)?),
    };
    let target = socket.sent_to.parse(socket, address, "sendto")?;
    audit2(c"socket.sendto", slf.as_any(), address)?;
    send_once(py, socket, input.source(), |fd, source, extra| {
        sys::send_to(fd, source, flags | extra, &target)
    })
}
