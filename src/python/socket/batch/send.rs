//! `sendmmsg`: an iterable of datagrams, out in as few calls as possible.

use std::net::IpAddr;

use libc::c_int;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

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
use crate::io::socket::wait::Interest;

/// Calls that are made with the GIL kept, each of up to 64 messages: about half a millisecond.
const EAGER_STEPS_MAX: usize = 4;

/// Datagrams and what keeps their bytes in place.
struct Letters<'a, 'py> {
    handle: &'a Handle<'py>,
    outbox: Outbox,
    inputs: Vec<Input<'py>>,
    family: Option<c_int>,
    last_address: Option<Bound<'py, PyAny>>,
}

impl<'a, 'py> Letters<'a, 'py> {
    fn new(handle: &'a Handle<'py>, control: Vec<u8>, len: usize) -> Self {
        let outbox = Outbox::new(control, len);
        let inputs = Vec::with_capacity(len);
        Self { handle, outbox, inputs, family: None, last_address: None }
    }

    fn add_all(&mut self, messages: &Bound<'py, PyAny>) -> PyResult<()> {
        if let Ok(list) = messages.cast_exact::<PyList>() {
            // A buffer's export may run Python code that changes the list: look anew each time.
            let mut index = 0;
            while index < list.len() {
                self.add(list.get_item(index)?)?;
                index += 1;
            }
            return Ok(());
        }
        messages.try_iter()?.try_for_each(|message| self.add(message?))
    }

    /// `(data, address)`, or `data` for the connected peer.
    fn add(&mut self, message: Bound<'py, PyAny>) -> PyResult<()> {
        let Ok(pair) = message.cast_exact::<PyTuple>() else {
            return self.push(message, None);
        };
        if pair.len() != 2 {
            let text = format!("a message must be (data, address) or data, not {pair}");
            return Err(PyValueError::new_err(text));
        }
        let address = pair.get_borrowed_item(1)?;
        let address = (!address.is_none()).then(|| address.to_owned());
        self.push(pair.get_item(0)?, address)
    }

    fn push(&mut self, data: Bound<'py, PyAny>, to: Option<Bound<'py, PyAny>>) -> PyResult<()> {
        let input = Input::of(data)?;
        let source = input.source();
        self.inputs.push(input);
        let Some(address) = to else {
            self.outbox.push_connected(source);
            return Ok(());
        };
        // Many datagrams to one peer usually share the very object.
        if !self.last_address.as_ref().is_some_and(|last| last.is(&address)) {
            self.address(&address)?;
            self.last_address = Some(address);
        }
        self.outbox.push(source);
        Ok(())
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

/// Sends datagrams; how many the kernel has taken.
#[pyfunction]
pub(crate) fn mmsg_send(
    sock: &Bound<'_, PyAny>,
    messages: &Bound<'_, PyAny>,
    flags: c_int,
    tos: Option<u8>,
    source: Option<&str>,
    interface: u32,
) -> PyResult<usize> {
    let handle = Handle::of(sock)?;
    let control = control_of(&handle, tos, source, interface)?;
    let mut outbox = match messages.cast::<DatagramBatch>() {
        Ok(batch) => return send_batch(&handle, batch, control, flags),
        Err(_) => {
            let mut letters =
                Letters::new(&handle, control, messages.len().unwrap_or(16).min(4096));
            letters.add_all(messages)?;
            letters
        }
    };
    // `outbox.inputs` keeps the bytes until the calls are over.
    send_all(&handle, &mut outbox.outbox, flags)
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
