//! `sendmmsg`: an iterable of datagrams, out in as few calls as possible.

use std::net::IpAddr;

use libc::c_int;
use pyo3::Borrowed;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::super::address::parse_as;
use super::super::audit::audit2;
use super::super::buffer::Input;
use super::super::errors::os_error;
use super::super::timeout::Timeout;
use super::class::DatagramBatch;
use super::handle::{Failure, Handle};
use crate::io::batch::control::Options;
use crate::io::batch::send::Outbox;
use crate::io::socket::Errno;
use crate::io::socket::sys::Source;
use crate::io::socket::wait::Interest;
use crate::python::argument::parse;

/// Calls that are made with the GIL kept, each of up to 64 messages: about half a millisecond.
const EAGER_STEPS_MAX: usize = 4;

/// What becomes of the messages of one call.
struct Letters<'a, 'py> {
    handle: &'a Handle<'py>,
    outbox: Outbox,
    /// Views of the data that is not bytes.
    views: Vec<Input<'py>>,
    family: Option<c_int>,
    /// Which object the last address was; the messages keep it alive.
    last_address: *mut ffi::PyObject,
}

impl<'py> Letters<'_, 'py> {
    /// `(data, address)`, or `data` for the connected peer.
    fn add(&mut self, message: Borrowed<'_, 'py, PyAny>) -> PyResult<()> {
        let Ok(pair) = message.cast::<PyTuple>() else {
            let source = self.source(message)?;
            self.outbox.push_connected(source);
            return Ok(());
        };
        if pair.len() != 2 {
            let text = format!("a message must be (data, address) or data, not {}", &*pair);
            return Err(PyValueError::new_err(text));
        }
        let source = self.source(pair.get_borrowed_item(0)?)?;
        let address = pair.get_borrowed_item(1)?;
        if address.is_none() {
            self.outbox.push_connected(source);
            return Ok(());
        }
        // Many datagrams to one peer usually share the very object.
        if self.last_address != address.as_ptr() {
            self.address(&address)?;
            self.last_address = address.as_ptr();
        }
        self.outbox.push(source);
        Ok(())
    }

    fn source(&mut self, data: Borrowed<'_, 'py, PyAny>) -> PyResult<Source> {
        if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            let bytes = bytes.as_bytes();
            // SAFETY: bytes neither move nor change, and `send_messages` keeps the message that
            // holds them until everything is sent.
            return Ok(unsafe { Source::new(bytes.as_ptr(), bytes.len()) });
        }
        let view = Input::of(data.to_owned())?;
        let source = view.source();
        self.views.push(view);
        Ok(source)
    }

    fn address(&mut self, address: &Bound<'py, PyAny>) -> PyResult<()> {
        let family = match self.family {
            Some(family) => family,
            None => *self.family.insert(self.handle.family()?),
        };
        let target = parse_as(family, self.handle.fd(), address, "sendmmsg")?;
        audit2(c"socket.sendmsg", self.handle.object(), address)?;
        self.outbox.address(target).map_err(|errno| os_error(address.py(), errno))
    }
}

fn send_messages(
    handle: &Handle<'_>,
    messages: &Bound<'_, PyAny>,
    control: Vec<u8>,
    flags: c_int,
) -> PyResult<usize> {
    // A tuple nobody else can change keeps all messages alive, and so all their bytes and
    // addresses: none of them needs to be counted by itself.
    // SAFETY: attached, a live object; gives a new reference or an exception.
    let kept = unsafe { ffi::PySequence_Tuple(messages.as_ptr()) };
    // SAFETY: as above.
    let kept = unsafe { Bound::from_owned_ptr_or_err(messages.py(), kept) }?;
    let kept = kept.cast_into::<PyTuple>()?;
    let mut letters = Letters {
        handle,
        outbox: Outbox::new(control, kept.len()),
        views: Vec::new(),
        family: None,
        last_address: std::ptr::null_mut(),
    };
    for message in kept.iter_borrowed() {
        letters.add(message)?;
    }
    send_all(handle, &mut letters.outbox, flags)
}

/// Sends datagrams; how many the kernel has taken.
#[pyfunction]
pub(crate) fn mmsg_send(
    sock: &Bound<'_, PyAny>,
    messages: &Bound<'_, PyAny>,
    flags: c_int,
    tos: Option<&Bound<'_, PyAny>>,
    source: Option<&str>,
    interface: &Bound<'_, PyAny>,
) -> PyResult<usize> {
    let handle = Handle::of(sock)?;
    if handle.is_stream() {
        // The kernel would take part of a message and call it sent.
        let text = "sendmmsg() sends datagrams; for a stream there is sendall()";
        return Err(PyValueError::new_err(text));
    }
    let tos = tos.map(|tos| parse("tos", tos, "0 to 255")).transpose()?;
    let interface = parse("interface", interface, "0 to 4294967295")?;
    let control = control_of(&handle, tos, source, interface)?;
    match messages.cast::<DatagramBatch>() {
        Ok(batch) => send_batch(&handle, batch, control, flags),
        Err(_) => send_messages(&handle, messages, control, flags),
    }
}

/// Sends what a batch holds, each datagram to the address it came from.
fn send_batch(
    handle: &Handle<'_>,
    batch: &Bound<'_, DatagramBatch>,
    control: Vec<u8>,
    flags: c_int,
) -> PyResult<usize> {
    let batch = batch.get();
    let guard = batch.occupy()?;
    let mut outbox = Outbox::new(control, batch.capacity());
    batch
        .for_each(|source, address| {
            if !address.is_empty() {
                outbox.address(address)?;
                outbox.push(source);
            } else {
                outbox.push_connected(source);
            }
            Ok(())
        })
        .map_err(|errno: Errno| os_error(handle.object().py(), errno))?;
    let sent = send_all(handle, &mut outbox, flags);
    drop(guard);
    sent
}

fn send_all(handle: &Handle<'_>, outbox: &mut Outbox, flags: c_int) -> PyResult<usize> {
    match run(handle, outbox, flags) {
        Ok(()) => Ok(outbox.sent()),
        Err(failure) => finish(handle, outbox, failure),
    }
}

/// An error after the first datagram is left for the next call, which will meet it again.
fn finish(handle: &Handle<'_>, outbox: &Outbox, failure: Failure) -> PyResult<usize> {
    match failure {
        Failure::System(_) | Failure::TimedOut if outbox.sent() > 0 => Ok(outbox.sent()),
        failure => Err(failure.into_py_err(handle.object().py())),
    }
}

fn run(handle: &Handle<'_>, outbox: &mut Outbox, flags: c_int) -> Result<(), Failure> {
    for _ in 0..EAGER_STEPS_MAX {
        if outbox.is_done() {
            return Ok(());
        }
        match outbox.step(handle.fd(), flags | libc::MSG_DONTWAIT) {
            Ok(()) => {}
            Err(Errno::INTR) => handle.check_signals()?,
            Err(Errno::AGAIN) if handle.timeout != Timeout::NonBlocking => break,
            Err(errno) => return Err(Failure::System(errno)),
        }
    }
    if outbox.is_done() {
        return Ok(());
    }
    handle.call_waiting(Interest::Write, |fd, extra| outbox.drain(fd, flags | extra))
}

fn control_of(
    handle: &Handle<'_>,
    tos: Option<u8>,
    source: Option<&str>,
    interface: u32,
) -> PyResult<Vec<u8>> {
    if tos.is_none() && source.is_none() && interface == 0 {
        return Ok(Vec::new());
    }
    let family = handle.family()?;
    let source = source.map(|text| source_address(text, family)).transpose()?;
    Ok(Options { tos, source, interface }.compose(family))
}

fn source_address(text: &str, family: c_int) -> PyResult<IpAddr> {
    let host = text.parse::<IpAddr>().map_err(|_| {
        PyValueError::new_err(format!("source must be an IP address in digits, not {text:?}"))
    })?;
    if host.is_ipv6() && family != libc::AF_INET6 {
        let text = format!("an IPv4 socket cannot send from {host}");
        return Err(PyValueError::new_err(text));
    }
    Ok(host)
}
