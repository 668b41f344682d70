//! The format of `UDPWithACK`: `[type u8][seq u32][data]`, big-endian; type 1 is DATA, type 2 is
//! ACK, which carries no data. No state: see `arq::ack`.

use crate::wire::error::{WireError, WireFault, split_header};
use crate::wire::serial::Serial;

/// Bytes before the data.
pub const HEADER_LEN: usize = 5;

const TYPE_DATA: u8 = 1;
const TYPE_ACK: u8 = 2;

/// One datagram of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckDatagram<'a> {
    /// A message that wants an acknowledgement.
    Data {
        /// Its number.
        seq: Serial,
        /// What the application sent, possibly empty.
        payload: &'a [u8],
    },
    /// The acknowledgement of the DATA with this number.
    Ack {
        /// The number acknowledged.
        seq: Serial,
    },
}

impl<'a> AckDatagram<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`WireFault::UnknownType`] at byte 0, [`WireFault::Truncated`] below five bytes,
    /// [`WireFault::TrailingBytes`] for an ACK with data.
    ///
    /// ```
    /// use udpcore::wire::ack::AckDatagram;
    /// let parsed = AckDatagram::parse(b"\x01\0\0\0\x09hi").unwrap();
    /// assert!(matches!(parsed, AckDatagram::Data { payload: b"hi", .. }));
    /// assert_eq!(AckDatagram::parse(b"abc").unwrap_err().offset, 0);
    /// ```
    pub fn parse(datagram: &'a [u8]) -> Result<Self, WireError> {
        if let Some(&kind) = datagram.first()
            && kind != TYPE_DATA
            && kind != TYPE_ACK
        {
            return Err(WireError::new(0, WireFault::UnknownType(kind)));
        }
        let (header, payload) = split_header::<HEADER_LEN>(datagram)?;
        let [kind, a, b, c, d] = *header;
        let seq = Serial::new(u32::from_be_bytes([a, b, c, d]));
        if kind == TYPE_DATA {
            return Ok(Self::Data { seq, payload });
        }
        if !payload.is_empty() {
            return Err(WireError::new(HEADER_LEN, WireFault::TrailingBytes(payload.len())));
        }
        Ok(Self::Ack { seq })
    }

    /// Writes the datagram.
    pub fn compose(&self) -> Vec<u8> {
        match *self {
            Self::Data { seq, payload } => [&header(TYPE_DATA, seq)[..], payload].concat(),
            Self::Ack { seq } => compose_ack(seq).to_vec(),
        }
    }
}

/// Writes the ACK of `seq`.
pub fn compose_ack(seq: Serial) -> [u8; HEADER_LEN] {
    header(TYPE_ACK, seq)
}

fn header(kind: u8, seq: Serial) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = seq.get().to_be_bytes();
    [kind, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        let seq = Serial::new;
        for (value, datagram) in [
            (AckDatagram::Data { seq: seq(0), payload: b"" }, &b"\x01\0\0\0\0"[..]),
            (AckDatagram::Data { seq: seq(258), payload: b"a\0b" }, b"\x01\0\0\x01\x02a\0b"),
            (AckDatagram::Ack { seq: seq(u32::MAX) }, b"\x02\xff\xff\xff\xff"),
        ] {
            assert_eq!(value.compose(), datagram);
            assert_eq!(AckDatagram::parse(datagram), Ok(value));
        }
    }

    #[test]
    fn every_fault_has_its_place() {
        for (datagram, offset, fault) in [
            (&b""[..], 0, WireFault::Truncated { needed: 5, have: 0 }),
            (b"\x01\0\0", 3, WireFault::Truncated { needed: 5, have: 3 }),
            (b"abc", 0, WireFault::UnknownType(b'a')),
            (b"\0\0\0\0\0", 0, WireFault::UnknownType(0)),
            (b"\x02\0\0\0\0xy", 5, WireFault::TrailingBytes(2)),
        ] {
            assert_eq!(AckDatagram::parse(datagram), Err(WireError::new(offset, fault)));
        }
    }
}
