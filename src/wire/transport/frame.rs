//! The frames inside a short packet.
//!
//! MSG carries messages and their fragments; the others acknowledge, grant credit, probe paths
//! and close. Frame types below 0x40 are listed here; 0x80 and above are MSG with its options.

use super::{
    AckFrame, CHANNELS_MAX, ConnectionId, MESSAGE_LEN_MAX, Reader, VARINT_MAX, WireError,
    WireErrorKind, put_varint, varint_len,
};

const PADDING: u8 = 0x00;
const PING: u8 = 0x01;
pub(super) const ACK: u8 = 0x02;
pub(super) const ACK_ECN: u8 = 0x03;
const SKIP: u8 = 0x04;
const MAX_DATA: u8 = 0x05;
const MAX_CHANNEL: u8 = 0x06;
const REPAIR: u8 = 0x07;
const IMMEDIATE_ACK: u8 = 0x08;
const PATH_CHALLENGE: u8 = 0x09;
const PATH_RESPONSE: u8 = 0x0a;
const NEW_CID: u8 = 0x0b;
const RETIRE_CID: u8 = 0x0c;
const ACK_FREQUENCY: u8 = 0x0d;
const CLOSE: u8 = 0x0e;
const TIMESTAMP: u8 = 0x0f;
const BLOCKED: u8 = 0x10;

const MSG: u8 = 0x80;
const MSG_MODE_SHIFT: u8 = 5;
const MSG_FRAGMENT: u8 = 0x10;
const MSG_DEADLINE: u8 = 0x08;
const MSG_LEN: u8 = 0x04;
const MSG_RESERVED: u8 = 0x03;

const REPAIR_DEADLINE: u8 = 0x04;

/// The longest reason a CLOSE carries, in bytes.
pub const CLOSE_REASON_LEN_MAX: u64 = 256;

/// How a channel delivers its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Every message, in the order sent.
    #[default]
    Ordered,
    /// Every message, each as soon as it is complete.
    Unordered,
    /// Never an older message after a newer one; the newest always arrives in the end.
    Sequenced,
    /// Each at most once, sent once, in whatever order the network leaves them.
    Unreliable,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Ordered => "ordered",
            Self::Unordered => "unordered",
            Self::Sequenced => "sequenced",
            Self::Unreliable => "unreliable",
        })
    }
}

impl Mode {
    fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Ordered,
            1 => Self::Unordered,
            2 => Self::Sequenced,
            _ => Self::Unreliable,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::Ordered => 0,
            Self::Unordered => 1,
            Self::Sequenced => 2,
            Self::Unreliable => 3,
        }
    }
}

/// What a MSG frame says about its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsgHead {
    /// The channel.
    pub channel: u32,
    /// The message's number on its channel, in the order of first transmission.
    pub id: u64,
    /// How the channel delivers.
    pub mode: Mode,
    /// The length of the whole message, in bytes.
    pub total: u32,
    /// Where in the message the data begins.
    pub offset: u32,
    /// When the message becomes worthless, in microseconds of the sender's clock.
    pub deadline_us: Option<u64>,
}

/// A parsed MSG frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msg<'a> {
    /// Everything but the data.
    pub head: MsgHead,
    /// This fragment's bytes (the whole message if it was not cut).
    pub data: &'a [u8],
}

impl MsgHead {
    /// The bytes a frame takes before its data, if `data_len` bytes follow and, unless
    /// `to_end`, their length is written.
    pub fn len(&self, data_len: usize, to_end: bool) -> usize {
        let fragment = if self.is_fragment(data_len) {
            varint_len(u64::from(self.total)) + varint_len(u64::from(self.offset))
        } else {
            0
        };
        let len = if to_end { 0 } else { varint_len(data_len as u64) };
        1 + varint_len(u64::from(self.channel))
            + varint_len(self.id)
            + fragment
            + self.deadline_us.map_or(0, varint_len)
            + len
    }

    fn is_fragment(&self, data_len: usize) -> bool {
        self.offset != 0 || data_len as u64 != u64::from(self.total)
    }

    /// Appends the frame. `to_end` leaves the length out: the data must end the packet.
    pub fn compose(&self, out: &mut Vec<u8>, data: &[u8], to_end: bool) {
        let fragment = self.is_fragment(data.len());
        let mut kind = MSG | self.mode.bits() << MSG_MODE_SHIFT;
        if fragment {
            kind |= MSG_FRAGMENT;
        }
        if self.deadline_us.is_some() {
            kind |= MSG_DEADLINE;
        }
        if !to_end {
            kind |= MSG_LEN;
        }
        out.push(kind);
        put_varint(out, u64::from(self.channel));
        put_varint(out, self.id);
        if fragment {
            put_varint(out, u64::from(self.total));
            put_varint(out, u64::from(self.offset));
        }
        if let Some(deadline) = self.deadline_us {
            put_varint(out, deadline);
        }
        if !to_end {
            put_varint(out, data.len() as u64);
        }
        out.extend_from_slice(data);
    }
}

/// A repair symbol of a message; see `fec::reed_solomon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair<'a> {
    /// The message; `offset` is the number of the symbol, from 0.
    pub head: MsgHead,
    /// The symbol; the message is cut into sources of this length.
    pub symbol: &'a [u8],
}

/// Source and repair symbols of a message are together at most this many.
const SYMBOLS_MAX: u64 = 255;

impl<'a> Repair<'a> {
    /// The bytes a frame takes before its symbol.
    pub fn overhead(head: &MsgHead, symbol_len: usize) -> usize {
        1 + varint_len(u64::from(head.channel))
            + 1
            + varint_len(head.id)
            + varint_len(u64::from(head.total))
            + varint_len(u64::from(head.offset))
            + head.deadline_us.map_or(0, varint_len)
            + varint_len(symbol_len as u64)
    }

    fn compose(&self, out: &mut Vec<u8>) {
        let MsgHead { channel, id, mode, total, offset, deadline_us } = self.head;
        let deadline_bit = if deadline_us.is_some() { REPAIR_DEADLINE } else { 0 };
        let kind = mode.bits() | deadline_bit;
        numbers(out, REPAIR, &[channel.into(), kind.into(), id, total.into(), offset.into()]);
        if let Some(deadline) = deadline_us {
            put_varint(out, deadline);
        }
        put_varint(out, self.symbol.len() as u64);
        out.extend_from_slice(self.symbol);
    }

    fn parse(reader: &mut Reader<'a>, start: Reader<'_>) -> Result<Self, WireError> {
        let channel = channel(reader)?;
        let kind = reader.varint_at_most(7)? as u8;
        let id = reader.varint_at_most(VARINT_MAX - 1)?;
        let total = reader.varint_at_most(MESSAGE_LEN_MAX)?;
        let index = reader.varint_at_most(SYMBOLS_MAX)?;
        let deadline_us = if kind & REPAIR_DEADLINE != 0 { Some(reader.varint()?) } else { None };
        let len = reader.varint_at_most(total)?;
        let symbol = reader.bytes(len as usize)?;
        // An empty message needs no repair, and a code has so many symbols.
        if symbol.is_empty() || total.div_ceil(len) + index >= SYMBOLS_MAX {
            return Err(start.error(WireErrorKind::Fragment));
        }
        let mode = Mode::from_bits(kind);
        let (total, offset) = (total as u32, index as u32);
        let head = MsgHead { channel, id, mode, total, offset, deadline_us };
        Ok(Self { head, symbol })
    }
}

/// One frame of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Nothing, this many bytes of it.
    Padding(usize),
    /// Acknowledge me.
    Ping,
    /// These packets arrived.
    Ack(AckFrame<'a>),
    /// A message or a fragment of one.
    Msg(Msg<'a>),
    /// A started message will not be completed: go on without it.
    Skip {
        /// The channel.
        channel: u32,
        /// How the channel delivers.
        mode: Mode,
        /// The message.
        id: u64,
        /// Its length, which counts against the credit.
        total: u32,
    },
    /// A repair symbol of a message.
    Repair(Repair<'a>),
    /// The connection may use credit up to here.
    MaxData(u64),
    /// A channel may use credit up to here.
    MaxChannel {
        /// The channel.
        channel: u32,
        /// Its limit.
        limit: u64,
    },
    /// Send this back, from where it arrives (RFC 9000 §8.2).
    PathChallenge(u64),
    /// Here it is.
    PathResponse(u64),
    /// Another id the peer may use for us (RFC 9000 §19.15).
    NewCid {
        /// Counts our ids from 0.
        seq: u64,
        /// The id.
        cid: ConnectionId,
        /// Proves a stateless reset of that id.
        reset_token: [u8; 16],
    },
    /// We no longer use that id of yours (RFC 9000 §19.16).
    RetireCid(u64),
    /// How often to acknowledge (draft-ietf-quic-ack-frequency).
    AckFrequency {
        /// Counts these frames; older ones are ignored.
        seq: u64,
        /// Acknowledge at once after more than this many packets.
        threshold: u64,
        /// Acknowledge at the latest after this many microseconds.
        delay_us_max: u64,
    },
    /// This packet is to be acknowledged at once (draft-ietf-quic-ack-frequency).
    ImmediateAck,
    /// The connection is over.
    Close {
        /// Why; 0 is an orderly end.
        code: u64,
        /// Why, in words.
        reason: &'a str,
    },
    /// The sender's clock when the packet left, in microseconds; goes with deadlines.
    Timestamp(u64),
    /// A message waits for credit: grant what can be granted.
    Blocked,
}

impl Frame<'_> {
    /// Whether the peer must acknowledge the packet because of this frame (RFC 9000 §13.2).
    pub fn is_ack_eliciting(&self) -> bool {
        !matches!(
            self,
            Frame::Padding(_) | Frame::Ack(_) | Frame::Close { .. } | Frame::Timestamp(_)
        )
    }

    /// Appends any frame except ACK, which [`compose_ack`](super::compose_ack) writes from
    /// ranges.
    pub fn compose(&self, out: &mut Vec<u8>) {
        match *self {
            Frame::Padding(len) => out.resize(out.len() + len, PADDING),
            Frame::Ping => out.push(PING),
            Frame::Ack(frame) => {
                super::compose_ack(out, usize::MAX, frame.ranges(), frame.delay_us, frame.ecn);
            }
            Frame::Msg(msg) => msg.head.compose(out, msg.data, false),
            Frame::Skip { channel, mode, id, total } => {
                numbers(out, SKIP, &[channel.into(), mode.bits().into(), id, total.into()]);
            }
            Frame::Repair(repair) => repair.compose(out),
            Frame::MaxData(limit) => numbers(out, MAX_DATA, &[limit]),
            Frame::MaxChannel { channel, limit } => {
                numbers(out, MAX_CHANNEL, &[channel.into(), limit]);
            }
            Frame::PathChallenge(data) => {
                out.push(PATH_CHALLENGE);
                out.extend_from_slice(&data.to_be_bytes());
            }
            Frame::PathResponse(data) => {
                out.push(PATH_RESPONSE);
                out.extend_from_slice(&data.to_be_bytes());
            }
            Frame::NewCid { seq, cid, reset_token } => {
                numbers(out, NEW_CID, &[seq]);
                out.extend_from_slice(&cid.0.to_be_bytes());
                out.extend_from_slice(&reset_token);
            }
            Frame::RetireCid(seq) => numbers(out, RETIRE_CID, &[seq]),
            Frame::AckFrequency { seq, threshold, delay_us_max } => {
                numbers(out, ACK_FREQUENCY, &[seq, threshold, delay_us_max]);
            }
            Frame::Close { code, reason } => {
                numbers(out, CLOSE, &[code, reason.len() as u64]);
                out.extend_from_slice(reason.as_bytes());
            }
            Frame::Timestamp(time_us) => numbers(out, TIMESTAMP, &[time_us]),
            Frame::Blocked => out.push(BLOCKED),
            Frame::ImmediateAck => out.push(IMMEDIATE_ACK),
        }
    }
}

fn numbers(out: &mut Vec<u8>, kind: u8, values: &[u64]) {
    out.push(kind);
    for value in values {
        put_varint(out, *value);
    }
}

/// Walks the frames of an opened packet; after an error it ends.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
}

impl<'a> Frames<'a> {
    /// Starts at the first frame of `payload`.
    pub fn new(payload: &'a [u8]) -> Self {
        Self { reader: Reader::new(payload) }
    }

    fn parse(&mut self) -> Result<Frame<'a>, WireError> {
        let start = self.reader;
        let reader = &mut self.reader;
        let kind = reader.u8()?;
        Ok(match kind {
            PADDING => {
                let mut len = 1;
                let mut ahead = *reader;
                while ahead.u8() == Ok(PADDING) {
                    *reader = ahead;
                    len += 1;
                }
                Frame::Padding(len)
            }
            PING => Frame::Ping,
            ACK | ACK_ECN => Frame::Ack(AckFrame::parse(reader, kind == ACK_ECN)?),
            SKIP => Frame::Skip {
                channel: channel(reader)?,
                mode: Mode::from_bits(reader.varint_at_most(3)? as u8),
                id: reader.varint_at_most(VARINT_MAX - 1)?,
                total: reader.varint_at_most(MESSAGE_LEN_MAX)? as u32,
            },
            REPAIR => Frame::Repair(Repair::parse(reader, start)?),
            MAX_DATA => Frame::MaxData(reader.varint()?),
            MAX_CHANNEL => Frame::MaxChannel { channel: channel(reader)?, limit: reader.varint()? },
            PATH_CHALLENGE => Frame::PathChallenge(reader.u64()?),
            PATH_RESPONSE => Frame::PathResponse(reader.u64()?),
            NEW_CID => {
                let seq = reader.varint()?;
                let cid = ConnectionId(reader.u64()?);
                let mut reset_token = [0; 16];
                reset_token.copy_from_slice(reader.bytes(16)?);
                Frame::NewCid { seq, cid, reset_token }
            }
            RETIRE_CID => Frame::RetireCid(reader.varint()?),
            ACK_FREQUENCY => Frame::AckFrequency {
                seq: reader.varint()?,
                threshold: reader.varint()?,
                delay_us_max: reader.varint()?,
            },
            CLOSE => {
                let code = reader.varint()?;
                let len = reader.varint_at_most(CLOSE_REASON_LEN_MAX)? as usize;
                let reason = std::str::from_utf8(reader.bytes(len)?)
                    .map_err(|_| reader.error(WireErrorKind::Text))?;
                Frame::Close { code, reason }
            }
            TIMESTAMP => Frame::Timestamp(reader.varint()?),
            BLOCKED => Frame::Blocked,
            IMMEDIATE_ACK => Frame::ImmediateAck,
            _ if kind & MSG != 0 => Frame::Msg(msg(kind, reader, start)?),
            _ => return Err(start.error(WireErrorKind::FrameType)),
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let frame = self.parse();
        if frame.is_err() {
            self.reader.rest();
        }
        Some(frame)
    }
}

fn channel(reader: &mut Reader<'_>) -> Result<u32, WireError> {
    Ok(reader.varint_at_most(CHANNELS_MAX - 1)? as u32)
}

fn msg<'a>(kind: u8, reader: &mut Reader<'a>, start: Reader<'_>) -> Result<Msg<'a>, WireError> {
    if kind & MSG_RESERVED != 0 {
        return Err(start.error(WireErrorKind::FixedBits));
    }
    let channel = channel(reader)?;
    let id = reader.varint_at_most(VARINT_MAX - 1)?;
    let cut = if kind & MSG_FRAGMENT != 0 {
        let total = reader.varint_at_most(MESSAGE_LEN_MAX)?;
        Some((total, reader.varint_at_most(total)?))
    } else {
        None
    };
    let deadline_us = if kind & MSG_DEADLINE != 0 { Some(reader.varint()?) } else { None };
    let data = if kind & MSG_LEN != 0 {
        let len = reader.varint_at_most(MESSAGE_LEN_MAX)? as usize;
        reader.bytes(len)?
    } else {
        reader.rest()
    };
    let (total, offset) = cut.unwrap_or((data.len() as u64, 0));
    // A fragment carries something, and not the whole (that is not a fragment).
    let fits = cut.is_none()
        || (!data.is_empty() && data.len() as u64 != total && offset + data.len() as u64 <= total);
    if !fits {
        return Err(start.error(WireErrorKind::Fragment));
    }
    let mode = Mode::from_bits(kind >> MSG_MODE_SHIFT);
    let head =
        MsgHead { channel, id, mode, total: total as u32, offset: offset as u32, deadline_us };
    Ok(Msg { head, data })
}
