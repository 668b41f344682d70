//! connect and accept.

use libc::c_int;
use pyo3::prelude::*;

use super::address::{self, to_python};
use super::audit::audit2;
use super::call::{Eager, call, deadline};
use super::errors::{os_error, timed_out};
use super::state::Socket;
use super::timeout::Timeout;
use crate::io::socket::wait::{Interest, Waited, wait};
use crate::io::socket::{Address, Errno, sys};

/// `accept4` on the listening socket; gives the new descriptor and the peer.
pub(super) fn accept<'py>(slf: &Bound<'py, Socket>) -> PyResult<(c_int, Bound<'py, PyAny>)> {
    let (py, socket) = (slf.py(), slf.get());
    let (fd, peer) =
        call(py, socket, Interest::Read, Eager::IfNonBlocking, |fd, _| sys::accept(fd))?;
    match to_python(py, &peer) {
        Ok(peer) => Ok((fd, peer)),
        Err(error) => {
            let _ = sys::close(fd);
            Err(error)
        }
    }
}

/// `bind`.
pub(super) fn bind(slf: &Bound<'_, Socket>, argument: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, socket) = (slf.py(), slf.get());
    let address = address::parse(socket, argument, "bind")?;
    audit2(c"socket.bind", slf.as_any(), argument)?;
    let lease = socket.fd.lease();
    py.detach(|| sys::bind(lease.fd(), &address)).map_err(|errno| os_error(py, errno))
}

/// `connect`: raises what went wrong.
pub(super) fn connect(slf: &Bound<'_, Socket>, argument: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, socket) = (slf.py(), slf.get());
    let address = parse(slf, argument, "connect")?;
    match begin(py, socket, &address)? {
        Progress::Over(Ok(())) => Ok(()),
        Progress::Over(Err(errno)) => Err(os_error(py, errno)),
        Progress::Waiting(timeout) => match await_writable(py, socket, timeout)? {
            Waited::TimedOut => Err(timed_out()),
            Waited::Ready => outcome(socket).map_err(|errno| os_error(py, errno)),
        },
    }
}

/// `connect_ex`: gives the error number back.
pub(super) fn connect_ex(slf: &Bound<'_, Socket>, argument: &Bound<'_, PyAny>) -> PyResult<c_int> {
    let (py, socket) = (slf.py(), slf.get());
    let address = parse(slf, argument, "connect_ex")?;
    let errno = match begin(py, socket, &address)? {
        Progress::Over(Ok(())) => 0,
        Progress::Over(Err(errno)) => errno.0,
        Progress::Waiting(timeout) => match await_writable(py, socket, timeout)? {
            Waited::TimedOut => libc::EWOULDBLOCK,
            Waited::Ready => outcome(socket).map_or_else(|errno| errno.0, |()| 0),
        },
    };
    Ok(errno)
}

fn parse(slf: &Bound<'_, Socket>, argument: &Bound<'_, PyAny>, name: &str) -> PyResult<Address> {
    let address = slf.get().sent_to.parse(slf.get(), argument, name)?;
    audit2(c"socket.connect", slf.as_any(), argument)?;
    Ok(address)
}

/// Where a connection attempt stands after connect(2).
enum Progress {
    Over(Result<(), Errno>),
    Waiting(Timeout),
}

fn begin(py: Python<'_>, socket: &Socket, address: &Address) -> PyResult<Progress> {
    let timeout = socket.timeout.get();
    let outcome = if socket.is_internet_datagram() {
        // Sets the default destination; there is nobody to wait for.
        sys::connect(socket.fd.get(), address)
    } else {
        let lease = socket.fd.lease();
        py.detach(|| sys::connect(lease.fd(), address))
    };
    match outcome {
        // connect(2) goes on in the background after a signal: wait for its end (PEP 475).
        Err(Errno::INTR) => {
            py.check_signals()?;
            match timeout {
                Timeout::NonBlocking => Ok(Progress::Over(outcome)),
                _ => Ok(Progress::Waiting(timeout)),
            }
        }
        Err(Errno::INPROGRESS) if matches!(timeout, Timeout::After(_)) => {
            Ok(Progress::Waiting(timeout))
        }
        outcome => Ok(Progress::Over(outcome)),
    }
}

/// The result of an attempt that ended in the background.
fn outcome(socket: &Socket) -> Result<(), Errno> {
    match sys::pending_error(socket.fd.get()) {
        Ok(()) | Err(Errno::ISCONN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn await_writable(py: Python<'_>, socket: &Socket, timeout: Timeout) -> PyResult<Waited> {
    let end = deadline(timeout);
    let lease = socket.fd.lease();
    loop {
        match py.detach(|| wait(lease.fd(), Interest::Write, end)) {
            Ok(waited) => return Ok(waited),
            Err(Errno::INTR) => py.check_signals()?,
            Err(errno) => return Err(os_error(py, errno)),
        }
    }
}
