//! The fast backend: an AF_PACKET descriptor of our own, many frames a system call.
//!
//! recvmmsg takes a batch of frames with their `virtio_net_hdr` and, beside each, the VLAN tag
//! that the system took off (PACKET_AUXDATA); sendmmsg sends a batch, headers and payload from
//! where they are. packet(7).
//!
//! Rule of this file: every pointer handed to the kernel is taken right before the call, and what
//! it points to lives unchanged through it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;

use super::frame::{Frame, Pool, Tag};
use super::frame_io::FrameIo;
use super::outbox::{Heads, Outgoing};
use super::socket;

/// Frames taken by one call; fewer when they are large (up to 64 KiB with segmentation offload),
/// so that they stay in the cache until they are sent.
const RECEIVED_MAX: usize = 32;
const LARGE_RECEIVED_MAX: usize = 8;
/// Frames sent by one call.
const SENT_MAX: usize = 32;
/// A control message with the 20 bytes of `tpacket_auxdata`, and room to spare.
const CONTROL_BYTES: usize = 64;

/// Bits of `tp_status` in linux/if_packet.h.
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;
/// The EtherType of a tag when the system does not say which: IEEE 802.1Q.
const TPID_DEFAULT: u16 = 0x8100;

#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// An interface through a packet socket.
pub(super) struct PacketIo {
    name: String,
    fd: OwnedFd,
    slots: Vec<Arc<Frame>>,
    /// How many frames the next call takes.
    batch: usize,
    controls: Vec<Control>,
    heads: Heads,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the raw pointers in `vectors` and `headers` are written anew before each use.
unsafe impl Send for PacketIo {}

impl std::fmt::Debug for PacketIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacketIo").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PacketIo {
    pub(super) fn open(name: &str, index: u32) -> io::Result<Self> {
        let fd = socket::open()?;
        socket::bind(&fd, index)?;
        Ok(Self {
            name: name.to_owned(),
            fd,
            slots: Vec::new(),
            batch: RECEIVED_MAX,
            controls: vec![Control([0; CONTROL_BYTES]); RECEIVED_MAX],
            heads: Heads::default(),
            vectors: Vec::new(),
            headers: Vec::new(),
        })
    }

    /// Points the headers at the slots, which nobody shares.
    fn prepare_to_receive(&mut self, pool: &mut Pool) {
        while self.slots.len() < self.batch {
            self.slots.push(pool.room());
        }
        self.vectors.clear();
        for slot in &mut self.slots[..self.batch] {
            let room = Arc::get_mut(slot).map_or(&mut [][..], Frame::room);
            let (iov_base, iov_len) = (room.as_mut_ptr().cast(), room.len());
            self.vectors.push(libc::iovec { iov_base, iov_len });
        }
        self.headers.clear();
        for (vector, control) in self.vectors.iter_mut().zip(&mut self.controls) {
            let mut header = empty_header();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = ptr::from_mut(control).cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES as _;
            self.headers.push(header);
        }
    }

    fn prepare_to_send(&mut self, outgoing: &[Outgoing]) {
        self.heads.write(outgoing);
        self.vectors.clear();
        for (index, Outgoing { piece, .. }) in outgoing.iter().enumerate() {
            let head = self.heads.of(index);
            let rest = match head.len() {
                0 => piece.frame.bytes(),
                _ => piece.frame.payload(&piece.parts),
            };
            self.vectors.extend([head, rest].map(|bytes| libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            }));
        }
        self.headers.clear();
        for vectors in self.vectors.chunks_exact_mut(2) {
            let mut header = empty_header();
            header.msg_hdr.msg_iov = vectors.as_mut_ptr();
            header.msg_hdr.msg_iovlen = 2;
            self.headers.push(header);
        }
    }
}

impl FrameIo for PacketIo {
    fn name(&self) -> &str {
        &self.name
    }

    fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    fn receive(&mut self, pool: &mut Pool, frames: &mut Vec<Arc<Frame>>) -> io::Result<bool> {
        self.prepare_to_receive(pool);
        // SAFETY: the headers point to slots and controls of this struct, of the stated sizes,
        // which are not touched until the call is over.
        let count = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.batch as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(false),
                io::ErrorKind::Interrupted => Ok(true),
                _ => Err(error),
            };
        }
        let count = count as usize;
        let mut has_large = false;
        let said = self.headers.iter().zip(&self.controls);
        for (mut slot, (header, Control(control))) in self.slots.drain(..count).zip(said) {
            // Narrower with musl.
            #[allow(clippy::unnecessary_cast)]
            let length = (header.msg_hdr.msg_controllen as usize).min(CONTROL_BYTES);
            let tag = tag(&control[..length]);
            if let Some(frame) = Arc::get_mut(&mut slot) {
                frame.received(header.msg_len as usize, tag);
            }
            has_large |= !slot.is_small();
            frames.push(pool.keep(slot));
        }
        let has_more = count == self.batch;
        self.batch = if has_large { LARGE_RECEIVED_MAX } else { RECEIVED_MAX };
        Ok(has_more)
    }

    fn send(&mut self, outgoing: &[Outgoing]) -> io::Result<usize> {
        let outgoing = &outgoing[..outgoing.len().min(SENT_MAX)];
        self.prepare_to_send(outgoing);
        // SAFETY: the headers point to `self.heads` and to the frames of `outgoing`, which live
        // unchanged through the call.
        let count = unsafe {
            libc::sendmmsg(
                self.fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        if count < 0 { Err(io::Error::last_os_error()) } else { Ok(count as usize) }
    }

    fn overruns(&mut self) -> u32 {
        socket::overruns(self.fd.as_raw_fd())
    }
}

fn empty_header() -> libc::mmsghdr {
    // SAFETY: all zero is a valid header: no name, no buffers, no control messages.
    unsafe { std::mem::zeroed() }
}

/// The VLAN tag in the control messages beside a frame, if one was taken off.
///
/// A message is a length as wide as a pointer, level and type of 32 bits each, then
/// `tpacket_auxdata`: status, length, captured length (32 bits each), offsets of the headers, tag
/// control information, and its EtherType (16 bits each); all in the machine's order.
fn tag(control: &[u8]) -> Option<Tag> {
    const DATA: usize = size_of::<usize>() + 8;
    let word = |at: usize| control.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
    let half = |at: usize| control.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes);
    let (level, kind) = (word(DATA - 8)?, word(DATA - 4)?);
    if (level, kind) != (libc::SOL_PACKET as u32, libc::PACKET_AUXDATA as u32) {
        return None;
    }
    let status = word(DATA)?;
    if status & TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let is_said = status & TP_STATUS_VLAN_TPID_VALID != 0;
    let tpid = if is_said { half(DATA + 18)? } else { TPID_DEFAULT };
    let ([a, b], [c, d]) = (tpid.to_be_bytes(), half(DATA + 16)?.to_be_bytes());
    Some([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(status: u32, tci: u16, tpid: u16) -> Vec<u8> {
        let mut bytes = (size_of::<usize>() + 8 + 20).to_ne_bytes().to_vec();
        bytes.extend((libc::SOL_PACKET as u32).to_ne_bytes());
        bytes.extend((libc::PACKET_AUXDATA as u32).to_ne_bytes());
        bytes.extend([status, 60, 60].iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend([0, 14, tci, tpid].iter().flat_map(|half: &u16| half.to_ne_bytes()));
        bytes
    }

    #[test]
    fn a_tag_that_was_taken_off_is_read() {
        let both = TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
        assert_eq!(tag(&message(both, 0x6005, 0x88A8)), Some([0x88, 0xA8, 0x60, 0x05]));
        assert_eq!(tag(&message(TP_STATUS_VLAN_VALID, 5, 0)), Some([0x81, 0, 0, 5]));
        assert_eq!(tag(&message(0, 5, 0x8100)), None);
        for length in 0..message(both, 5, 0x8100).len() {
            let _ = tag(&message(both, 5, 0x8100)[..length]);
        }
    }
}
