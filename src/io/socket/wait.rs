//! Waiting until a descriptor can be read or written, never shorter than asked for.
//!
//! Does not retry after a signal: the caller runs its handlers and comes back with the same
//! deadline, so the total stays what was asked for (PEP 475).

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::Errno;

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// Data, a connection or an error is there.
    Read,
    /// There is room to send, or a connection attempt is over.
    Write,
}

/// How the wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// The call will not block now.
    Ready,
    /// The deadline is over.
    TimedOut,
}

/// When to give up; `None` means never.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// `timeout` from now on.
    #[must_use]
    pub fn after(timeout: Option<Duration>) -> Self {
        Self(timeout.and_then(|timeout| Instant::now().checked_add(timeout)))
    }

    /// The same, but not later than `duration` from now on.
    #[must_use]
    pub fn at_most(self, duration: Duration) -> Self {
        let soon = Instant::now() + duration;
        Self(Some(self.0.map_or(soon, |at| at.min(soon))))
    }

    fn remaining(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether the deadline is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }
}

/// Waits for `interest` on `fd` until `deadline`.
///
/// # Errors
/// [`Errno::INTR`] when a signal arrived, [`Errno::BADF`] when there is no descriptor.
pub fn wait(fd: RawFd, interest: Interest, deadline: Deadline) -> Result<Waited, Errno> {
    if fd < 0 {
        // poll(2) would ignore the entry and wait for nothing.
        return Err(Errno::BADF);
    }
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
    };
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    loop {
        let remaining = deadline.remaining().map(timespec);
        let timeout = remaining.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: `entry` is one valid pollfd; `timeout` is null or points to `remaining`, which
        // outlives the call; a null signal mask leaves the mask alone.
        let ready = Errno::check(unsafe { libc::ppoll(&mut entry, 1, timeout, std::ptr::null()) })?;
        if ready > 0 {
            return Ok(Waited::Ready);
        }
        if deadline.is_over() {
            return Ok(Waited::TimedOut);
        }
    }
}

/// Pauses for `duration`, or less if the deadline is nearer.
///
/// # Errors
/// [`Errno::INTR`] when a signal arrived.
pub fn sleep(duration: Duration, deadline: Deadline) -> Result<(), Errno> {
    let duration = deadline.remaining().map_or(duration, |left| left.min(duration));
    if duration.is_zero() {
        return Ok(());
    }
    let timeout = timespec(duration);
    // SAFETY: no descriptors, so no entries are read; `timeout` outlives the call.
    let done = unsafe { libc::ppoll(std::ptr::null_mut(), 0, &timeout, std::ptr::null()) };
    Errno::check(done).map(drop)
}

fn timespec(duration: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::socket::sys;

    #[test]
    fn a_wait_is_never_shorter_than_asked_for() {
        let fd = sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap();
        for nanos in [1, 999, 1_000_001, 3_456_789] {
            let asked = Duration::from_nanos(nanos);
            let begin = Instant::now();
            let waited = wait(fd, Interest::Read, Deadline::after(Some(asked)));
            assert_eq!(waited, Ok(Waited::TimedOut));
            assert!(begin.elapsed() >= asked);
        }
        let waited = wait(fd, Interest::Write, Deadline::after(None));
        assert_eq!(waited, Ok(Waited::Ready));
        sys::close(fd).unwrap();
    }
}
