//! Batches on Linux: recvmmsg with UDP_GRO, sendmmsg with UDP_SEGMENT, and control messages.
//!
//! Rule of this file: every pointer handed to the kernel points into a vector of the same struct
//! that is not resized between the moment the pointer is taken and the end of the call.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use mio::net::UdpSocket;

use super::control::{self, CONTROL_BYTES, Control};
use super::name::{NAME_BYTES, Name};
use super::{Message, Meta};
use crate::relay::datagram::Due;

/// Entries taken by one call.
const ENTRIES_MAX: usize = 32;
/// The largest UDP datagram, and what GRO coalesces at most, is shorter.
const ENTRY_BYTES: usize = 1 << 16;
/// Buffers do not begin at multiples of a power of two: all would share the same cache sets.
const STRIDE_BYTES: usize = ENTRY_BYTES + 9 * 64;
/// Messages handed to one call.
const MESSAGES_MAX: usize = 64;

/// Room for what one call receives.
#[derive(Debug)]
pub(in crate::relay) struct Inbox {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    names: Vec<Name>,
    controls: Vec<Control>,
    bytes: Vec<u8>,
    /// How many headers the last call changed.
    used: usize,
}

impl Inbox {
    pub(in crate::relay) fn new() -> Self {
        let mut inbox = Self {
            headers: Vec::with_capacity(ENTRIES_MAX),
            vectors: Vec::with_capacity(ENTRIES_MAX),
            names: vec![Name::EMPTY; ENTRIES_MAX],
            controls: vec![Control([0; CONTROL_BYTES]); ENTRIES_MAX],
            bytes: vec![0; ENTRIES_MAX * STRIDE_BYTES],
            used: 0,
        };
        for entry in 0..ENTRIES_MAX {
            let start = inbox.bytes[entry * STRIDE_BYTES..].as_mut_ptr();
            inbox.vectors.push(libc::iovec { iov_base: start.cast(), iov_len: ENTRY_BYTES });
        }
        for entry in 0..ENTRIES_MAX {
            let mut header = empty_header();
            header.msg_hdr.msg_name = (&raw mut inbox.names[entry]).cast();
            header.msg_hdr.msg_iov = &raw mut inbox.vectors[entry];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = (&raw mut inbox.controls[entry]).cast();
            inbox.headers.push(header);
        }
        inbox.used = ENTRIES_MAX;
        inbox
    }

    /// How many entries fit: fewer received means that the socket is empty.
    pub(in crate::relay) const fn capacity(&self) -> usize {
        ENTRIES_MAX
    }

    /// Takes what is there and returns the number of entries.
    pub(in crate::relay) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for header in &mut self.headers[..self.used] {
            header.msg_hdr.msg_namelen = NAME_BYTES as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
        }
        self.used = 0;
        // SAFETY: the headers point to buffers of the stated sizes that this struct owns and never
        // resizes.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                ENTRIES_MAX as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        // A failed call may have touched the first header.
        self.used = usize::try_from(count).unwrap_or(1);
        if count < 0 { Err(io::Error::last_os_error()) } else { Ok(self.used) }
    }

    /// The entry at `index` of those just received, and how many datagrams the socket has dropped
    /// in its life, if it says so. `None` for a sender that is neither IPv4 nor IPv6.
    pub(in crate::relay) fn entry(&self, index: usize) -> Option<(Meta, Option<u32>, &[u8])> {
        let header = &self.headers[index];
        let from = self.names[index].decode()?;
        let start = index * STRIDE_BYTES;
        let bytes = &self.bytes[start..start + header.msg_len as usize];
        let Control(control) = &self.controls[index];
        // Narrower with musl.
        #[allow(clippy::unnecessary_cast)]
        let length = (header.msg_hdr.msg_controllen as usize).min(CONTROL_BYTES);
        let said = control::read(&control[..length]);
        let segment_bytes = said.segment_bytes.unwrap_or(bytes.len()).max(1);
        Some((Meta { from, to: said.to, tos: said.tos, segment_bytes }, said.overruns, bytes))
    }
}

// SAFETY: the raw pointers lead into vectors of the same struct, which move with it.
unsafe impl Send for Inbox {}

/// Room for what one call sends.
#[derive(Debug)]
pub(in crate::relay) struct Outbox {
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
    names: Vec<Name>,
    controls: Vec<Control>,
}

impl Outbox {
    pub(in crate::relay) fn new() -> Self {
        Self {
            headers: Vec::with_capacity(MESSAGES_MAX),
            vectors: Vec::new(),
            names: vec![Name::EMPTY; MESSAGES_MAX],
            controls: vec![Control([0; CONTROL_BYTES]); MESSAGES_MAX],
        }
    }

    /// Sends the first of `messages`, as many as the system takes, and returns how many it took.
    ///
    /// # Errors
    /// What the system says about the first message.
    pub(in crate::relay) fn send(
        &mut self,
        socket: &UdpSocket,
        messages: &[Message],
        due: &[Due],
    ) -> io::Result<usize> {
        let messages = &messages[..messages.len().min(MESSAGES_MAX)];
        if let [message] = messages
            && let Some(bytes) = alone(message, due)
        {
            return send_alone(socket, bytes);
        }
        self.fill(messages, due);
        // SAFETY: the headers point into vectors of this struct, and to the datagrams in `due`,
        // all of which live unchanged through the call.
        let count = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                messages.len() as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        if count < 0 { Err(io::Error::last_os_error()) } else { Ok(count as usize) }
    }

    fn fill(&mut self, messages: &[Message], due: &[Due]) {
        self.vectors.clear();
        for packet in messages.iter().flat_map(|message| &due[message.range.clone()]) {
            let bytes = &packet.payload.bytes;
            let iov_base = bytes.as_ptr().cast_mut().cast();
            self.vectors.push(libc::iovec { iov_base, iov_len: bytes.len() });
        }
        self.headers.clear();
        let mut vector = 0;
        for (index, message) in messages.iter().enumerate() {
            let mut header = empty_header();
            if let Some(to) = message.route.to {
                let length = self.names[index].encode(to);
                header.msg_hdr.msg_namelen = length as libc::socklen_t;
                header.msg_hdr.msg_name = (&raw mut self.names[index]).cast();
            }
            let count = message.range.len();
            header.msg_hdr.msg_iov = &raw mut self.vectors[vector];
            header.msg_hdr.msg_iovlen = count as _;
            vector += count;
            let first = &due[message.range.start].payload.bytes;
            let segment_bytes = (count > 1).then_some(first.len() as u16);
            let length = control::write(&mut self.controls[index], message, segment_bytes);
            header.msg_hdr.msg_control = (&raw mut self.controls[index]).cast();
            header.msg_hdr.msg_controllen = length as _;
            self.headers.push(header);
        }
    }
}

/// The bytes of a message that needs no header: one datagram to the peer of a connected socket.
/// With thousands of clients most are such.
fn alone<'a>(message: &Message, due: &'a [Due]) -> Option<&'a [u8]> {
    let is_plain = message.route.to.is_none() && message.tos == 0 && message.range.len() == 1;
    is_plain.then(|| due[message.range.start].payload.bytes.as_slice())
}

fn send_alone(socket: &UdpSocket, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer is to `bytes`, which lives through the call, and the length is its size.
    let sent = unsafe { libc::send(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(1) }
}

// SAFETY: the raw pointers are used only within one call of `send`.
unsafe impl Send for Outbox {}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: all zero is a valid header: no name, no buffers, no control messages.
    unsafe { mem::zeroed() }
}

/// Asks for all that [`Inbox`] can tell about datagrams for `socket`. What the system does not
/// have it leaves out; nothing depends on it.
pub(in crate::relay) fn prepare(socket: &UdpSocket, is_ipv6: bool, wants_local: bool) {
    let fd = socket.as_raw_fd();
    // A socket for IPv6 may also get datagrams of IPv4.
    let _ = set(fd, libc::IPPROTO_IP, libc::IP_RECVTOS);
    let _ = set(fd, libc::SOL_UDP, libc::UDP_GRO);
    let _ = set(fd, libc::SOL_SOCKET, libc::SO_RXQ_OVFL);
    if is_ipv6 {
        let _ = set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS);
    }
    if wants_local {
        let _ = match is_ipv6 {
            true => set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
            false => set(fd, libc::IPPROTO_IP, libc::IP_PKTINFO),
        };
    }
}

fn set(fd: RawFd, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let one: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer is to an int that lives through the call, and the length is its size.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const one).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Beyond the limit of the system, if the rights allow it.
pub(in crate::relay) fn force_buffer(socket: &UdpSocket, bytes: usize) {
    let value = bytes as libc::c_int;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_RCVBUFFORCE);
    // SAFETY: the pointer is to an int that lives through the call, and the length is its size.
    unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length)
    };
}

/// How many datagrams the socket has dropped in its life because its buffer was full.
pub(in crate::relay) fn overruns(socket: &UdpSocket) -> Option<u32> {
    // Nine numbers, the last of which counts drops: sk_meminfo in linux/sock_diag.h.
    const DROPS: usize = 8;
    const SO_MEMINFO: libc::c_int = 55;
    let mut info = [0u32; DROPS + 1];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the pointer is to `length` bytes that live through the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (result == 0 && length as usize == size_of_val(&info)).then_some(info[DROPS])
}
