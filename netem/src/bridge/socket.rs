//! The packet socket under an interface: what `pnet` does not set, packet(7) calls.
//!
//! Rule of this file: it opens, configures and asks; reading and writing is
//! [`super::packet_io`], or `pnet` in [`super::frame_io`].

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
    set(fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
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

/// From here on frames of every kind that come in on the interface are received, whoever they
/// are for.
pub(super) fn bind(fd: &OwnedFd, index: u32) -> io::Result<()> {
    let everything = (libc::ETH_P_ALL as u16).to_be();
    // SAFETY: all zero is a valid address.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = everything;
    address.sll_ifindex = index as libc::c_int;
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer is to an address of the stated length that lives through the call.
    let result = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zero is a valid request.
    let mut request: libc::packet_mreq = unsafe { std::mem::zeroed() };
    request.mr_ifindex = index as libc::c_int;
    request.mr_type = libc::PACKET_MR_PROMISC as libc::c_ushort;
    set(fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, request)
}

/// How many frames the socket has dropped because its buffer was full, since last asked.
pub(super) fn overruns(fd: RawFd) -> u32 {
    // struct tpacket_stats: all packets, and those dropped.
    let mut stats = [0u32; 2];
    let mut length = size_of_val(&stats) as libc::socklen_t;
    // SAFETY: the pointer is to `length` bytes that live through the call.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            stats.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result < 0 { 0 } else { stats[1] }
}

/// The number of the interface `name`, if there is one.
pub(super) fn index_of(name: &str) -> Option<u32> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: `name` is a C string that lives through the call.
    Some(unsafe { libc::if_nametoindex(name.as_ptr()) }).filter(|&index| index != 0)
}

fn set<T>(fd: RawFd, level: libc::c_int, option: libc::c_int, value: T) -> io::Result<()> {
    // SAFETY: the pointer is to a value that lives through the call, and the length is its size.
    let result = unsafe {
        libc::setsockopt(
            fd,
            level,
            option,
            (&raw const value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
