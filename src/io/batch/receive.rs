//! Receiving many messages in one system call, into memory of the caller's.
//!
//! An [`Inbox`] owns what the kernel fills beside the data: addresses, control messages, lengths.
//! Does not cut coalesced messages (see `runs`), does not wait for more than the first.

use std::os::fd::RawFd;
use std::ptr;

use libc::{c_int, iovec, mmsghdr, sockaddr_storage};

use super::{CALL_MAX, address_from};
use crate::io::socket::sys::{Target, size_of_socklen, zeroed};
use crate::io::socket::{Address, Errno};

/// Room for the messages of one call.
pub struct Inbox {
    headers: Vec<mmsghdr>,
    pieces: Vec<iovec>,
    names: Vec<sockaddr_storage>,
    control: Vec<u8>,
    control_room: usize,
    takes_control: bool,
    count: usize,
}

// SAFETY: the pointers in `headers` and `pieces` are set anew for each call, into vectors that
// `self` owns and to targets that promised to stay in place on whatever thread.
unsafe impl Send for Inbox {}

/// One received message. Its bytes are where the caller wanted them.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    header: &'a mmsghdr,
    name: &'a sockaddr_storage,
    control: &'a [u8],
}

impl Inbox {
    /// Room for `slots` messages (at most [`CALL_MAX`]) with `control_room` bytes of control each.
    #[must_use]
    pub fn new(slots: usize, control_room: usize) -> Self {
        let slots = slots.clamp(1, CALL_MAX);
        Self {
            headers: vec![zeroed(); slots],
            pieces: vec![iovec { iov_base: ptr::null_mut(), iov_len: 0 }; slots],
            names: vec![zeroed(); slots],
            control: vec![0; slots * control_room],
            control_room,
            takes_control: true,
            count: 0,
        }
    }

    /// Whether control messages are taken. Not from a UNIX socket: descriptors may be among them,
    /// and taking them would open them here.
    pub fn take_control(&mut self, takes: bool) {
        self.takes_control = takes;
    }

    /// How many messages fit.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.headers.len()
    }

    /// How many messages the last call received.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Receives into `targets`, one message each; blocks, if at all, for the first only.
    ///
    /// # Errors
    /// What `recvmmsg(2)` says. After an error there are no messages.
    pub fn recv(
        &mut self,
        fd: RawFd,
        flags: c_int,
        targets: impl Iterator<Item = Target>,
    ) -> Result<usize, Errno> {
        self.count = 0;
        let slots = self.point(targets);
        let headers = self.headers.as_mut_ptr();
        let flags = flags | libc::MSG_WAITFORONE;
        // SAFETY: `slots` headers, whose pointers `point` has just set into live vectors of
        // `self` and to the targets' bytes; without a timeout, whose semantics are broken
        // (recvmmsg(2), BUGS).
        let received =
            unsafe { libc::recvmmsg(fd, headers, slots as u32, flags as _, ptr::null_mut()) };
        self.count = usize::try_from(Errno::check(received)?).unwrap_or(0).min(slots);
        Ok(self.count)
    }

    fn point(&mut self, targets: impl Iterator<Item = Target>) -> usize {
        let names = self.names.iter_mut();
        let places = self.headers.iter_mut().zip(self.pieces.iter_mut()).zip(names);
        let control = self.control.as_mut_ptr();
        let mut slots = 0;
        for (((header, piece), name), target) in places.zip(targets) {
            *piece = target.iovec();
            let to = &mut header.msg_hdr;
            to.msg_name = ptr::from_mut(name).cast();
            to.msg_namelen = size_of_socklen::<sockaddr_storage>();
            to.msg_iov = piece;
            to.msg_iovlen = 1;
            to.msg_flags = 0;
            let room = if self.takes_control { self.control_room } else { 0 };
            to.msg_control = control.wrapping_add(slots * self.control_room).cast();
            to.msg_controllen = room as _;
            slots += 1;
        }
        slots
    }

    /// A message of the last call.
    #[must_use]
    pub fn message(&self, index: usize) -> Option<Received<'_>> {
        if index >= self.count {
            return None;
        }
        let header = self.headers.get(index)?;
        #[allow(clippy::unnecessary_cast)] // a socklen_t with musl
        let len = (header.msg_hdr.msg_controllen as usize).min(self.control_room);
        let control = self.control.get(index * self.control_room..)?.get(..len)?;
        Some(Received { header, name: self.names.get(index)?, control })
    }

    /// The messages of the last call.
    pub fn messages(&self) -> impl Iterator<Item = Received<'_>> {
        (0..self.count).map_while(|index| self.message(index))
    }
}

impl<'a> Received<'a> {
    /// How many bytes came; more than there was room for if `MSG_TRUNC` was asked for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.header.msg_len as usize
    }

    /// Whether the message is empty, which a datagram may be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its end did not fit.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0
    }

    /// Who sent it.
    #[must_use]
    pub fn address(&self) -> Address {
        address_from(self.name, self.header.msg_hdr.msg_namelen)
    }

    /// Whether `address` sent it.
    #[must_use]
    pub fn is_from(&self, address: &Address) -> bool {
        address.equals_storage(self.name, self.header.msg_hdr.msg_namelen)
    }

    /// The control messages that came with it.
    #[must_use]
    pub fn control(&self) -> &'a [u8] {
        self.control
    }
}

#[cfg(test)]
mod tests;
