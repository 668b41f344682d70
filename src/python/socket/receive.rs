//! recv, recvfrom and their `_into` forms.

use libc::c_int;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::args::{Args, c_int_of, size_of, with_keywords};
use super::buffer::{BytesRoom, SCRATCH_LEN, View, scratch};
use super::call::{EAGER_STREAM_MAX, Eager, call};
use super::class::Socket;
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

fn buffer_size(args: &Args<'_, '_>, name: &str) -> PyResult<usize> {
    usize::try_from(args.size(0)?)
        .map_err(|_| PyValueError::new_err(format!("negative buffersize in {name}")))
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
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let args = Args::new("recv", args, 1, 2)?;
    let (len, flags) = (args.size(0)?, args.int_or(1, 0)?);
    let len =
        usize::try_from(len).map_err(|_| PyValueError::new_err("negative buffersize in recv"))?;
    receive_bytes(py, socket, len, flags, sys::recv)
}

/// `recvfrom(bufsize[, flags])`.
pub(super) fn recvfrom<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyTuple>> {
    let args = Args::new("recvfrom", args, 1, 2)?;
    let flags = args.int_or(1, 0)?;
    let len = buffer_size(&args, "recvfrom")?;
    let mut peer = Address::room();
    let data = receive_bytes(py, socket, len, flags, |fd, target, flags| {
        sys::recv_from(fd, target, flags, &mut peer)
    })?;
    PyTuple::new(py, [data, socket.peer.to_python(py, &peer)?])
}

/// The buffer, how much of it to fill, and the flags.
fn into_arguments<'py>(
    name: &str,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<(View<'py>, isize, c_int)> {
    let names = ["buffer", "nbytes", "flags"];
    let mut values = with_keywords(name, &names, 1, args, kwargs)?.into_iter();
    let mut next = || values.next().flatten();
    let buffer = next().map(|buffer| View::writable(buffer, name, 1)).transpose()?;
    let len = next().map_or(Ok(0), |len| size_of(&len))?;
    let flags = next().map_or(Ok(0), |flags| c_int_of(&flags))?;
    match buffer {
        Some(buffer) => Ok((buffer, len, flags)),
        None => Err(PyValueError::new_err("no buffer")),
    }
}

/// `recv_into(buffer[, nbytes[, flags]])`.
pub(super) fn recv_into<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<usize> {
    let (buffer, len, flags) = into_arguments("recv_into", args, kwargs)?;
    let len = usize::try_from(len)
        .map_err(|_| PyValueError::new_err("negative buffersize in recv_into"))?;
    let len = if len == 0 { buffer.len() } else { len };
    if len > buffer.len() {
        return Err(PyValueError::new_err("buffer too small for requested bytes"));
    }
    let target = buffer.target(len);
    let eager = eagerness(socket, len, flags);
    call(py, socket, Interest::Read, eager, |fd, extra| sys::recv(fd, target, flags | extra))
}

/// `recvfrom_into(buffer[, nbytes[, flags]])`.
pub(super) fn recvfrom_into<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<(usize, Bound<'py, PyAny>)> {
    let (buffer, len, flags) = into_arguments("recvfrom_into", args, kwargs)?;
    let len = usize::try_from(len)
        .map_err(|_| PyValueError::new_err("negative buffersize in recvfrom_into"))?;
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
