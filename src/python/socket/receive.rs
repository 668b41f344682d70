//! recv, recvfrom and their `_into` forms.

use libc::c_int;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::args::{Arg, Args, size_of};
use super::buffer::{BytesRoom, SCRATCH_LEN, ViewSlot, scratch};
use super::call::{EAGER_STREAM_MAX, Eager, call};
use super::state::Socket;
use crate::io::socket::sys::{self, Target};
use crate::io::socket::wait::Interest;
use crate::io::socket::{Address, Errno};

/// Whether a receive into `len` bytes may be tried with the GIL held.
pub(super) fn eagerness(socket: &Socket, len: usize, flags: c_int) -> Eager {
    // A short attempt would end a call that asked for everything.
    let waits_for_all = flags & libc::MSG_WAITALL != 0;
    let large = socket.is_stream() && len > EAGER_STREAM_MAX;
    if waits_for_all || large { Eager::No } else { Eager::Yes }
}

/// Receives up to `len` bytes as a new bytes object.
fn receive_bytes<'py>(
    py: Python<'py>,
    socket: &Socket,
    len: usize,
    flags: c_int,
    mut operation: impl FnMut(c_int, Target, c_int) -> Result<usize, Errno> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let eager = eagerness(socket, len, flags);
    let direct = len > SCRATCH_LEN || eager == Eager::No;
    if direct {
        let room = BytesRoom::new(py, len)?;
        let target = room.target();
        let received = call(py, socket, Interest::Read, eager, |fd, extra| {
            operation(fd, target, flags | extra)
        })?;
        return room.finish(received);
    }
    let ptr = scratch();
    // SAFETY: the room has SCRATCH_LEN bytes, lives as long as the thread, and nothing else on
    // this thread runs between the system call and the copy below.
    let target = unsafe { Target::new(ptr, len) };
    let received =
        call(py, socket, Interest::Read, eager, |fd, extra| operation(fd, target, flags | extra))?;
    // SAFETY: the kernel wrote that many bytes, at most `len` of them unless MSG_TRUNC asked for
    // the real length.
    let bytes = unsafe { std::slice::from_raw_parts(ptr, received.min(len)) };
    Ok(PyBytes::new(py, bytes).into_any())
}

/// `recv(bufsize[, flags])`.
pub(super) fn recv<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Args<'_, 'py, 2>,
) -> PyResult<Bound<'py, PyAny>> {
    let (len, flags) = (args.size(0)?, args.int_or(1, 0)?);
    let len =
        usize::try_from(len).map_err(|_| PyValueError::new_err("negative buffersize in recv"))?;
    if len == 0 {
        // As CPython: nothing asked for is nothing done, even on a datagram or a closed socket.
        return Ok(PyBytes::new(py, b"").into_any());
    }
    receive_bytes(py, socket, len, flags, sys::recv)
}

/// `recvfrom(bufsize[, flags])`.
pub(super) fn recvfrom<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Args<'_, 'py, 2>,
) -> PyResult<Bound<'py, PyTuple>> {
    let (len, flags) = (args.size(0)?, args.int_or(1, 0)?);
    let len = usize::try_from(len)
        .map_err(|_| PyValueError::new_err("negative buffersize in recvfrom"))?;
    let mut peer = Address::room();
    let data = receive_bytes(py, socket, len, flags, |fd, target, flags| {
        sys::recv_from(fd, target, flags, &mut peer)
    })?;
    PyTuple::new(py, [data, socket.peer.to_python(py, &peer)?])
}

/// Checks the arguments of the `_into` methods, which may come by keyword in any order.
pub(super) fn into_args<'a, 'py>(
    name: &str,
    items: [Arg<'a, 'py>; 3],
    rest: &Bound<'py, PyTuple>,
) -> PyResult<Args<'a, 'py, 3>> {
    if !rest.is_empty() {
        let given = 3 + rest.len();
        let text = format!("{name}() takes at most 3 arguments ({given} given)");
        return Err(PyTypeError::new_err(text));
    }
    let args = Args::unchecked(items);
    if args.optional(0).is_none() {
        let text = format!("{name}() missing required argument 'buffer' (pos 1)");
        return Err(PyTypeError::new_err(text));
    }
    Ok(args)
}

/// How much of the buffer to fill, and the flags.
fn into_numbers(args: &Args<'_, '_, 3>, name: &str) -> PyResult<(usize, c_int)> {
    let len = args.optional(1).map_or(Ok(0), size_of)?;
    let flags = args.int_or(2, 0)?;
    match usize::try_from(len) {
        Ok(len) => Ok((len, flags)),
        Err(_) => Err(PyValueError::new_err(format!("negative buffersize in {name}"))),
    }
}

/// `recv_into(buffer[, nbytes[, flags]])`.
pub(super) fn recv_into<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Args<'_, 'py, 3>,
) -> PyResult<usize> {
    let mut slot = std::pin::pin!(ViewSlot::empty());
    let buffer = slot.as_mut().writable(args.get(0)?, "recv_into", 1)?;
    let (len, flags) = into_numbers(args, "recv_into")?;
    let len = if len == 0 { buffer.len() } else { len };
    if len > buffer.len() {
        return Err(PyValueError::new_err("buffer too small for requested bytes"));
    }
    if len == 0 {
        // As `recv`.
        return Ok(0);
    }
    let target = buffer.target(len);
    let eager = eagerness(socket, len, flags);
    call(py, socket, Interest::Read, eager, |fd, extra| sys::recv(fd, target, flags | extra))
}

/// `recvfrom_into(buffer[, nbytes[, flags]])`.
pub(super) fn recvfrom_into<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Args<'_, 'py, 3>,
) -> PyResult<(usize, Bound<'py, PyAny>)> {
    let mut slot = std::pin::pin!(ViewSlot::empty());
    let buffer = slot.as_mut().writable(args.get(0)?, "recvfrom_into", 1)?;
    let (len, flags) = into_numbers(args, "recvfrom_into")?;
    let len = if len == 0 { buffer.len() } else { len };
    if len > buffer.len() {
        return Err(PyValueError::new_err("nbytes is greater than the length of the buffer"));
    }
    let target = buffer.target(len);
    let eager = eagerness(socket, len, flags);
    let mut peer = Address::room();
    let received = call(py, socket, Interest::Read, eager, |fd, extra| {
        sys::recv_from(fd, target, flags | extra, &mut peer)
    })?;
    Ok((received, socket.peer.to_python(py, &peer)?))
}
