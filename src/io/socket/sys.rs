//! The system calls, one function each, over raw descriptors and raw memory.
//!
//! Memory comes in as [`Source`] and [`Target`]: a pointer and a length whose owner promised,
//! when it made them, to keep the bytes in place. A Python buffer may be written by another
//! thread while the kernel reads it; that is why no Rust reference is ever made to it.

use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use libc::{c_int, c_void, socklen_t};

use super::{Address, Errno};

/// Bytes to send. Plain pointer and length, so that no reference to foreign memory exists.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    ptr: *const u8,
    len: usize,
}

/// Room to receive into. Plain pointer and length, as [`Source`].
#[derive(Clone, Copy, Debug)]
pub struct Target {
    ptr: *mut u8,
    len: usize,
}

// SAFETY: the owner promised in `Source::new` that the bytes stay in place for all uses, on
// whatever thread; only the kernel reads them.
unsafe impl Send for Source {}
// SAFETY: the value is a number and a number; sharing it shares no access.
unsafe impl Sync for Source {}
// SAFETY: as for `Source`; only the kernel writes them.
unsafe impl Send for Target {}
// SAFETY: the value is a number and a number; sharing it shares no access.
unsafe impl Sync for Target {}

impl Source {
    /// # Safety
    /// `len` bytes at `ptr` stay allocated for as long as this value or a copy of it is used.
    #[must_use]
    pub unsafe fn new(ptr: *const u8, len: usize) -> Self {
        Self { ptr, len }
    }

    /// How many bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// What is left after the first `n` bytes.
    #[must_use]
    pub fn skip(self, n: usize) -> Self {
        let n = n.min(self.len);
        // SAFETY: `n` is at most `len`, so the pointer stays within (or one past) the bytes.
        Self { ptr: unsafe { self.ptr.add(n) }, len: self.len - n }
    }

    /// As an element of a scatter/gather list.
    #[must_use]
    pub fn iovec(self) -> libc::iovec {
        libc::iovec { iov_base: self.ptr.cast_mut().cast(), iov_len: self.len }
    }
}

impl Target {
    /// # Safety
    /// `len` writable bytes at `ptr` stay allocated for as long as this value or a copy is used.
    #[must_use]
    pub unsafe fn new(ptr: *mut u8, len: usize) -> Self {
        Self { ptr, len }
    }

    /// How much room.
    #[must_use]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there is no room.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// As an element of a scatter/gather list.
    #[must_use]
    pub fn iovec(self) -> libc::iovec {
        libc::iovec { iov_base: self.ptr.cast(), iov_len: self.len }
    }
}

/// Opens a socket, not inherited by programs started later (PEP 446).
pub fn socket(family: c_int, kind: c_int, protocol: c_int) -> Result<RawFd, Errno> {
    // SAFETY: takes numbers only.
    Errno::check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })
}

/// Opens two sockets that are connected to each other.
pub fn socketpair(family: c_int, kind: c_int, protocol: c_int) -> Result<[RawFd; 2], Errno> {
    let mut pair = [-1; 2];
    let kind = kind | libc::SOCK_CLOEXEC;
    // SAFETY: `pair` has room for the two descriptors the call writes.
    Errno::check(unsafe { libc::socketpair(family, kind, protocol, pair.as_mut_ptr()) })?;
    Ok(pair)
}

/// Closes a descriptor. It is gone even when an error comes back.
pub fn close(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: takes a number only; the caller owns it.
    Errno::check(unsafe { libc::close(fd) }).map(drop)
}

/// A second descriptor for the same socket, not inherited.
pub fn duplicate(fd: RawFd) -> Result<RawFd, Errno> {
    // SAFETY: takes numbers only.
    Errno::check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })
}

/// Makes `to` mean what `from` means, atomically.
pub(super) fn replace(from: RawFd, to: RawFd) -> Result<(), Errno> {
    // SAFETY: takes numbers only; the caller owns both.
    Errno::check(unsafe { libc::dup3(from, to, libc::O_CLOEXEC) }).map(drop)
}

/// A descriptor on which every socket call fails with `ENOTSOCK`.
pub(super) fn dead_end() -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    let fd = Errno::check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
    // SAFETY: the descriptor was just made and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Switches `O_NONBLOCK` on or off.
pub fn set_nonblocking(fd: RawFd, nonblocking: bool) -> Result<(), Errno> {
    let mut flag = c_int::from(nonblocking);
    // SAFETY: FIONBIO reads one int, which `flag` is.
    Errno::check(unsafe { libc::ioctl(fd, libc::FIONBIO, &mut flag) }).map(drop)
}

/// Whether `O_NONBLOCK` is on.
pub fn is_nonblocking(fd: RawFd) -> Result<bool, Errno> {
    // SAFETY: takes numbers only.
    let flags = Errno::check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    Ok(flags & libc::O_NONBLOCK != 0)
}

/// Gives the socket a local address.
pub fn bind(fd: RawFd, address: &Address) -> Result<(), Errno> {
    // SAFETY: pointer and length describe the same live `Address`.
    Errno::check(unsafe { libc::bind(fd, address.as_ptr(), address.len()) }).map(drop)
}

/// Connects, or starts to.
pub fn connect(fd: RawFd, address: &Address) -> Result<(), Errno> {
    // SAFETY: pointer and length describe the same live `Address`.
    Errno::check(unsafe { libc::connect(fd, address.as_ptr(), address.len()) }).map(drop)
}

/// Waits for connections.
pub fn listen(fd: RawFd, backlog: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    Errno::check(unsafe { libc::listen(fd, backlog) }).map(drop)
}

/// Takes one connection; the new descriptor is blocking and not inherited.
pub fn accept(fd: RawFd) -> Result<(RawFd, Address), Errno> {
    let mut peer = Address::room();
    let (ptr, len) = peer.as_mut_parts();
    // SAFETY: `ptr` and `len` describe the room in the same live `Address`.
    let fd = Errno::check(unsafe { libc::accept4(fd, ptr, len, libc::SOCK_CLOEXEC) })?;
    Ok((fd, peer))
}

/// Ends reading, writing or both.
pub fn shutdown(fd: RawFd, how: c_int) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    Errno::check(unsafe { libc::shutdown(fd, how) }).map(drop)
}

/// The local address.
pub fn local_address(fd: RawFd) -> Result<Address, Errno> {
    let mut address = Address::room();
    let (ptr, len) = address.as_mut_parts();
    // SAFETY: `ptr` and `len` describe the room in the same live `Address`.
    Errno::check(unsafe { libc::getsockname(fd, ptr, len) })?;
    Ok(address)
}

/// The address of the connected peer.
pub fn peer_address(fd: RawFd) -> Result<Address, Errno> {
    let mut address = Address::room();
    let (ptr, len) = address.as_mut_parts();
    // SAFETY: `ptr` and `len` describe the room in the same live `Address`.
    Errno::check(unsafe { libc::getpeername(fd, ptr, len) })?;
    Ok(address)
}

/// Receives without asking for the sender.
pub fn recv(fd: RawFd, target: Target, flags: c_int) -> Result<usize, Errno> {
    // SAFETY: `Target` promises `len` writable bytes.
    Errno::check_len(unsafe { libc::recv(fd, target.ptr.cast(), target.len, flags) })
}

/// Receives, and writes the sender into `peer`.
pub fn recv_from(
    fd: RawFd,
    target: Target,
    flags: c_int,
    peer: &mut Address,
) -> Result<usize, Errno> {
    let (ptr, len) = peer.as_mut_parts();
    let buffer: *mut c_void = target.ptr.cast();
    // SAFETY: `Target` promises `len` writable bytes; `ptr` and `len` describe the room in `peer`.
    Errno::check_len(unsafe { libc::recvfrom(fd, buffer, target.len, flags, ptr, len) })
}

/// Sends to the connected peer. Never raises SIGPIPE on its own: Python ignores that signal.
pub fn send(fd: RawFd, source: Source, flags: c_int) -> Result<usize, Errno> {
    // SAFETY: `Source` promises `len` readable bytes.
    Errno::check_len(unsafe { libc::send(fd, source.ptr.cast(), source.len, flags) })
}

/// Sends to `address`.
pub fn send_to(fd: RawFd, source: Source, flags: c_int, address: &Address) -> Result<usize, Errno> {
    let buffer: *const c_void = source.ptr.cast();
    let (ptr, len) = (address.as_ptr(), address.len());
    // SAFETY: `Source` promises `len` readable bytes; `ptr` and `len` describe a live `Address`.
    Errno::check_len(unsafe { libc::sendto(fd, buffer, source.len, flags, ptr, len) })
}

/// Sends a gathered message with control data.
pub(super) fn send_msg(fd: RawFd, message: &libc::msghdr, flags: c_int) -> Result<usize, Errno> {
    // SAFETY: the caller filled `message` with live pointers (see `message`).
    Errno::check_len(unsafe { libc::sendmsg(fd, message, flags) })
}

/// Receives a scattered message with control data.
pub(super) fn recv_msg(
    fd: RawFd,
    message: &mut libc::msghdr,
    flags: c_int,
) -> Result<usize, Errno> {
    // SAFETY: the caller filled `message` with live pointers (see `message`).
    Errno::check_len(unsafe { libc::recvmsg(fd, message, flags) })
}

/// Reads an option that is one int.
pub fn socket_option(fd: RawFd, level: c_int, name: c_int) -> Result<c_int, Errno> {
    let mut value: c_int = 0;
    let mut len = size_of_socklen::<c_int>();
    let room: *mut c_void = (&raw mut value).cast();
    // SAFETY: `room` has `len` bytes.
    Errno::check(unsafe { libc::getsockopt(fd, level, name, room, &mut len) })?;
    Ok(value)
}

/// Reads an option into `room`; gives back how many bytes it has.
pub fn socket_option_bytes(
    fd: RawFd,
    level: c_int,
    name: c_int,
    room: &mut [u8],
) -> Result<usize, Errno> {
    let mut len = socklen_t::try_from(room.len()).unwrap_or(socklen_t::MAX);
    let ptr: *mut c_void = room.as_mut_ptr().cast();
    // SAFETY: `ptr` has `len` bytes of room.
    Errno::check(unsafe { libc::getsockopt(fd, level, name, ptr, &mut len) })?;
    Ok(len as usize)
}

/// Sets an option that is one plain value (an int, or a C structure).
pub fn set_socket_option<T: Copy>(
    fd: RawFd,
    level: c_int,
    name: c_int,
    value: &T,
) -> Result<(), Errno> {
    let ptr: *const c_void = std::ptr::from_ref(value).cast();
    let len = size_of_socklen::<T>();
    // SAFETY: `ptr` has `len` readable bytes.
    Errno::check(unsafe { libc::setsockopt(fd, level, name, ptr, len) }).map(drop)
}

/// Sets an option to bytes of any length.
pub fn set_socket_option_bytes(
    fd: RawFd,
    level: c_int,
    name: c_int,
    value: Source,
) -> Result<(), Errno> {
    let len = socklen_t::try_from(value.len).map_err(|_| Errno::INVAL)?;
    // SAFETY: `Source` promises `len` readable bytes.
    Errno::check(unsafe { libc::setsockopt(fd, level, name, value.ptr.cast(), len) }).map(drop)
}

/// Sets an option to no value of a stated length (`AF_ALG` uses that).
pub fn set_socket_option_none(fd: RawFd, level: c_int, name: c_int, len: u32) -> Result<(), Errno> {
    // SAFETY: a null value with a length is what the interface asks for; the kernel checks it.
    Errno::check(unsafe { libc::setsockopt(fd, level, name, std::ptr::null(), len) }).map(drop)
}

/// The error that ended a connection attempt in the background, if any.
pub fn pending_error(fd: RawFd) -> Result<(), Errno> {
    match socket_option(fd, libc::SOL_SOCKET, libc::SO_ERROR)? {
        0 => Ok(()),
        errno => Err(Errno(errno)),
    }
}

/// The number of the interface called `name` (at most 15 bytes), asked through any socket.
pub fn interface_index(fd: RawFd, name: &[u8]) -> Result<c_int, Errno> {
    // SAFETY: `ifreq` is plain data, all zero is a value of it.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    let room = libc::IFNAMSIZ - 1;
    for (to, from) in request.ifr_name.iter_mut().zip(name.iter().take(room)) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    // SAFETY: SIOCGIFINDEX reads the name and writes the index of this live structure.
    Errno::check(unsafe { libc::ioctl(fd, libc::SIOCGIFINDEX as _, &mut request) })?;
    // SAFETY: SIOCGIFINDEX filled this member of the union.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex })
}

/// The name of the interface with this number; empty if there is none.
#[must_use]
pub fn interface_name(index: u32) -> Vec<u8> {
    let mut name = [0 as libc::c_char; libc::IFNAMSIZ];
    // SAFETY: `name` has the IFNAMSIZ bytes the call may write.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if found.is_null() {
        return Vec::new();
    }
    name.iter().take_while(|&&c| c != 0).map(|c| c.to_ne_bytes()[0]).collect()
}

/// What kind of socket an existing descriptor is: family, type and protocol.
pub fn kind_of(fd: RawFd) -> Result<(c_int, c_int, c_int), Errno> {
    let family = local_address(fd)?.family();
    let kind = socket_option(fd, libc::SOL_SOCKET, libc::SO_TYPE)?;
    let protocol = socket_option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL)?;
    Ok((family, kind, protocol))
}

/// A borrowed descriptor's number, for callers that own the socket elsewhere.
#[must_use]
pub fn raw(socket: &impl AsRawFd) -> RawFd {
    socket.as_raw_fd()
}

pub(crate) fn size_of_socklen<T>() -> socklen_t {
    mem::size_of::<T>() as socklen_t
}

pub(crate) fn zeroed<T: Copy>() -> T {
    let zero = MaybeUninit::<T>::zeroed();
    // SAFETY: only called for the plain C structures of this folder, where all zero is a value.
    unsafe { zero.assume_init() }
}
