//! The wire format of the production transport: packets, frames, parameters.
//!
//! `docs/protocol.md` is the specification, with the bit layouts. This module turns bytes into
//! values and back; it keeps no state, reads no clock, encrypts nothing (the transport's packet
//! protection does, in place, before and after).
//!
//! Rules of these files: parsing never panics and never allocates in proportion to a number it
//! read; whatever composes parses back to the same value; every limit has a name.

mod ack;
mod frame;
mod header;
mod params;
mod varint;

pub use ack::{AckFrame, AckRanges, EcnCounts, compose_ack};
pub use frame::{CLOSE_REASON_LEN_MAX, Frame, Frames, Mode, Msg, MsgHead, Repair};
pub use header::{
    LONG_CHECKSUM_LEN, LongHeader, LongKind, LongPacket, PacketNumberLen, SHORT_HEADER_LEN_MAX,
    ShortFlags, ShortHeader, TOKEN_LEN_MAX, VERSION, decode_packet_number, is_long, peek_dcid,
};
pub use params::Params;
pub use varint::{Reader, VARINT_MAX, put_varint, varint_len};

use std::fmt;

/// The longest ACK frame lists this many ranges; older ones are left out.
pub const ACK_RANGES_MAX: usize = 64;

/// The longest message the format can carry, in bytes (a sender may be allowed less).
pub const MESSAGE_LEN_MAX: u64 = 1 << 30;

/// Channel numbers are below this.
pub const CHANNELS_MAX: u64 = 1 << 16;

/// Names one end of a connection in a packet; drawn at random by the end it names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// Every connection id is this long on the wire, in bytes.
    pub const LEN: usize = 8;
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is wrong with bytes from the network, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct WireError {
    /// What is wrong.
    pub kind: WireErrorKind,
    /// The byte at which it was noticed, from the start of what was parsed.
    pub offset: usize,
}

/// The ways in which bytes fail to be a packet or a frame of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireErrorKind {
    /// The bytes end before the value does.
    #[error("the bytes end too early")]
    Truncated,
    /// The checksum of a long packet does not match.
    #[error("the checksum does not match")]
    Checksum,
    /// A bit that must have one value has the other.
    #[error("a fixed bit has the wrong value")]
    FixedBits,
    /// No version of this protocol that we speak.
    #[error("unknown version")]
    Version,
    /// A number is above its limit.
    #[error("a number is above its limit")]
    Limit,
    /// A frame type that this version does not know.
    #[error("unknown frame type")]
    FrameType,
    /// The acknowledged ranges run below zero.
    #[error("acknowledged ranges run below zero")]
    AckRange,
    /// A fragment lies outside its message.
    #[error("a fragment lies outside its message")]
    Fragment,
    /// A parameter appears twice or has the wrong length.
    #[error("a parameter is repeated or malformed")]
    Parameter,
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    Text,
}

#[cfg(test)]
mod tests;
