//! The packet socket under an interface: what `pnet` does not set, packet(7) calls.
//!
//! Rule of this file: it opens and configures; reading and writing is [`super::frame_io`].

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// What a socket may hold before the kernel drops frames, if the rights allow it.
const BUFFER_BYTES: libc::c_int = 16 << 20;

/// A packet socket that is not bound yet, so it does not receive yet either.
///
/// Frames come with their `virtio_net_hdr` (checksums and segments left undone stay so), and what
/// this machine itself sends on the interface is not seen.
pub(super) fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers; the result is checked below.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just returned by the kernel and belongs to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    set(fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
    set(fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
    // Beyond the system's limit only with CAP_NET_ADMIN; a smaller buffer is no reason to stop.
    for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE, libc::SO_RCVBUF, libc::SO_SNDBUF] {
        let forced = matches!(option, libc::SO_RCVBUFFORCE | libc::SO_SNDBUFFORCE);
        let done = set(fd.as_raw_fd(), libc::SOL_SOCKET, option, BUFFER_BYTES);
        if forced && done.is_ok() && option == libc::SO_SNDBUFFORCE {
            break;
        }
    }
    Ok(fd)
}

fn set(fd: RawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer is to an int that lives through the call, and the length is its size.
    let result = unsafe {
        libc::setsockopt(
            fd,
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
