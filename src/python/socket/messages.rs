//! sendmsg, recvmsg and recvmsg_into: scattered data and control messages.

use libc::c_int;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyRuntimeWarning, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::address::to_python;
use super::args::{Args, c_int_of, size_of};
use super::audit::audit2;
use super::buffer::{BytesRoom, Input, View, type_name};
use super::call::{EAGER_STREAM_MAX, Eager, call};
use super::errors::os_error_text;
use super::receive;
use super::state::Socket;
use crate::io::socket::message::{Incoming, Outgoing};
use crate::io::socket::wait::Interest;
use crate::io::socket::{Address, cmsg};

/// Calls `each` with the items of any iterable; `complaint` is for what is none.
fn for_each<'py>(
    value: &Bound<'py, PyAny>,
    complaint: &str,
    mut each: impl FnMut(Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    if let Ok(list) = value.cast_exact::<PyList>() {
        // An item's buffer may run Python code that changes the list: look at it anew each time.
        let mut index = 0;
        while index < list.len() {
            each(list.get_item(index)?)?;
            index += 1;
        }
        return Ok(());
    }
    let iterator = value.try_iter().map_err(|error| {
        if error.is_instance_of::<PyTypeError>(value.py()) {
            PyTypeError::new_err(complaint.to_owned())
        } else {
            error
        }
    })?;
    iterator.into_iter().try_for_each(|item| each(item?))
}

/// `sendmsg(buffers[, ancdata[, flags[, address]]])`.
pub(super) fn sendmsg(slf: &Bound<'_, Socket>, args: &Args<'_, '_, 4>) -> PyResult<usize> {
    let (py, socket) = (slf.py(), slf.get());
    let flags = args.int_or(2, 0)?;
    let address = destination(slf, args)?;
    let mut inputs = Vec::with_capacity(4);
    for_each(args.get(0)?, "sendmsg() argument 1 must be an iterable", |item| {
        inputs.push(Input::of(item)?);
        Ok(())
    })?;
    let control = args.optional(1).map_or(Ok(Vec::new()), control_of)?;
    let pieces = inputs.iter().map(Input::source);
    let len = pieces.clone().fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
    let message = Outgoing::new(pieces, control, address);
    // A blocking stream sends everything; a short attempt could not be continued within control
    // messages, so only datagrams are tried with the GIL held.
    let eager = if socket.is_stream() || len > EAGER_STREAM_MAX {
        Eager::IfNonBlocking
    } else {
        Eager::Yes
    };
    call(py, socket, Interest::Write, eager, |fd, extra| message.send(fd, flags | extra))
}

fn destination(slf: &Bound<'_, Socket>, args: &Args<'_, '_, 4>) -> PyResult<Option<Address>> {
    match args.optional(3).filter(|address| !address.is_none()) {
        Some(address) => {
            let target = slf.get().sent_to.parse(slf.get(), address, "sendmsg")?;
            audit2(c"socket.sendmsg", slf.as_any(), address)?;
            Ok(Some(target))
        }
        None => {
            audit2(c"socket.sendmsg", slf.as_any(), &slf.py().None().into_bound(slf.py()))?;
            Ok(None)
        }
    }
}

/// Composes the control messages of a list of `(level, type, data)`.
fn control_of(ancillary: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut control = Vec::new();
    for_each(ancillary, "sendmsg() argument 2 must be an iterable", |item| {
        let (level, kind, data) = control_item(&item)?;
        if cmsg::space_for(data.len()).is_none() {
            return Err(os_error_text("ancillary data item too large"));
        }
        cmsg::compose(&mut control, level, kind, &data)
            .ok_or_else(|| os_error_text("too much ancillary data"))
    })?;
    Ok(control)
}

fn control_item(item: &Bound<'_, PyAny>) -> PyResult<(c_int, c_int, Vec<u8>)> {
    let wrong = |what: String| {
        let name = "[sendmsg() ancillary data items]()";
        PyTypeError::new_err(format!("{name} argument must be {what}"))
    };
    // SAFETY: attached, and `item` is a live object.
    let is_sequence = unsafe { ffi::PySequence_Check(item.as_ptr()) } != 0;
    if !is_sequence || item.is_instance_of::<PyBytes>() {
        return Err(wrong(format!("3-item sequence, not {}", type_name(item))));
    }
    let len = item.len()?;
    if len != 3 {
        return Err(wrong(format!("sequence of length 3, not {len}")));
    }
    let level = c_int_of(&item.get_item(0)?)?;
    let kind = c_int_of(&item.get_item(1)?)?;
    Ok((level, kind, Input::of(item.get_item(2)?)?.to_vec()))
}

/// The optional `ancbufsize` and `flags`. Numbers are read before any is judged, as in CPython.
fn receive_options(args: &Args<'_, '_, 3>) -> PyResult<(isize, c_int)> {
    Ok((args.optional(1).map_or(Ok(0), size_of)?, args.int_or(2, 0)?))
}

fn control_room(len: isize) -> PyResult<usize> {
    match usize::try_from(len) {
        Ok(len) if len <= c_int::MAX as usize => Ok(len),
        _ => Err(PyValueError::new_err("invalid ancillary data buffer length")),
    }
}

/// `recvmsg(bufsize[, ancbufsize[, flags]])`.
pub(super) fn recvmsg<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Args<'_, 'py, 3>,
) -> PyResult<Bound<'py, PyTuple>> {
    let len = args.size(0)?;
    let (control_len, flags) = receive_options(args)?;
    let len = usize::try_from(len)
        .map_err(|_| PyValueError::new_err("negative buffer size in recvmsg()"))?;
    let room = BytesRoom::new(py, len)?;
    let message = Incoming::new([room.target()].into_iter(), control_room(control_len)?);
    let (received, message) = receive_message(py, socket, message, len, flags)?;
    // Descriptors that came with the message are in `message`; a failure here cannot leak data.
    finish(py, &message, room.finish(received)?)
}

/// `recvmsg_into(buffers[, ancbufsize[, flags]])`.
pub(super) fn recvmsg_into<'py>(
    py: Python<'py>,
    socket: &Socket,
    args: &Args<'_, 'py, 3>,
) -> PyResult<Bound<'py, PyTuple>> {
    let (control_len, flags) = receive_options(args)?;
    let mut buffers = Vec::with_capacity(4);
    for_each(args.get(0)?, "recvmsg_into() argument 1 must be an iterable", |item| {
        let text = "recvmsg_into() argument 1 must be an iterable of single-segment read-write \
                    buffers";
        buffers.push(View::writable(&item).map_err(|_| PyTypeError::new_err(text))?);
        Ok(())
    })?;
    if buffers.len() > c_int::MAX as usize {
        return Err(os_error_text("recvmsg_into() argument 1 is too long"));
    }
    let control_len = control_room(control_len)?;
    let pieces = buffers.iter().map(View::target);
    let len = pieces.clone().fold(0_usize, |sum, piece| sum.saturating_add(piece.len()));
    let message = Incoming::new(pieces, control_len);
    let (received, message) = receive_message(py, socket, message, len, flags)?;
    finish(py, &message, received.into_bound_py_any(py)?)
}

fn receive_message(
    py: Python<'_>,
    socket: &Socket,
    mut message: Incoming,
    len: usize,
    flags: c_int,
) -> PyResult<(usize, Incoming)> {
    let eager = receive::eagerness(socket, len, flags);
    let received =
        call(py, socket, Interest::Read, eager, |fd, extra| message.recv(fd, flags | extra))?;
    Ok((received, message))
}

/// `(data, ancdata, msg_flags, address)`.
fn finish<'py>(
    py: Python<'py>,
    message: &Incoming,
    data: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    let ancillary = PyList::empty(py);
    for item in cmsg::parse(message.control()) {
        if item.malformed {
            let warning = c"received malformed or improperly-truncated ancillary data";
            PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), warning, 1)?;
        }
        ancillary.append((item.level, item.kind, PyBytes::new(py, item.data)))?;
    }
    let address = to_python(py, &message.address)?;
    (data, ancillary, message.flags, address).into_pyobject(py)
}
