//! The blocks of a pcapng file: composed, not read.
//!
//! draft-ietf-opsawg-pcapng: a block is type, total length, body, total length; options are code,
//! length, value; everything is padded to 32 bits. We write little-endian and say so by the
//! byte-order magic. No clock, no file here.

use std::fmt;
use std::io::Write as _;

use crate::units::Nanos;

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1A2B_3C4D;
/// "The length of the section is not known."
const LENGTH_UNKNOWN: u64 = u64::MAX;

const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const SHB_USER_APPLICATION: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TIME_RESOLUTION: u16 = 9;
const NANOSECONDS: [u8; 1] = [9];
const EPB_FLAGS: u16 = 2;
const EPB_DROP_COUNT: u16 = 4;
const EPB_PACKET_ID: u16 = 5;
const ISB_START: u16 = 2;
const ISB_END: u16 = 3;
const ISB_RECEIVED: u16 = 4;
const ISB_DROPPED: u16 = 5;

/// Bits 0 and 1 of the packet flags.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// What the bytes of a packet begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum LinkType {
    /// An Ethernet header.
    #[cfg_attr(not(all(target_os = "linux", feature = "raw")), allow(dead_code))]
    Ethernet = 1,
    /// An IPv4 or IPv6 header.
    Raw = 101,
}

/// One packet, without its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct PacketHead<'a> {
    pub(super) interface: u32,
    pub(super) time: EpochNanos,
    pub(super) is_inbound: bool,
    /// The same for all appearances of a packet; 0 when that is not known.
    pub(super) id: u64,
    /// How many packets of this interface are missing right before this one.
    pub(super) missing: u64,
    pub(super) comment: Option<fmt::Arguments<'a>>,
}

/// Nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EpochNanos(pub(super) u64);

impl EpochNanos {
    pub(super) fn plus(self, time: Nanos) -> Self {
        Self(self.0.saturating_add(time.as_nanos()))
    }

    /// High half first, each half little-endian: the odd one out of the format.
    fn halves(self) -> [u8; 8] {
        let [high, low] = [(self.0 >> 32) as u32, self.0 as u32];
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&high.to_le_bytes());
        bytes[4..].copy_from_slice(&low.to_le_bytes());
        bytes
    }
}

pub(super) fn write_section(out: &mut Vec<u8>, application: &str, comment: &str) {
    let mut block = Block::begin(out, SECTION_HEADER);
    block.u32(BYTE_ORDER_MAGIC);
    // Version 1.0.
    block.bytes(&[1, 0, 0, 0]);
    block.bytes(&LENGTH_UNKNOWN.to_le_bytes());
    block.option(COMMENT, comment.as_bytes());
    block.option(SHB_USER_APPLICATION, application.as_bytes());
    block.end();
}

pub(super) fn write_interface(out: &mut Vec<u8>, link: LinkType, name: &str, description: &str) {
    let mut block = Block::begin(out, INTERFACE_DESCRIPTION);
    block.bytes(&(link as u16).to_le_bytes());
    block.bytes(&[0, 0]);
    // Snapshot length 0: packets are whole.
    block.u32(0);
    block.option(IF_NAME, name.as_bytes());
    block.option(IF_DESCRIPTION, description.as_bytes());
    block.option(IF_TIME_RESOLUTION, &NANOSECONDS);
    block.end();
}

/// Writes a packet and returns where its bytes begin in `out`.
pub(super) fn write_packet(out: &mut Vec<u8>, head: &PacketHead<'_>, parts: &[&[u8]]) -> usize {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
    let mut block = Block::begin(out, ENHANCED_PACKET);
    block.u32(head.interface);
    block.bytes(&head.time.halves());
    block.u32(length);
    block.u32(length);
    let start = block.out.len();
    for part in parts {
        block.bytes(part);
    }
    block.pad();
    if let Some(comment) = head.comment {
        block.text(COMMENT, comment);
    }
    let direction = if head.is_inbound { INBOUND } else { OUTBOUND };
    block.option(EPB_FLAGS, &direction.to_le_bytes());
    if head.missing > 0 {
        block.option(EPB_DROP_COUNT, &head.missing.to_le_bytes());
    }
    if head.id > 0 {
        block.option(EPB_PACKET_ID, &head.id.to_le_bytes());
    }
    block.end();
    start
}

/// What an interface has seen from `start` to `end`; `missing` of it is not in the file.
pub(super) fn write_statistics(
    out: &mut Vec<u8>,
    interface: u32,
    (start, end): (EpochNanos, EpochNanos),
    seen: u64,
    missing: u64,
) {
    let mut block = Block::begin(out, INTERFACE_STATISTICS);
    block.u32(interface);
    block.bytes(&end.halves());
    block.option(ISB_START, &start.halves());
    block.option(ISB_END, &end.halves());
    block.option(ISB_RECEIVED, &seen.to_le_bytes());
    block.option(ISB_DROPPED, &missing.to_le_bytes());
    block.end();
}

/// A block that is being written; [`Block::end`] fills in its length.
struct Block<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Block<'a> {
    fn begin(out: &'a mut Vec<u8>, kind: u32) -> Self {
        let start = out.len();
        let mut block = Self { out, start };
        block.u32(kind);
        block.u32(0);
        block
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    fn pad(&mut self) {
        let padded = self.out.len().next_multiple_of(4);
        self.out.resize(padded, 0);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(usize::from(u16::MAX))];
        self.bytes(&code.to_le_bytes());
        self.bytes(&(value.len() as u16).to_le_bytes());
        self.bytes(value);
        self.pad();
    }

    fn text(&mut self, code: u16, text: fmt::Arguments<'_>) {
        self.bytes(&code.to_le_bytes());
        self.bytes(&[0, 0]);
        let start = self.out.len();
        // Writing to a Vec cannot fail.
        let _ = self.out.write_fmt(text);
        self.out.truncate(start + usize::from(u16::MAX));
        let length = (self.out.len() - start) as u16;
        self.out[start - 2..start].copy_from_slice(&length.to_le_bytes());
        self.pad();
    }

    fn end(mut self) {
        self.option(END_OF_OPTIONS, &[]);
        let length = (self.out.len() - self.start + 4) as u32;
        self.u32(length);
        self.out[self.start + 4..self.start + 8].copy_from_slice(&length.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_block_byte_by_byte() {
        let mut out = Vec::new();
        let head = PacketHead {
            interface: 1,
            time: EpochNanos(0x0000_0001_0000_0002),
            is_inbound: false,
            id: 3,
            missing: 0,
            comment: Some(format_args!("no")),
        };
        assert_eq!(write_packet(&mut out, &head, &[b"ab", b"c"]), 28);
        #[rustfmt::skip]
        let expected = [
            6, 0, 0, 0,  68, 0, 0, 0,  1, 0, 0, 0,
            1, 0, 0, 0,  2, 0, 0, 0,  3, 0, 0, 0,  3, 0, 0, 0,
            b'a', b'b', b'c', 0,
            1, 0, 2, 0, b'n', b'o', 0, 0,
            2, 0, 4, 0, 2, 0, 0, 0,
            5, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0,  68, 0, 0, 0,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn blocks_are_whole_words_and_say_their_length_twice() {
        let mut out = Vec::new();
        write_section(&mut out, "netem", "a comment");
        write_interface(&mut out, LinkType::Raw, "client", "");
        let times = (EpochNanos(1), EpochNanos(2));
        write_statistics(&mut out, 0, times, 7, 2);
        let mut kinds = Vec::new();
        let mut rest = &out[..];
        while !rest.is_empty() {
            let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
            let length = word(4) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(word(length - 4) as usize, length);
            kinds.push(word(0));
            rest = &rest[length..];
        }
        assert_eq!(kinds, [SECTION_HEADER, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS]);
    }

    #[test]
    fn a_comment_longer_than_an_option_is_cut() {
        let mut out = Vec::new();
        let long = "x".repeat(70_000);
        let time = EpochNanos(0);
        let comment = Some(format_args!("{long}"));
        let head = PacketHead { interface: 0, time, is_inbound: true, id: 0, missing: 0, comment };
        write_packet(&mut out, &head, &[]);
        assert!(out.len() < 66_000);
        assert_eq!(out.len() % 4, 0);
    }
}
