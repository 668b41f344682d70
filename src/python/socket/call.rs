//! How every call on a socket waits: once with the GIL kept, then without it.
//!
//! Most calls on a socket in use find their data there. Leaving the interpreter for them means
//! queueing for the GIL behind every busy thread afterwards, so the first attempt is made with the
//! GIL held and `MSG_DONTWAIT`; only when the kernel says `EAGAIN` does the call detach and wait.
//! Where another thread has been seen to compute, the wait itself begins with the GIL kept, for a
//! moment (see `patience`). A signal interrupts the wait: Python's handlers run, then the wait
//! goes on with what is left of the timeout (PEP 475).

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use libc::c_int;
use pyo3::prelude::*;

use super::errors::{os_error, timed_out};
use super::patience::ATTACHED_WAIT_MAX;
use super::state::Socket;
use super::timeout::Timeout;
use crate::io::socket::Errno;
use crate::io::socket::fd::Lease;
use crate::io::socket::wait::{Deadline, Interest, Waited, sleep, wait};

/// Whether a call may be tried at once, with the GIL kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Eager {
    /// `MSG_DONTWAIT` keeps the attempt from blocking.
    Yes,
    /// Only when the descriptor itself is non-blocking: the call takes no flags.
    IfNonBlocking,
    /// Too much data to copy with the GIL held, or flags that change what a short attempt means.
    No,
}

/// Largest stream transfer that is tried with the GIL held: a few microseconds of copying.
pub(super) const EAGER_STREAM_MAX: usize = 16 * 1024;

/// How long to pause when the kernel calls a socket ready again and again that is not.
const PAUSE_MIN: Duration = Duration::from_micros(50);
const PAUSE_MAX: Duration = Duration::from_millis(5);

/// Deadline of a call that begins now.
pub(super) fn deadline(timeout: Timeout) -> Deadline {
    Deadline::after(match timeout {
        Timeout::After(duration) => Some(duration),
        Timeout::Blocking | Timeout::NonBlocking => None,
    })
}

/// Runs `operation(fd, extra flags)` as the socket's timeout says.
///
/// # Errors
/// `OSError` from the kernel, `TimeoutError`, or what a signal handler raised.
pub(super) fn call<T: Send>(
    py: Python<'_>,
    socket: &Socket,
    interest: Interest,
    eager: Eager,
    mut operation: impl FnMut(RawFd, c_int) -> Result<T, Errno> + Send,
) -> PyResult<T> {
    let timeout = socket.timeout.get();
    let mut end = None;
    if eager == Eager::Yes || (eager == Eager::IfNonBlocking && timeout != Timeout::Blocking) {
        match operation(socket.fd.get(), libc::MSG_DONTWAIT) {
            Ok(done) => return Ok(done),
            Err(Errno::AGAIN) if timeout != Timeout::NonBlocking => {}
            Err(Errno::INTR) => py.check_signals()?,
            Err(errno) => return Err(os_error(py, errno)),
        }
        let deadline = *end.insert(deadline(timeout));
        if eager == Eager::Yes && socket.patience.take() {
            match wait_attached(socket, deadline, interest, &mut operation) {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(Errno::INTR) => py.check_signals()?,
                Err(errno) => return Err(os_error(py, errno)),
            }
        }
    }
    let end = end.unwrap_or_else(|| deadline(timeout));
    call_waiting(py, socket, timeout, end, interest, operation)
}

/// Waits a moment with the GIL kept; `None` when nothing came of it.
fn wait_attached<T>(
    socket: &Socket,
    deadline: Deadline,
    interest: Interest,
    operation: &mut impl FnMut(RawFd, c_int) -> Result<T, Errno>,
) -> Result<Option<T>, Errno> {
    let fd = socket.fd.get();
    if wait(fd, interest, deadline.at_most(ATTACHED_WAIT_MAX))? == Waited::TimedOut {
        socket.patience.lose();
        return Ok(None);
    }
    match operation(fd, libc::MSG_DONTWAIT) {
        Ok(done) => Ok(Some(done)),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The part of [`call`] that leaves the GIL, with a deadline that may have begun earlier.
pub(super) fn call_waiting<T: Send>(
    py: Python<'_>,
    socket: &Socket,
    timeout: Timeout,
    deadline: Deadline,
    interest: Interest,
    mut operation: impl FnMut(RawFd, c_int) -> Result<T, Errno> + Send,
) -> PyResult<T> {
    loop {
        let lease = socket.fd.lease();
        let (outcome, over) = py.detach(|| {
            let outcome = match timeout {
                Timeout::After(_) => wait_then(&lease, deadline, interest, &mut operation),
                Timeout::Blocking | Timeout::NonBlocking => {
                    operation(lease.fd(), 0).map(Some).map_err(|errno| settle(&lease, errno))
                }
            };
            (outcome, Instant::now())
        });
        socket.patience.returned_after(over.elapsed());
        drop(lease);
        match outcome {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => return Err(timed_out()),
            Err(Errno::INTR) => py.check_signals()?,
            Err(errno) => return Err(os_error(py, errno)),
        }
    }
}

/// Waits and tries until something comes of it; `None` when the deadline is over.
fn wait_then<T>(
    lease: &Lease<'_>,
    deadline: Deadline,
    interest: Interest,
    operation: &mut impl FnMut(RawFd, c_int) -> Result<T, Errno>,
) -> Result<Option<T>, Errno> {
    let mut pause = Duration::ZERO;
    loop {
        if wait(lease.fd(), interest, deadline)? == Waited::TimedOut {
            return Ok(None);
        }
        // The descriptor is non-blocking already. But where another thread detached and closed it
        // during the wait, the number may by now be a blocking socket of somebody else's.
        match operation(lease.fd(), libc::MSG_DONTWAIT) {
            Ok(done) => return Ok(Some(done)),
            // Somebody else took the data, or the checksum was wrong: wait again. A UNIX
            // datagram socket is always "ready" for a peer whose queue is full, hence the pauses.
            Err(Errno::AGAIN) => {
                sleep(pause, deadline)?;
                pause = (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
            }
            Err(errno) => return Err(settle(lease, errno)),
        }
    }
}

/// A call that met the placeholder of a socket closed meanwhile says "bad file descriptor".
fn settle(lease: &Lease<'_>, errno: Errno) -> Errno {
    if errno.0 == libc::ENOTSOCK && lease.is_stale() { Errno::BADF } else { errno }
}
