//! What a link of the bridge carries: a packet, as a part of the frame it came in.
//!
//! Its bytes are written apart only when something happens to them: a bit is flipped, the end is
//! cut off, it is marked. A checksum that is still to be computed is computed first, so that a
//! flipped bit makes it wrong, as on a wire, and the receiver drops the packet.

use std::ops::Range;
use std::sync::Arc;

use super::frame::Frame;
use super::segment::{
    ETHERTYPE_IPV4, ETHERTYPE_IPV6, HEADER_BYTES, NEEDS_CSUM, folded, network_layer, put, sum, word,
};
use crate::packet::PayloadMut;

/// The two ECN bits of a packet (RFC 3168, section 5): not capable, and congestion experienced.
const ECN_MASK: u8 = 0b11;

/// One packet; after release also several neighbours of one frame.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) frame: Arc<Frame>,
    pub(super) parts: Range<u32>,
}

impl Piece {
    /// The size, from the Ethernet header on.
    pub(super) fn size_bytes(&self) -> u32 {
        self.frame.size_of(&self.parts) as u32
    }

    /// The same packet as a frame of its own: its bytes can be changed.
    pub(super) fn own(&mut self) -> &mut Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.size_bytes() as usize);
        self.frame.write_to(&self.parts, &mut bytes);
        self.frame = Arc::new(Frame::of(bytes));
        self.parts = 0..1;
        Arc::get_mut(&mut self.frame).expect("nobody else has it yet").bytes_mut()
    }

    /// If `next` comes right behind this in the same frame, both become one.
    pub(super) fn join(&mut self, next: &Self) -> bool {
        let joins = Arc::ptr_eq(&self.frame, &next.frame) && self.parts.end == next.parts.start;
        if joins {
            self.parts.end = next.parts.end;
        }
        joins
    }
}

impl PayloadMut for Piece {
    /// From the Ethernet header on. Of a packet that is not written apart yet: the whole frame.
    fn bytes(&self) -> &[u8] {
        self.frame.body()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        let frame = self.own();
        finish_checksum(frame);
        frame.get_mut(HEADER_BYTES..).unwrap_or_default()
    }

    fn truncate(&mut self, length: usize) {
        let frame = self.own();
        finish_checksum(frame);
        frame.truncate(HEADER_BYTES + length);
    }

    fn is_ecn_capable(&self) -> bool {
        traffic_class(self.bytes()).is_some_and(|class| class & ECN_MASK != 0)
    }

    fn mark_congestion(&mut self) {
        let frame = self.own();
        mark(frame.get_mut(HEADER_BYTES..).unwrap_or_default());
    }
}

/// TOS or traffic class of an IP packet.
fn traffic_class(body: &[u8]) -> Option<u8> {
    let (ip, kind) = network_layer(body)?;
    match kind {
        ETHERTYPE_IPV4 => body.get(ip + 1).copied(),
        ETHERTYPE_IPV6 => Some((word(body, ip)? >> 4) as u8),
        _ => None,
    }
}

/// Sets "congestion experienced" in the IP header, whose checksum stays right.
fn mark(body: &mut [u8]) {
    match network_layer(body) {
        Some((ip, ETHERTYPE_IPV4)) if body.len() >= ip + 20 => {
            body[ip + 1] |= ECN_MASK;
            let header = ip..(ip + usize::from(body[ip] & 0x0F) * 4).min(body.len());
            put(body, ip + 10, 0);
            let checksum = !folded(sum(&body[header]));
            put(body, ip + 10, checksum);
        }
        // The traffic class stands across the first two bytes.
        Some((ip, ETHERTYPE_IPV6)) if body.len() >= ip + 2 => body[ip + 1] |= ECN_MASK << 4,
        _ => {}
    }
}

/// Computes the checksum that the sender left to the hardware, if it did.
fn finish_checksum(frame: &mut [u8]) {
    let Some((header, body)) = frame.split_at_mut_checked(HEADER_BYTES) else { return };
    if header[0] & NEEDS_CSUM == 0 {
        return;
    }
    header[0] &= !NEEDS_CSUM;
    let begin = usize::from(u16::from_ne_bytes([header[6], header[7]]));
    let at = begin + usize::from(u16::from_ne_bytes([header[8], header[9]]));
    if begin < at && at + 2 <= body.len() {
        let checksum = !folded(sum(&body[begin..]));
        // RFC 768: zero means that there is none; 0xFFFF is the same sum, for TCP too.
        put(body, at, if checksum == 0 { 0xFFFF } else { checksum });
    }
}

/// Takes `bytes` for a frame and does everything to it that the bridge does, for fuzzing: whatever
/// the bytes are, nothing panics, and nothing of the payload is lost or added. The first four are
/// a VLAN tag that was taken off, if their first bit is set.
#[doc(hidden)]
pub fn check_frame(bytes: &[u8]) {
    let Some((tag, rest)) = bytes.split_first_chunk() else { return };
    let mut room = super::frame::Pool::default().room();
    let Some(frame) = Arc::get_mut(&mut room) else { return };
    let length = rest.len().min(frame.room().len());
    frame.room()[..length].copy_from_slice(&rest[..length]);
    frame.received(length, (tag[0] & 0x80 != 0).then_some(*tag));
    let frame = room;
    let _ = super::flows::key(frame.body());
    let (count, mut out) = (frame.parts(), Vec::new());
    let mut payload_bytes = 0;
    for part in 0..count {
        let parts = part..part + 1;
        out.clear();
        payload_bytes += frame.split(&parts, &mut out).len();
        let mut piece = Piece { frame: Arc::clone(&frame), parts };
        assert_eq!(piece.own().len(), out.len() + piece_rest(&frame, part).len());
        if piece.is_ecn_capable() {
            piece.mark_congestion();
        }
        piece.bytes_mut().iter_mut().for_each(|byte| *byte ^= 1);
        piece.truncate(length / 2);
    }
    let parts = 0..count.div_ceil(2);
    out.clear();
    frame.write_to(&parts, &mut out);
    assert_eq!(out.len(), frame.size_of(&parts) + frame.bytes().len().min(HEADER_BYTES));
    let heads = if count == 1 { 0 } else { HEADER_BYTES + frame.size_of(&(0..0)) };
    assert_eq!(payload_bytes + heads, frame.bytes().len());
}

fn piece_rest(frame: &Frame, part: u32) -> &[u8] {
    frame.split(&(part..part + 1), &mut Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 frame with a UDP datagram whose checksum is still to be computed.
    fn open_frame() -> Frame {
        let mut bytes = vec![NEEDS_CSUM, 0, 42, 0, 0, 0, 34, 0, 6, 0];
        bytes.extend([2; 12]);
        bytes.extend([8, 0, 0x45, 0b10, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        let seed = folded(sum(&[10, 0, 0, 1, 10, 0, 0, 2]) + 17 + 12);
        bytes.extend([0, 1, 0, 2, 0, 12]);
        bytes.extend(seed.to_be_bytes());
        bytes.extend(b"data");
        Frame::of(bytes)
    }

    #[test]
    fn a_changed_packet_has_a_finished_checksum_that_no_longer_fits() {
        let mut piece = Piece { frame: Arc::new(open_frame()), parts: 0..1 };
        let whole = |body: &[u8]| {
            let pseudo = sum(&body[26..34]) + 17 + 12;
            folded(sum(&body[34..]) + pseudo)
        };
        let body = piece.bytes_mut();
        assert_eq!(whole(body), 0xFFFF, "right before the change");
        body[44] ^= 0x10;
        assert_ne!(whole(body), 0xFFFF);
        assert_eq!(piece.frame.bytes()[0] & NEEDS_CSUM, 0, "nobody mends it");
    }

    #[test]
    fn marking_sets_the_bits_and_mends_the_header() {
        let mut piece = Piece { frame: Arc::new(open_frame()), parts: 0..1 };
        assert!(piece.is_ecn_capable());
        piece.mark_congestion();
        let body = piece.bytes();
        assert_eq!(body[15], 0b11);
        assert_eq!(folded(sum(&body[14..34])), 0xFFFF);
        assert_ne!(piece.frame.bytes()[0] & NEEDS_CSUM, 0, "the other one is not touched");
    }
}
