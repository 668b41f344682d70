//! RTP packets (RFC 3550 §5.1): header, contributing sources, extension and padding.
//!
//! A packet is parsed into a view over the datagram and composed from the same value. RTCP, the
//! profile's extensions and encryption are not here; statistics are in `apps::rtp_session`.

/// Why a datagram is no RTP packet. Offsets count from the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than what its header promises.
    #[error("RTP: {len} bytes, {needed} needed")]
    Truncated {
        /// Bytes there are.
        len: usize,
        /// Bytes the header asks for.
        needed: usize,
    },
    /// RFC 3550 knows version 2 only.
    #[error("RTP: version {0} at offset 0, only 2 is known")]
    Version(u8),
    /// The padding counts more bytes than there are, or none.
    #[error("RTP: padding of {0} bytes does not fit the packet")]
    Padding(u8),
}

/// One RTP packet; the payload and the extension borrow from the datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// Of an audio packet: the first one after silence (RFC 3551 §4.1).
    pub marker: bool,
    /// What the payload is, 0 to 127.
    pub payload_type: u8,
    /// Counts packets, wraps at 2^16.
    pub sequence: u16,
    /// Counts samples, wraps at 2^32.
    pub timestamp: u32,
    /// Names the source; random, so that two sources differ.
    pub ssrc: u32,
    /// Contributing sources, at most 15.
    pub csrc: Vec<u32>,
    /// Header extension: the profile's number and whole 32-bit words.
    pub extension: Option<(u16, &'a [u8])>,
    /// The audio or video.
    pub payload: &'a [u8],
}

impl<'a> RtpPacket<'a> {
    /// Parse one datagram.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, RtpError> {
        let mut needed = HEADER_BYTES;
        let truncated = |needed| RtpError::Truncated { len: datagram.len(), needed };
        let header = datagram.get(..needed).ok_or(truncated(needed))?;
        let version = header[0] >> 6;
        if version != 2 {
            return Err(RtpError::Version(version));
        }
        let csrc_count = usize::from(header[0] & 0x0F);
        let csrc_end = needed + 4 * csrc_count;
        let csrc_bytes = datagram.get(needed..csrc_end).ok_or(truncated(csrc_end))?;
        needed = csrc_end;
        let mut extension = None;
        if header[0] & 0x10 != 0 {
            // RFC 3550 §5.3.1: two bytes for the profile, two for the count of 32-bit words.
            let head = datagram.get(needed..needed + 4).ok_or(truncated(needed + 4))?;
            let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let end = needed + 4 + 4 * words;
            let body = datagram.get(needed + 4..end).ok_or(truncated(end))?;
            extension = Some((u16::from_be_bytes([head[0], head[1]]), body));
            needed = end;
        }
        let mut payload = &datagram[needed..];
        if header[0] & 0x20 != 0 {
            // RFC 3550 §5.1: the last byte counts the padding, itself included.
            let padding = *payload.last().ok_or(truncated(needed + 1))?;
            if padding == 0 || usize::from(padding) > payload.len() {
                return Err(RtpError::Padding(padding));
            }
            payload = &payload[..payload.len() - usize::from(padding)];
        }
        Ok(Self {
            marker: header[1] & 0x80 != 0,
            payload_type: header[1] & 0x7F,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            csrc: csrc_bytes
                .chunks_exact(4)
                .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            extension,
            payload,
        })
    }

    /// Compose the datagram, without padding. At most 15 contributing sources are written.
    pub fn compose(&self) -> Vec<u8> {
        let csrc = &self.csrc[..self.csrc.len().min(CSRC_MAX)];
        let mut out = Vec::with_capacity(HEADER_BYTES + 4 * csrc.len() + self.payload.len());
        let extended = if self.extension.is_some() { 0x10 } else { 0 };
        out.push(0x80 | extended | csrc.len() as u8);
        out.push(u8::from(self.marker) << 7 | self.payload_type & 0x7F);
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        for source in csrc {
            out.extend(source.to_be_bytes());
        }
        if let Some((profile, body)) = self.extension {
            let words = (body.len() / 4).min(usize::from(u16::MAX));
            out.extend(profile.to_be_bytes());
            out.extend((words as u16).to_be_bytes());
            out.extend(&body[..4 * words]);
        }
        out.extend(self.payload);
        out
    }
}

/// Bytes of the fixed header.
pub const HEADER_BYTES: usize = 12;
const CSRC_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fixed_header_bit_by_bit() {
        let datagram =
            [0x80, 0x80, 0x12, 0x34, 0, 0, 0x01, 0x40, 0xDE, 0xAD, 0xBE, 0xEF, 0xFF, 0xFE];
        let packet = RtpPacket::parse(&datagram).unwrap();
        assert!(packet.marker);
        assert_eq!((packet.payload_type, packet.sequence), (0, 0x1234));
        assert_eq!((packet.timestamp, packet.ssrc), (320, 0xDEAD_BEEF));
        assert_eq!(packet.payload, [0xFF, 0xFE]);
        assert_eq!(packet.compose(), datagram);
    }

    #[test]
    fn padding_and_extension_are_taken_off() {
        let datagram = [
            0xB1, 0x00, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 9, 0xBE, 0xDE, 0, 1, 1, 2, 3, 4, 7,
            7, 0, 2,
        ];
        let packet = RtpPacket::parse(&datagram).unwrap();
        assert_eq!(packet.csrc, [9]);
        assert_eq!(packet.extension, Some((0xBEDE, &[1u8, 2, 3, 4][..])));
        assert_eq!(packet.payload, [7, 7]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(RtpPacket::parse(&[]), Err(RtpError::Truncated { len: 0, needed: 12 }));
        assert_eq!(RtpPacket::parse(&[0x40; 12]), Err(RtpError::Version(1)));
        let mut padded = [0u8; 13];
        padded[0] = 0xA0;
        assert_eq!(RtpPacket::parse(&padded), Err(RtpError::Padding(0)));
        padded[12] = 2;
        assert_eq!(RtpPacket::parse(&padded), Err(RtpError::Padding(2)));
    }

    proptest! {
        #[test]
        fn compose_then_parse_is_the_same(
            marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            csrc in prop::collection::vec(any::<u32>(), 0..16),
            payload in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let packet = RtpPacket {
                marker, payload_type, sequence, timestamp, ssrc, csrc,
                extension: None, payload: &payload,
            };
            let datagram = packet.compose();
            prop_assert_eq!(RtpPacket::parse(&datagram).unwrap(), packet);
        }
    }
}
