//! Scattered and gathered messages with control data (`sendmsg`, `recvmsg`).
//!
//! Owns the C structures and their pointers, so that nobody else builds a `msghdr` by hand.

use std::os::fd::RawFd;

use libc::{c_int, iovec, msghdr};

use super::sys::{self, Source, Target, zeroed};
use super::{Address, Errno};

/// A message to send: pieces of data, control messages, perhaps an address.
#[derive(Debug)]
pub struct Outgoing {
    pieces: Vec<iovec>,
    control: Vec<u8>,
    address: Option<Address>,
}

// SAFETY: `Source` promised that its bytes stay in place, on whatever thread; the rest is owned.
unsafe impl Send for Outgoing {}
// SAFETY: `send` only reads, and the kernel copies.
unsafe impl Sync for Outgoing {}

impl Outgoing {
    /// Gathers the pieces; `control` comes from [`super::cmsg::compose`].
    #[must_use]
    pub fn new(
        pieces: impl Iterator<Item = Source>,
        control: Vec<u8>,
        address: Option<Address>,
    ) -> Self {
        Self { pieces: pieces.map(Source::iovec).collect(), control, address }
    }

    /// Sends it; gives back how many bytes of data went out.
    ///
    /// # Errors
    /// What `sendmsg(2)` says.
    pub fn send(&self, fd: RawFd, flags: c_int) -> Result<usize, Errno> {
        let mut header: msghdr = zeroed();
        if let Some(address) = &self.address {
            header.msg_name = address.as_ptr().cast_mut().cast();
            header.msg_namelen = address.len();
        }
        header.msg_iov = self.pieces.as_ptr().cast_mut();
        header.msg_iovlen = self.pieces.len() as _;
        if !self.control.is_empty() {
            header.msg_control = self.control.as_ptr().cast_mut().cast();
            header.msg_controllen = self.control.len() as _;
        }
        sys::send_msg(fd, &header, flags)
    }
}

/// Room for a message to receive.
#[derive(Debug)]
pub struct Incoming {
    pieces: Vec<iovec>,
    control: Vec<u8>,
    control_len: usize,
    /// Who sent it.
    pub address: Address,
    /// `MSG_TRUNC`, `MSG_CTRUNC` … as the kernel set them.
    pub flags: c_int,
}

// SAFETY: `Target` promised that its bytes stay in place, on whatever thread; the rest is owned.
unsafe impl Send for Incoming {}

impl Incoming {
    /// Scatters into `pieces`, with `control_len` bytes of room for control messages.
    #[must_use]
    pub fn new(pieces: impl Iterator<Item = Target>, control_len: usize) -> Self {
        Self {
            pieces: pieces.map(Target::iovec).collect(),
            control: vec![0; control_len],
            control_len: 0,
            address: Address::room(),
            flags: 0,
        }
    }

    /// Receives; gives back how many bytes of data came.
    ///
    /// # Errors
    /// What `recvmsg(2)` says.
    pub fn recv(&mut self, fd: RawFd, flags: c_int) -> Result<usize, Errno> {
        let mut header: msghdr = zeroed();
        let (name, name_len) = self.address.as_mut_parts();
        header.msg_name = name.cast();
        // SAFETY: `name_len` points into `self.address`, which is borrowed here.
        header.msg_namelen = unsafe { *name_len };
        header.msg_iov = self.pieces.as_mut_ptr();
        header.msg_iovlen = self.pieces.len() as _;
        let room = self.control.len();
        header.msg_control = self.control.as_mut_ptr().cast();
        header.msg_controllen = self.control.len() as _;
        let received = sys::recv_msg(fd, &mut header, flags)?;
        self.address.set_len(header.msg_namelen);
        #[allow(clippy::unnecessary_cast)] // a socklen_t with musl
        let control_len = header.msg_controllen as usize;
        self.control_len = control_len.min(room);
        self.flags = header.msg_flags;
        Ok(received)
    }

    /// The control messages that came, for [`super::cmsg::parse`].
    #[must_use]
    pub fn control(&self) -> &[u8] {
        &self.control[..self.control_len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::socket::cmsg;

    #[test]
    fn data_and_control_cross_a_pair() {
        let [a, b] = sys::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0).unwrap();
        let mut control = Vec::new();
        let fds = a.to_ne_bytes();
        cmsg::compose(&mut control, libc::SOL_SOCKET, libc::SCM_RIGHTS, &fds).unwrap();
        let (head, tail) = (b"he", b"llo");
        // SAFETY: the array lives until the end of the test.
        let head = unsafe { Source::new(head.as_ptr(), 2) };
        // SAFETY: the array lives until the end of the test.
        let tail = unsafe { Source::new(tail.as_ptr(), 3) };
        assert_eq!(Outgoing::new([head, tail].into_iter(), control, None).send(a, 0), Ok(5));

        let mut room = [0_u8; 8];
        // SAFETY: `room` lives until the end of the test.
        let target = unsafe { Target::new(room.as_mut_ptr(), room.len()) };
        let mut incoming = Incoming::new([target].into_iter(), 64);
        assert_eq!(incoming.recv(b, libc::MSG_CMSG_CLOEXEC), Ok(5));
        let items: Vec<_> = cmsg::parse(incoming.control()).collect();
        assert_eq!(items.len(), 1);
        let received = i32::from_ne_bytes(items[0].data.try_into().unwrap());
        for fd in [a, b, received] {
            sys::close(fd).unwrap();
        }
        assert_eq!(&room[..5], b"hello");
    }
}
