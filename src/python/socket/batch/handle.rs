//! The socket of a call: ours, the standard library's, or a bare descriptor.

use std::os::fd::RawFd;

use libc::c_int;
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyInt;

use crate::io::batch::family_of;
use crate::io::socket::sys::{is_nonblocking, socket_option};
use crate::io::socket::wait::{Deadline, Interest, Waited, wait};
use crate::io::socket::{Errno, fd::Lease};

use super::super::args::plain_int_of;
use super::super::buffer::type_name_of;
use super::super::call::deadline;
use super::super::errors::{os_error, timed_out};
use super::super::state::Socket;
use super::super::timeout::Timeout;

/// Whatever has a descriptor, and how long its calls may wait.
pub(super) struct Handle<'py> {
    object: Bound<'py, PyAny>,
    fd: RawFd,
    pub(super) timeout: Timeout,
}

/// Why a call came to nothing.
pub(super) enum Failure {
    /// What the kernel said.
    System(Errno),
    /// The deadline is over.
    TimedOut,
    /// What a signal handler raised.
    Python(PyErr),
}

impl Failure {
    pub(super) fn into_py_err(self, py: Python<'_>) -> PyErr {
        match self {
            Self::System(errno) => os_error(py, errno),
            Self::TimedOut => timed_out(),
            Self::Python(error) => error,
        }
    }
}

impl<'py> Handle<'py> {
    /// # Errors
    /// `TypeError` for what has no descriptor.
    pub(super) fn of(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let (fd, timeout) = match object.cast::<Socket>() {
            Ok(socket) => (socket.get().fd.get(), socket.get().timeout.get()),
            Err(_) => {
                let fd = descriptor_of(object)?;
                (fd, timeout_of(object, fd)?)
            }
        };
        Ok(Self { object: object.clone(), fd, timeout })
    }

    pub(super) fn object(&self) -> &Bound<'py, PyAny> {
        &self.object
    }

    /// The number. Safe to use in a call only while the GIL is kept.
    pub(super) fn fd(&self) -> RawFd {
        self.fd
    }

    pub(super) fn family(&self) -> PyResult<c_int> {
        match self.object.cast::<Socket>() {
            Ok(socket) => Ok(socket.get().family()),
            Err(_) => family_of(self.fd).map_err(|errno| os_error(self.object.py(), errno)),
        }
    }

    /// Whether it is a stream, in which messages have no borders. One the kernel does not know is
    /// none; the next call says what it is.
    pub(super) fn is_stream(&self) -> bool {
        match self.object.cast::<Socket>() {
            Ok(socket) => socket.get().is_stream(),
            Err(_) => {
                let kind = socket_option(self.fd, libc::SOL_SOCKET, libc::SO_TYPE);
                kind == Ok(libc::SOCK_STREAM)
            }
        }
    }

    /// Whether the kernel tells facts about datagrams here, and nothing else.
    pub(super) fn is_internet(&self) -> PyResult<bool> {
        Ok(matches!(self.family()?, libc::AF_INET | libc::AF_INET6))
    }

    /// Runs `operation(fd, flags)`: at once with the GIL kept, then waiting without it, as the
    /// socket's timeout says.
    pub(super) fn call<T: Send>(
        &self,
        interest: Interest,
        mut operation: impl FnMut(RawFd, c_int) -> Result<T, Errno> + Send,
    ) -> Result<T, Failure> {
        match operation(self.fd, libc::MSG_DONTWAIT) {
            Ok(done) => return Ok(done),
            Err(Errno::AGAIN) if self.timeout != Timeout::NonBlocking => {}
            Err(Errno::INTR) => self.check_signals()?,
            Err(errno) => return Err(Failure::System(errno)),
        }
        self.call_waiting(interest, operation)
    }

    /// The part of [`Handle::call`] that leaves the GIL.
    pub(super) fn call_waiting<T: Send>(
        &self,
        interest: Interest,
        mut operation: impl FnMut(RawFd, c_int) -> Result<T, Errno> + Send,
    ) -> Result<T, Failure> {
        let py = self.object.py();
        let end = deadline(self.timeout);
        loop {
            let lease = self.object.cast::<Socket>().ok().map(|socket| socket.get().fd.lease());
            let fd = lease.as_ref().map_or(self.fd, Lease::fd);
            let waits = matches!(self.timeout, Timeout::After(_));
            let outcome = py.detach(|| attempt(fd, waits.then_some(end), interest, &mut operation));
            let stale = lease.is_some_and(|lease| lease.is_stale());
            match outcome {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => return Err(Failure::TimedOut),
                Err(Errno::INTR) => self.check_signals()?,
                // Closed meanwhile: what is there now is no socket any more.
                Err(Errno(libc::ENOTSOCK)) if stale => return Err(Failure::System(Errno::BADF)),
                Err(errno) => return Err(Failure::System(errno)),
            }
        }
    }

    pub(super) fn check_signals(&self) -> Result<(), Failure> {
        self.object.py().check_signals().map_err(Failure::Python)
    }
}

/// One try, after a wait if there is a deadline; `None` when that is over.
fn attempt<T>(
    fd: RawFd,
    end: Option<Deadline>,
    interest: Interest,
    operation: &mut impl FnMut(RawFd, c_int) -> Result<T, Errno>,
) -> Result<Option<T>, Errno> {
    let Some(end) = end else { return operation(fd, 0).map(Some) };
    loop {
        if wait(fd, interest, end)? == Waited::TimedOut {
            return Ok(None);
        }
        match operation(fd, libc::MSG_DONTWAIT) {
            Ok(done) => return Ok(Some(done)),
            // Somebody else took the data or the room.
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn descriptor_of(object: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    if object.is_instance_of::<PyInt>() {
        return plain_int_of(object);
    }
    match object.call_method0("fileno") {
        Ok(number) => plain_int_of(&number),
        Err(error) if error.is_instance_of::<PyAttributeError>(object.py()) => {
            let given = type_name_of(object);
            let text = format!(
                "a socket, a descriptor or an object with fileno() is required, not {given}"
            );
            Err(PyTypeError::new_err(text))
        }
        Err(error) => Err(error),
    }
}

/// The timeout an object tells; otherwise whether its descriptor blocks.
fn timeout_of(object: &Bound<'_, PyAny>, fd: RawFd) -> PyResult<Timeout> {
    match object.call_method0("gettimeout") {
        Ok(seconds) => Timeout::parse(&seconds),
        Err(error) if error.is_instance_of::<PyAttributeError>(object.py()) => {
            let nonblocking = is_nonblocking(fd).map_err(|errno| os_error(object.py(), errno))?;
            Ok(if nonblocking { Timeout::NonBlocking } else { Timeout::Blocking })
        }
        Err(error) => Err(error),
    }
}
