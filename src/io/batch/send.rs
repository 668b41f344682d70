//! Sending many datagrams: as few system calls, and as few trips down the stack, as possible.
//!
//! An [`Outbox`] holds what is to be sent and how far it has come. Each [`Outbox::step`] is one
//! `sendmmsg`; runs of equal-sized datagrams to one address become one message with a segment
//! length. Where kernel or route refuse that, the run goes out one by one, with the same result,
//! and the refusal is remembered for the socket.

use std::os::fd::RawFd;

use libc::{c_int, iovec, mmsghdr};

use super::memory;
use super::runs::{SEGMENTS_MAX, run_len};
use super::{SOL_UDP, UDP_SEGMENT};
use crate::io::socket::sys::{Source, zeroed};
use crate::io::socket::{Address, Errno, cmsg};

/// Messages a step: enough to make the call's own cost small.
const STEP_MESSAGES_MAX: usize = 64;
/// `Item::address` of a datagram for the connected peer.
const CONNECTED: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Item {
    source: Source,
    address: u32,
}

/// One message of a step.
struct Message {
    /// Datagrams in it.
    count: usize,
    pieces: (usize, usize),
    control: (usize, usize),
    address: u32,
}

/// A run that was refused, until it is known that its datagrams are taken one by one.
#[derive(Clone, Copy)]
struct Refusal {
    end: usize,
    segment_max: usize,
}

/// Datagrams on their way out.
pub struct Outbox {
    items: Vec<Item>,
    addresses: Vec<Address>,
    /// Control messages that go with every datagram.
    control: Vec<u8>,
    sent: usize,
    segment_max: Option<usize>,
    refusal: Option<Refusal>,
    step: Step,
}

/// The arrays a call points into; kept for their room.
#[derive(Default)]
struct Step {
    messages: Vec<Message>,
    pieces: Vec<iovec>,
    control: Vec<u8>,
    headers: Vec<mmsghdr>,
}

// SAFETY: `Source` promised that its bytes stay in place, on whatever thread; the pointers in
// `step` are set anew for each call and lead into vectors that `self` owns.
unsafe impl Send for Outbox {}

impl Outbox {
    /// An empty one; `control` goes with every datagram (see [`super::control::Options`]).
    #[must_use]
    pub fn new(control: Vec<u8>, capacity: usize) -> Self {
        Self {
            items: Vec::with_capacity(capacity),
            addresses: Vec::new(),
            control,
            sent: 0,
            segment_max: None,
            refusal: None,
            step: Step::default(),
        }
    }

    /// From here on [`Outbox::push`] sends to this address.
    ///
    /// # Errors
    /// [`Errno::INVAL`] after four thousand million addresses.
    pub fn address(&mut self, address: Address) -> Result<(), Errno> {
        if self.addresses.last() == Some(&address) {
            return Ok(());
        }
        if self.addresses.len() >= CONNECTED as usize {
            return Err(Errno::INVAL);
        }
        self.addresses.push(address);
        Ok(())
    }

    /// Appends a datagram for the last address.
    pub fn push(&mut self, source: Source) {
        // With no address yet this wraps to `CONNECTED`.
        let address = (self.addresses.len() as u32).wrapping_sub(1);
        self.items.push(Item { source, address });
    }

    /// Appends a datagram for the connected peer.
    pub fn push_connected(&mut self, source: Source) {
        self.items.push(Item { source, address: CONNECTED });
    }

    /// How many datagrams the kernel has taken.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Whether it has taken all.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.sent >= self.items.len()
    }

    /// Sends until all is out.
    ///
    /// # Errors
    /// As [`Outbox::step`]; [`Outbox::sent`] says how far it has come.
    pub fn drain(&mut self, fd: RawFd, flags: c_int) -> Result<(), Errno> {
        while !self.is_done() {
            self.step(fd, flags)?;
        }
        Ok(())
    }

    /// One system call. Nothing may have been sent although it is no error: a run was refused and
    /// goes out one by one from now on.
    ///
    /// # Errors
    /// What `sendmmsg(2)` says about the first datagram that is left.
    pub fn step(&mut self, fd: RawFd, flags: c_int) -> Result<(), Errno> {
        if self.is_done() {
            return Ok(());
        }
        self.plan(fd);
        self.point();
        let headers = self.step.headers.as_mut_ptr();
        let count = self.step.headers.len() as u32;
        // SAFETY: `count` headers, whose pointers `point` has just set into live vectors of
        // `self` and to the sources' bytes; the kernel writes only `msg_len`.
        let taken = Errno::check(unsafe { libc::sendmmsg(fd, headers, count, flags as _) });
        match taken {
            Ok(messages) => {
                let messages = usize::try_from(messages).unwrap_or(0);
                let sent: usize =
                    self.step.messages.iter().take(messages).map(|message| message.count).sum();
                self.advance(fd, sent);
                Ok(())
            }
            Err(errno) => self.refuse(errno),
        }
    }

    fn advance(&mut self, fd: RawFd, sent: usize) {
        self.sent += sent;
        if let Some(refusal) = self.refusal
            && sent > 0
        {
            // What was refused as a run is taken one by one: the run was the reason.
            if self.segment_max != Some(refusal.segment_max) {
                memory::refused(fd, refusal.segment_max);
                self.segment_max = Some(refusal.segment_max);
            }
            if self.sent >= refusal.end {
                self.refusal = None;
            }
        }
    }

    /// Marks a refused run for going out one by one; other errors are passed on.
    fn refuse(&mut self, errno: Errno) -> Result<(), Errno> {
        let count = self.step.messages.first().map_or(1, |message| message.count);
        if count == 1 {
            return Err(errno);
        }
        let segment = self.items[self.sent].source.len();
        let segment_max = match errno.0 {
            // No checksum offload on the way, or a kernel that knows no segmentation.
            libc::EIO | libc::EOPNOTSUPP | libc::ENOPROTOOPT => 0,
            // A segment longer than the path takes; alone it may be cut into fragments.
            libc::EINVAL | libc::EMSGSIZE => segment - 1,
            _ => return Err(errno),
        };
        self.refusal = Some(Refusal { end: self.sent + count, segment_max });
        Ok(())
    }

    /// Groups the datagrams of the next call into messages.
    fn plan(&mut self, fd: RawFd) {
        let Step { messages, pieces, control, .. } = &mut self.step;
        messages.clear();
        pieces.clear();
        control.clear();
        let mut begin = self.sent;
        let refused = self.refusal.map_or(0, |refusal| refusal.end);
        while begin < self.items.len() && messages.len() < STEP_MESSAGES_MAX {
            let first = self.items[begin];
            let window = &self.items[begin..self.items.len().min(begin + SEGMENTS_MAX)];
            let alike = window.iter().take_while(|item| item.address == first.address);
            let single = begin < refused
                || window.get(1).is_none_or(|second| second.address != first.address);
            let count = if single {
                1
            } else {
                let max = *self.segment_max.get_or_insert_with(|| memory::segment_max(fd));
                run_len(alike.map(|item| item.source.len()), max)
            };
            let control_begin = control.len();
            control.extend_from_slice(&self.control);
            if count > 1 {
                // A run is at most 65,507 bytes, so its segments fit 16 bits.
                let segment = (first.source.len() as u16).to_ne_bytes();
                let _ = cmsg::compose(control, SOL_UDP, UDP_SEGMENT, &segment);
            }
            let piece_begin = pieces.len();
            pieces.extend(self.items[begin..begin + count].iter().map(|i| i.source.iovec()));
            messages.push(Message {
                count,
                pieces: (piece_begin, count),
                control: (control_begin, control.len() - control_begin),
                address: first.address,
            });
            begin += count;
        }
    }

    /// Sets the headers' pointers, now that no vector will grow any more.
    fn point(&mut self) {
        let Step { messages, pieces, control, headers } = &mut self.step;
        headers.clear();
        for message in messages.iter() {
            let mut header: mmsghdr = zeroed();
            let to = &mut header.msg_hdr;
            if let Some(address) = self.addresses.get(message.address as usize) {
                to.msg_name = address.as_ptr().cast_mut().cast();
                to.msg_namelen = address.len();
            }
            let (begin, len) = message.pieces;
            to.msg_iov = pieces[begin..begin + len].as_mut_ptr();
            to.msg_iovlen = len as _;
            let (begin, len) = message.control;
            if len > 0 {
                to.msg_control = control[begin..begin + len].as_mut_ptr().cast();
                to.msg_controllen = len as _;
            }
            headers.push(header);
        }
    }
}

#[cfg(test)]
mod tests;
