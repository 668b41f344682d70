//! Packet headers: long ones for the handshake, short ones for everything after it.
//!
//! A long packet ends with a CRC32C over all of it, so that a damaged one is not mistaken for an
//! attack. A short packet is protected as a whole by the transport (an AEAD tag, or a CRC32C in
//! the plaintext profile); here only its header is read and written.

use super::{ConnectionId, Reader, WireError, WireErrorKind, put_varint};

/// The version of the protocol, in every long packet.
pub const VERSION: u32 = 0x7564_7001; // "udp" 1

/// The checksum that ends a long packet, in bytes.
pub const LONG_CHECKSUM_LEN: usize = 4;

/// The longest address token an INIT or RETRY carries, in bytes.
pub const TOKEN_LEN_MAX: u64 = 64;

/// The longest handshake message in a long packet, in bytes.
const PAYLOAD_LEN_MAX: u64 = 1024;

/// Flags, connection id and the longest packet number of a short packet, in bytes.
pub const SHORT_HEADER_LEN_MAX: usize = 1 + ConnectionId::LEN + 4;

const LONG_BIT: u8 = 0x80;
const FIXED_BIT: u8 = 0x40;
const LONG_KIND_SHIFT: u8 = 4;
const KEY_PHASE_BIT: u8 = 0x04;
const NUMBER_LEN_MASK: u8 = 0x03;
const SHORT_RESERVED_BITS: u8 = 0x38;

/// Whether the packet is a long one.
pub fn is_long(packet: &[u8]) -> bool {
    packet.first().is_some_and(|flags| flags & LONG_BIT != 0)
}

/// The connection id a packet is for, without looking at the rest.
pub fn peek_dcid(packet: &[u8]) -> Option<ConnectionId> {
    let at = if is_long(packet) { 5 } else { 1 };
    let mut id = [0; 8];
    id.copy_from_slice(packet.get(at..at + ConnectionId::LEN)?);
    Some(ConnectionId(u64::from_be_bytes(id)))
}

/// What a long packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongKind {
    /// Client to server: open a connection.
    Init,
    /// Server to client: come again with this token; no state was kept.
    Retry,
    /// Server to client: the connection is open.
    Accept,
}

impl LongKind {
    fn from_bits(bits: u8) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::Init),
            1 => Some(Self::Retry),
            2 => Some(Self::Accept),
            _ => None,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::Init => 0,
            Self::Retry => 1,
            Self::Accept => 2,
        }
    }
}

/// The fields of a long packet before its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeader {
    /// What the packet is for.
    pub kind: LongKind,
    /// Whom it is for.
    pub dcid: ConnectionId,
    /// Whom to answer.
    pub scid: ConnectionId,
}

/// A long packet, its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongPacket<'a> {
    /// Kind and ids.
    pub header: LongHeader,
    /// The address token (empty if there is none).
    pub token: &'a [u8],
    /// The handshake message.
    pub payload: &'a [u8],
}

impl<'a> LongPacket<'a> {
    /// Parses a datagram that [`is_long`].
    pub fn parse(packet: &'a [u8]) -> Result<Self, WireError> {
        let whole = Reader::new(packet);
        let body_len = packet
            .len()
            .checked_sub(LONG_CHECKSUM_LEN)
            .ok_or(whole.error(WireErrorKind::Truncated))?;
        let (body, checksum) = packet.split_at(body_len);
        let mut reader = Reader::new(body);
        let flags = reader.u8()?;
        let fixed = flags & !(3 << LONG_KIND_SHIFT);
        if fixed != LONG_BIT | FIXED_BIT {
            return Err(whole.error(WireErrorKind::FixedBits));
        }
        if reader.u32()? != VERSION {
            return Err(whole.error(WireErrorKind::Version));
        }
        if crc32c::crc32c(body).to_be_bytes() != checksum {
            return Err(whole.error(WireErrorKind::Checksum));
        }
        let dcid = ConnectionId(reader.u64()?);
        let scid = ConnectionId(reader.u64()?);
        let token_len = reader.varint_at_most(TOKEN_LEN_MAX)? as usize;
        let token = reader.bytes(token_len)?;
        let payload_len = reader.varint_at_most(PAYLOAD_LEN_MAX)? as usize;
        let payload = reader.bytes(payload_len)?;
        let kind = LongKind::from_bits(flags >> LONG_KIND_SHIFT)
            .ok_or(whole.error(WireErrorKind::FixedBits))?;
        Ok(Self { header: LongHeader { kind, dcid, scid }, token, payload })
    }

    /// Appends the packet, padded with zeros to at least `len_min` bytes, and its checksum.
    pub fn compose(&self, out: &mut Vec<u8>, len_min: usize) {
        let start = out.len();
        out.push(LONG_BIT | FIXED_BIT | self.header.kind.bits() << LONG_KIND_SHIFT);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.header.dcid.0.to_be_bytes());
        out.extend_from_slice(&self.header.scid.0.to_be_bytes());
        put_varint(out, self.token.len() as u64);
        out.extend_from_slice(self.token);
        put_varint(out, self.payload.len() as u64);
        out.extend_from_slice(self.payload);
        let padded = start + len_min.saturating_sub(LONG_CHECKSUM_LEN);
        if out.len() < padded {
            out.resize(padded, 0);
        }
        let checksum = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&checksum.to_be_bytes());
    }
}

/// How many bytes a truncated packet number takes: 1 to 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketNumberLen(u8);

impl PacketNumberLen {
    /// The length that lets the peer tell `number`, whatever of the unacknowledged it has seen.
    ///
    /// RFC 9000 §17.1 and A.2: more than twice the distance to the largest acknowledged.
    pub fn for_number(number: u64, largest_acked: Option<u64>) -> Self {
        let distance = largest_acked.map_or(number + 1, |acked| number - acked);
        let bits = 64 - distance.leading_zeros() + 1;
        Self(bits.div_ceil(8).clamp(1, 4) as u8)
    }

    /// The length in bytes.
    pub fn bytes(self) -> usize {
        usize::from(self.0)
    }
}

/// The first byte of a short packet once header protection is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortFlags {
    /// Which generation of keys protects the packet (RFC 9001 §6).
    pub key_phase: bool,
    /// How many bytes of packet number follow the connection id.
    pub number_len: PacketNumberLen,
}

impl ShortFlags {
    /// The bits header protection covers.
    pub const PROTECTED_BITS: u8 = KEY_PHASE_BIT | NUMBER_LEN_MASK;

    /// Reads the byte.
    pub fn parse(flags: u8) -> Result<Self, WireError> {
        if flags & (LONG_BIT | FIXED_BIT | SHORT_RESERVED_BITS) != FIXED_BIT {
            return Err(WireError { kind: WireErrorKind::FixedBits, offset: 0 });
        }
        let number_len = PacketNumberLen((flags & NUMBER_LEN_MASK) + 1);
        Ok(Self { key_phase: flags & KEY_PHASE_BIT != 0, number_len })
    }

    /// Writes the byte.
    pub fn bits(self) -> u8 {
        let phase = if self.key_phase { KEY_PHASE_BIT } else { 0 };
        FIXED_BIT | phase | (self.number_len.0 - 1)
    }
}

/// The header of a short packet, header protection off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortHeader {
    /// The first byte.
    pub flags: ShortFlags,
    /// Whom the packet is for.
    pub dcid: ConnectionId,
    /// The low bytes of the packet number.
    pub truncated_number: u32,
}

impl ShortHeader {
    /// Parses the header at the front of `packet` and says how long it is.
    pub fn parse(packet: &[u8]) -> Result<(Self, usize), WireError> {
        let mut reader = Reader::new(packet);
        let flags = ShortFlags::parse(reader.u8()?)?;
        let dcid = ConnectionId(reader.u64()?);
        let number = reader.bytes(flags.number_len.bytes())?;
        let truncated_number = number.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
        Ok((Self { flags, dcid, truncated_number }, reader.offset()))
    }

    /// Appends the header.
    pub fn compose(&self, out: &mut Vec<u8>) {
        out.push(self.flags.bits());
        out.extend_from_slice(&self.dcid.0.to_be_bytes());
        let number = self.truncated_number.to_be_bytes();
        out.extend_from_slice(&number[4 - self.flags.number_len.bytes()..]);
    }
}

/// The full packet number nearest to the one expected next (RFC 9000 A.3).
pub fn decode_packet_number(truncated: u32, len: PacketNumberLen, expected: u64) -> u64 {
    let window = 1_u64 << (8 * len.bytes());
    let half = window / 2;
    let candidate = expected & !(window - 1) | u64::from(truncated);
    if candidate + half <= expected && candidate < (1 << 62) - window {
        candidate + window
    } else if candidate > expected + half && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}
