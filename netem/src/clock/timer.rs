//! Wakes an event loop at a point in time, never before it.
//!
//! Linux: a timerfd, whose high-resolution timer is not subject to the thread's timer slack and
//! not rounded to the milliseconds of `epoll_wait`. Elsewhere: the timeout of the poll itself.

#[cfg(target_os = "linux")]
pub(crate) use linux::Timer;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Timer;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    use std::time::Duration;

    use mio::unix::SourceFd;
    use mio::{Interest, Registry, Token};

    use crate::units::Nanos;

    /// A timerfd registered with an event loop.
    #[derive(Debug)]
    pub(crate) struct Timer {
        fd: OwnedFd,
        armed: Option<Nanos>,
    }

    impl Timer {
        pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
            // SAFETY: no pointers; the result is checked below.
            let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: `fd` was just returned by the kernel and belongs to nobody else.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self { fd, armed: None })
        }

        /// Sets the time of the next wake-up; returns the timeout that the poll needs besides.
        pub(crate) fn arm(
            &mut self,
            now: Nanos,
            deadline: Option<Nanos>,
        ) -> io::Result<Option<Duration>> {
            if deadline == self.armed {
                return Ok(None);
            }
            // All zero disarms, so a deadline that has passed is one nanosecond away.
            let wait = deadline.map_or(0, |deadline| (deadline - now).as_nanos().max(1));
            let value = libc::timespec {
                tv_sec: (wait / 1_000_000_000) as libc::time_t,
                tv_nsec: (wait % 1_000_000_000) as libc::c_long,
            };
            let once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            let spec = libc::itimerspec { it_interval: once, it_value: value };
            // SAFETY: `spec` lives through the call, the old value is not asked for.
            let result = unsafe {
                libc::timerfd_settime(self.fd.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut())
            };
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
            self.armed = deadline;
            Ok(None)
        }

        /// The timer has fired: it must be armed again.
        pub(crate) fn clear(&mut self) {
            self.armed = None;
            let mut expirations = [0u8; 8];
            // SAFETY: the buffer is the eight bytes the kernel writes. The count is of no
            // interest, and an error means that nothing was there to read.
            unsafe { libc::read(self.fd.as_raw_fd(), expirations.as_mut_ptr().cast(), 8) };
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::io;
    use std::time::Duration;

    use mio::{Registry, Token};

    use crate::units::Nanos;

    /// The timeout of the poll, as precise as the platform makes it.
    #[derive(Debug)]
    pub(crate) struct Timer;

    impl Timer {
        pub(crate) fn new(_: &Registry, _: Token) -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn arm(
            &mut self,
            now: Nanos,
            deadline: Option<Nanos>,
        ) -> io::Result<Option<Duration>> {
            Ok(deadline.map(|deadline| (deadline - now).to_duration()))
        }

        pub(crate) fn clear(&mut self) {}
    }
}
