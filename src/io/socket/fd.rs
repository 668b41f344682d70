//! A descriptor shared by threads: closed once, and never confused with a later one.
//!
//! Linux gives the lowest free number to the next `open`, so a thread that is about to enter
//! `recv(fd)` while another closes `fd` may end up reading somebody else's descriptor. A call
//! that leaves the interpreter's lock therefore holds a [`Lease`]. While leases are out, `close`
//! puts a dead descriptor in the place of the socket (`dup3` does that atomically): the number
//! stays taken, calls already waiting in the kernel keep the old file as they would anyway, calls
//! that come later fail, and the last lease frees the number.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI32, Ordering};

use super::{Errno, sys};

/// No descriptor: closed, detached or never opened.
pub const CLOSED: RawFd = -1;

/// The descriptor of one socket object.
#[derive(Debug)]
pub struct SharedFd {
    fd: AtomicI32,
    leases: Mutex<Leases>,
}

#[derive(Debug, Default)]
struct Leases {
    out: u32,
    /// The number to free when the last lease is back.
    doomed: Option<RawFd>,
}

/// Proof that the descriptor's number will not be given to anybody else for now.
#[derive(Debug)]
pub struct Lease<'a> {
    owner: &'a SharedFd,
    fd: RawFd,
}

impl Default for SharedFd {
    fn default() -> Self {
        Self { fd: AtomicI32::new(CLOSED), leases: Mutex::default() }
    }
}

impl SharedFd {
    /// The number, or [`CLOSED`]. Safe to use in a call only while no other thread can close it.
    #[must_use]
    pub fn get(&self) -> RawFd {
        self.fd.load(Ordering::Acquire)
    }

    /// Takes over `fd`; what was there before is closed.
    pub fn set(&self, fd: RawFd) {
        let old = self.fd.swap(fd, Ordering::AcqRel);
        if old != CLOSED {
            let _ = self.retire(old);
        }
    }

    /// Borrows the descriptor for a call that may wait.
    pub fn lease(&self) -> Lease<'_> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.out += 1;
        Lease { owner: self, fd: self.get() }
    }

    /// Gives the descriptor away without closing it.
    pub fn detach(&self) -> RawFd {
        self.fd.swap(CLOSED, Ordering::AcqRel)
    }

    /// Closes the descriptor; a second call does nothing.
    ///
    /// # Errors
    /// What `close(2)` says; the descriptor is gone in any case.
    pub fn close(&self) -> Result<(), Errno> {
        match self.detach() {
            CLOSED => Ok(()),
            fd => self.retire(fd),
        }
    }

    fn retire(&self, fd: RawFd) -> Result<(), Errno> {
        {
            let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            if leases.out > 0 && leases.doomed.is_none() && bury(fd) {
                leases.doomed = Some(fd);
                return Ok(());
            }
        }
        sys::close(fd)
    }
}

/// Replaces the open file behind `fd` by one on which every socket call fails.
fn bury(fd: RawFd) -> bool {
    let dead: Result<OwnedFd, Errno> = sys::dead_end();
    dead.is_ok_and(|dead| sys::replace(dead.as_raw_fd(), fd).is_ok())
}

impl Lease<'_> {
    /// The number; [`CLOSED`] if the socket was closed before the lease was taken.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// Whether the socket was closed or detached since the lease was taken.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.owner.get() != self.fd
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut leases = self.owner.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.out -= 1;
        if leases.out == 0
            && let Some(fd) = leases.doomed.take()
        {
            let _ = sys::close(fd);
        }
    }
}

impl Drop for SharedFd {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> SharedFd {
        let shared = SharedFd::default();
        shared.set(sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).unwrap());
        shared
    }

    #[test]
    fn the_number_stays_taken_while_a_call_is_under_way() {
        let shared = open();
        let lease = shared.lease();
        shared.close().unwrap();
        assert!(lease.is_stale());
        assert_eq!(shared.get(), CLOSED);
        // The number is still ours, but no longer a socket.
        let said = sys::socket_option(lease.fd(), libc::SOL_SOCKET, libc::SO_TYPE);
        assert_eq!(said, Err(Errno(libc::ENOTSOCK)));
        let number = lease.fd();
        drop(lease);
        let said = sys::socket_option(number, libc::SOL_SOCKET, libc::SO_TYPE);
        assert_ne!(said, Err(Errno(libc::ENOTSOCK)));
    }

    #[test]
    fn closing_twice_and_detaching_are_quiet() {
        let shared = open();
        let fd = shared.detach();
        assert!(fd >= 0);
        assert_eq!(shared.close(), Ok(()));
        assert_eq!(shared.detach(), CLOSED);
        shared.set(fd);
        assert_eq!(shared.close(), Ok(()));
        assert_eq!(shared.close(), Ok(()));
    }
}
