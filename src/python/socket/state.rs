//! What a socket object is: a descriptor, a timeout and what it was opened as.
//!
//! Knows how to open and to take over descriptors; the methods Python sees are in `class`.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::c_int;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::address_cache::{PeerCache, SendCache};
use super::args::plain_int_of;
use super::errors::os_error;
use super::patience::Patience;
use super::timeout::{AtomicTimeout, DEFAULT, Timeout};
use crate::io::socket::fd::SharedFd;
use crate::io::socket::{Errno, sys};

/// A socket. Programs use its subclass `udpcore.socket`.
#[pyclass(subclass, frozen, name = "socket", module = "udpcore._core")]
pub(crate) struct Socket {
    pub(super) fd: SharedFd,
    pub(super) timeout: AtomicTimeout,
    pub(super) sent_to: SendCache,
    pub(super) peer: PeerCache,
    pub(super) patience: Patience,
    family: AtomicI32,
    kind: AtomicI32,
    protocol: AtomicI32,
}

impl Socket {
    pub(super) fn closed() -> Self {
        Self {
            fd: SharedFd::default(),
            timeout: AtomicTimeout::blocking(),
            sent_to: SendCache::default(),
            peer: PeerCache::default(),
            patience: Patience::default(),
            family: AtomicI32::new(-1),
            kind: AtomicI32::new(-1),
            protocol: AtomicI32::new(-1),
        }
    }

    pub(super) fn family(&self) -> c_int {
        self.family.load(Ordering::Relaxed)
    }

    pub(super) fn kind(&self) -> c_int {
        self.kind.load(Ordering::Relaxed)
    }

    pub(super) fn protocol(&self) -> c_int {
        self.protocol.load(Ordering::Relaxed)
    }

    /// Whether partial transfers are normal: not a datagram socket.
    pub(super) fn is_stream(&self) -> bool {
        self.kind() == libc::SOCK_STREAM
    }

    /// Whether connecting is only a note of the destination.
    pub(super) fn is_internet_datagram(&self) -> bool {
        self.kind() == libc::SOCK_DGRAM && matches!(self.family(), libc::AF_INET | libc::AF_INET6)
    }

    /// Takes over a descriptor with the default timeout.
    fn adopt(&self, fd: RawFd, family: c_int, kind: c_int, protocol: c_int) -> Result<(), Errno> {
        let timeout =
            if kind & libc::SOCK_NONBLOCK != 0 { Timeout::NonBlocking } else { DEFAULT.get() };
        let plain_kind = kind & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
        self.fd.set(fd);
        self.family.store(family, Ordering::Relaxed);
        self.kind.store(plain_kind, Ordering::Relaxed);
        self.protocol.store(protocol, Ordering::Relaxed);
        self.timeout.set(timeout);
        match DEFAULT.get() {
            Timeout::Blocking => Ok(()),
            _ => sys::set_nonblocking(fd, true),
        }
    }

    /// A socket around a descriptor that was just made.
    pub(super) fn around(
        fd: RawFd,
        family: c_int,
        kind: c_int,
        protocol: c_int,
    ) -> Result<Self, Errno> {
        let socket = Self::closed();
        socket.adopt(fd, family, kind, protocol)?;
        Ok(socket)
    }

    pub(super) fn open(&self, py: Python<'_>, numbers: [c_int; 3]) -> PyResult<()> {
        let [family, kind, protocol] = [
            if numbers[0] == -1 { libc::AF_INET } else { numbers[0] },
            if numbers[1] == -1 { libc::SOCK_STREAM } else { numbers[1] },
            if numbers[2] == -1 { 0 } else { numbers[2] },
        ];
        let fd = py.detach(|| sys::socket(family, kind, protocol));
        fd.and_then(|fd| self.adopt(fd, family, kind, protocol))
            .map_err(|errno| os_error(py, errno))
    }

    /// Takes over `fd`, asking the kernel for what the caller left out.
    pub(super) fn open_existing(
        &self,
        py: Python<'_>,
        fd: RawFd,
        numbers: [c_int; 3],
    ) -> PyResult<()> {
        let fault = |errno| os_error(py, errno);
        let [mut family, mut kind, mut protocol] = numbers;
        match sys::local_address(fd) {
            Ok(address) if family == -1 => family = address.family(),
            Ok(_) => {}
            Err(errno) if family == -1 || errno == Errno::BADF || errno.0 == libc::ENOTSOCK => {
                return Err(fault(errno));
            }
            Err(_) => {}
        }
        if kind == -1 {
            kind = sys::socket_option(fd, libc::SOL_SOCKET, libc::SO_TYPE).map_err(fault)?;
        }
        if protocol == -1 {
            protocol =
                sys::socket_option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL).map_err(fault)?;
        }
        self.adopt(fd, family, kind, protocol).map_err(fault)
    }

    pub(super) fn set_timeout(&self, py: Python<'_>, timeout: Timeout) -> PyResult<()> {
        let nonblocking = timeout != Timeout::Blocking;
        self.timeout.set(timeout);
        sys::set_nonblocking(self.fd.get(), nonblocking).map_err(|errno| os_error(py, errno))
    }
}

/// CPython's converter for the `fileno` argument.
pub(super) fn descriptor_of(value: &Bound<'_, PyAny>) -> PyResult<RawFd> {
    let fd = plain_int_of(value)?;
    if fd < 0 {
        return Err(PyValueError::new_err("negative file descriptor"));
    }
    Ok(fd)
}
