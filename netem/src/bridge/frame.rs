//! A frame as an interface gave it, shared by the packets in it; and buffers that are used again.
//!
//! The bytes are a `virtio_net_hdr` and what comes from the Ethernet header on, as on the wire: a
//! VLAN tag that the system had taken off is put back.

use std::ops::Range;
use std::sync::Arc;

use super::segment::{HEADER_BYTES, Layout, NEEDS_CSUM, VLAN_BYTES};

/// The longest frame there is with segmentation offload, its headers, and some room.
pub(super) const FRAME_BYTES_MAX: usize = 1 << 17;
/// A frame up to this length is copied to a buffer of its size; a longer one keeps the buffer it
/// came in.
const COPY_BYTES_MAX: usize = 4096;
/// Buffers kept for reuse.
const SMALL_MAX: usize = 4096;
const LARGE_MAX: usize = 256;
/// The destination and the source address, which come before a tag.
const ADDRESSES_BYTES: usize = 12;

/// A frame, or room for one.
#[derive(Debug)]
pub(super) struct Frame {
    buffer: Vec<u8>,
    /// Where in the buffer the frame is. A tag may be put back, so it begins behind room for one.
    place: Range<usize>,
    layout: Option<Layout>,
}

/// A VLAN tag as it stands in a frame: its EtherType and its control information.
pub(super) type Tag = [u8; VLAN_BYTES];

impl Frame {
    fn with_room(bytes: usize) -> Self {
        Self { buffer: vec![0; bytes], place: 0..0, layout: None }
    }

    /// A frame of exactly these bytes, its `virtio_net_hdr` first.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        let (place, layout) = (0..bytes.len(), None);
        Self { buffer: bytes, place, layout }
    }

    /// Where an interface writes to; then call [`Self::received`].
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.buffer[VLAN_BYTES..]
    }

    /// So many bytes were written to the room, from which `tag` had been taken off.
    pub(super) fn received(&mut self, length: usize, tag: Option<Tag>) {
        self.place = VLAN_BYTES..VLAN_BYTES + length;
        if let Some(tag) = tag
            && length >= HEADER_BYTES + ADDRESSES_BYTES
        {
            self.put_back(tag);
        }
        self.layout = Layout::of(self.bytes());
    }

    fn put_back(&mut self, tag: Tag) {
        let before = HEADER_BYTES + ADDRESSES_BYTES;
        self.buffer.copy_within(VLAN_BYTES..VLAN_BYTES + before, 0);
        self.buffer[before..before + VLAN_BYTES].copy_from_slice(&tag);
        self.place.start = 0;
        // The length of the headers and where the checksum begins count from the Ethernet header.
        if self.buffer[0] & NEEDS_CSUM != 0 {
            for at in [2, 6] {
                let value = u16::from_ne_bytes([self.buffer[at], self.buffer[at + 1]]);
                let value = value.saturating_add(VLAN_BYTES as u16);
                self.buffer[at..at + 2].copy_from_slice(&value.to_ne_bytes());
            }
        }
    }

    /// All of it, the `virtio_net_hdr` first.
    pub(super) fn bytes(&self) -> &[u8] {
        let end = self.place.end.min(self.buffer.len());
        &self.buffer[self.place.start..end]
    }

    /// All of it, to be changed; its layout must not matter any more.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Whether it fits into a small buffer.
    pub(super) fn is_small(&self) -> bool {
        self.bytes().len() <= COPY_BYTES_MAX
    }

    /// From the Ethernet header on.
    pub(super) fn body(&self) -> &[u8] {
        self.bytes().get(HEADER_BYTES..).unwrap_or_default()
    }

    /// How many packets it is on the wire.
    pub(super) fn parts(&self) -> u32 {
        self.layout.map_or(1, |layout| layout.segments(self.body().len()))
    }

    /// The size of some of its packets as one, from the Ethernet header on.
    pub(super) fn size_of(&self, parts: &Range<u32>) -> usize {
        let length = self.body().len();
        match &self.layout {
            None => length,
            Some(layout) => layout.head_bytes() + layout.payload_of(parts, length).len(),
        }
    }

    /// Whether these are all of its packets.
    pub(super) fn is_all(&self, parts: &Range<u32>) -> bool {
        parts.len() == self.parts() as usize
    }

    /// Appends the headers of some of its packets, the `virtio_net_hdr` first, to `out`, and
    /// returns what comes behind them. All of them are what came, unchanged, without a header.
    pub(super) fn split(&self, parts: &Range<u32>, out: &mut Vec<u8>) -> &[u8] {
        match &self.layout {
            Some(layout) if !self.is_all(parts) => {
                layout.write_head(self.bytes(), parts, out);
                self.payload(parts)
            }
            _ => self.bytes(),
        }
    }

    /// The payload of some of its packets, or all that comes behind the `virtio_net_hdr` of a
    /// frame that is not to be cut.
    pub(super) fn payload(&self, parts: &Range<u32>) -> &[u8] {
        let body = self.body();
        self.layout.map_or(body, |layout| &body[layout.payload_of(parts, body.len())])
    }

    /// Writes one packet, or several to be cut, to `out`.
    pub(super) fn write_to(&self, parts: &Range<u32>, out: &mut Vec<u8>) {
        let rest = self.split(parts, out);
        out.extend_from_slice(rest);
    }
}

/// Buffers of frames, kept to be used again.
#[derive(Debug, Default)]
pub(super) struct Pool {
    small: Vec<Arc<Frame>>,
    large: Vec<Arc<Frame>>,
}

impl Pool {
    /// Room for the longest frame, that nobody shares.
    pub(super) fn room(&mut self) -> Arc<Frame> {
        self.large.pop().unwrap_or_else(|| Arc::new(Frame::with_room(FRAME_BYTES_MAX)))
    }

    /// The frame in `slot`, in a buffer that is not much longer than it.
    pub(super) fn keep(&mut self, slot: Arc<Frame>) -> Arc<Frame> {
        if !slot.is_small() {
            return slot;
        }
        let mut small = match self.small.pop() {
            Some(small) => small,
            None => Arc::new(Frame::with_room(COPY_BYTES_MAX)),
        };
        let length = slot.bytes().len();
        if let Some(frame) = Arc::get_mut(&mut small) {
            frame.buffer[..length].copy_from_slice(slot.bytes());
            (frame.place, frame.layout) = (0..length, slot.layout);
        }
        self.give_back(slot);
        small
    }

    /// Keeps the buffer of `frame` if nobody else has it.
    pub(super) fn give_back(&mut self, mut frame: Arc<Frame>) {
        let Some(owned) = Arc::get_mut(&mut frame) else { return };
        let (list, max) = match owned.buffer.len() {
            COPY_BYTES_MAX => (&mut self.small, SMALL_MAX),
            FRAME_BYTES_MAX => (&mut self.large, LARGE_MAX),
            _ => return,
        };
        if list.len() < max {
            list.push(frame);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
