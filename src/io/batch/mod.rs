//! Many datagrams a system call: `sendmmsg`, `recvmmsg`, segmentation and coalescing.
//!
//! A datagram costs the kernel microseconds mostly for its way through the stack. `sendmmsg` and
//! `recvmmsg` save the calls around it; segmentation offload (GSO) sends a run of equal-sized
//! datagrams to one address down the stack as one, and coalescing (GRO) brings such a run up as
//! one. What the wire and the caller see is the same with and without.
//!
//! Rules of this folder: it decides and reads without `unsafe` (`runs`, `facts`, `report`,
//! `control`), so that fuzzers and Miri can run it; the files that hand pointers to the kernel
//! (`send`, `receive`, `room`) own every array they point into and set the pointers anew for each
//! call.

pub mod control;
pub mod facts;
mod memory;
pub mod receive;
pub mod report;
pub mod room;
pub mod runs;
pub mod send;

use std::os::fd::RawFd;

use libc::c_int;

use super::socket::sys::{set_socket_option, socket_option};
use super::socket::{Address, Errno};

/// The most messages the kernel takes in one call (`UIO_MAXIOV`).
pub const CALL_MAX: usize = 1024;
/// `SOL_UDP`, and its options (linux/udp.h).
pub(crate) const SOL_UDP: c_int = 17;
pub(crate) const UDP_SEGMENT: c_int = 103;
pub(crate) const UDP_GRO: c_int = 104;

/// Whether the kernel hands runs of datagrams over as one on this socket.
#[must_use]
pub fn coalesces(fd: RawFd) -> bool {
    // Another protocol, or a kernel before 5.0, does not know the option.
    socket_option(fd, SOL_UDP, UDP_GRO).is_ok_and(|on| on != 0)
}

/// Asks the kernel to hand runs of datagrams over as one; `false` if it cannot.
///
/// # Errors
/// [`Errno::BADF`] and the like: there is no socket.
pub fn set_coalescing(fd: RawFd, on: bool) -> Result<bool, Errno> {
    match set_socket_option(fd, SOL_UDP, UDP_GRO, &c_int::from(on)) {
        Ok(()) => Ok(true),
        Err(Errno(libc::ENOPROTOOPT | libc::EOPNOTSUPP)) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// The address family of a socket.
///
/// # Errors
/// [`Errno::BADF`] and the like: there is no socket.
pub fn family_of(fd: RawFd) -> Result<c_int, Errno> {
    socket_option(fd, libc::SOL_SOCKET, libc::SO_DOMAIN)
}

/// An address from the bytes the kernel left.
fn address_from(storage: &libc::sockaddr_storage, len: libc::socklen_t) -> Address {
    Address::from_storage(storage, len)
}
