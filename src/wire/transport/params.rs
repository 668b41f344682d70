//! What each end tells the other in the handshake: its limits.
//!
//! A list of (id, length, value); an unknown id is passed over, so that later versions can add.

use super::{Reader, WireError, WireErrorKind, put_varint, varint_len};

/// The limits one end declares (RFC 9000 §18.2 is the model).
///
/// The default is what holds for an end that declares nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// The longest message it takes, in bytes.
    pub message_len_max: u64,
    /// The credit of the connection to start with, in bytes.
    pub max_data: u64,
    /// The credit of each channel to start with, in bytes.
    pub max_channel_data: u64,
    /// How many channels it keeps state for; their numbers are below this.
    pub channels_max: u64,
    /// It gives up after this many milliseconds of silence; 0 is never.
    pub idle_timeout_ms: u64,
    /// It holds an acknowledgement back for at most this many microseconds.
    pub ack_delay_us_max: u64,
    /// The longest datagram it takes, in bytes.
    pub datagram_len_max: u64,
}

const IDS: std::ops::RangeInclusive<u64> = 1..=7;

impl Default for Params {
    fn default() -> Self {
        Self {
            message_len_max: 0,
            max_data: 0,
            max_channel_data: 0,
            channels_max: 1,
            idle_timeout_ms: 0,
            ack_delay_us_max: 25_000,
            datagram_len_max: 1200,
        }
    }
}

impl Params {
    fn field(&mut self, id: u64) -> Option<&mut u64> {
        Some(match id {
            1 => &mut self.message_len_max,
            2 => &mut self.max_data,
            3 => &mut self.max_channel_data,
            4 => &mut self.channels_max,
            5 => &mut self.idle_timeout_ms,
            6 => &mut self.ack_delay_us_max,
            7 => &mut self.datagram_len_max,
            _ => return None,
        })
    }

    /// Parses the whole of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let mut params = Self::default();
        let mut seen = 0_u64;
        while !reader.is_empty() {
            let id = reader.varint()?;
            let len = reader.varint_at_most(bytes.len() as u64)? as usize;
            let at = reader;
            let mut value = Reader::new(reader.bytes(len)?);
            let Some(field) = params.field(id) else { continue };
            let malformed = at.error(WireErrorKind::Parameter);
            *field = value.varint().map_err(|_| malformed)?;
            if !value.is_empty() || seen & 1 << id != 0 {
                return Err(malformed);
            }
            seen |= 1 << id;
        }
        Ok(params)
    }

    /// Appends every parameter.
    pub fn compose(&self, out: &mut Vec<u8>) {
        let mut copy = *self;
        for id in IDS {
            let Some(value) = copy.field(id) else { continue };
            put_varint(out, id);
            put_varint(out, varint_len(*value) as u64);
            put_varint(out, *value);
        }
    }
}
