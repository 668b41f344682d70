//! The plaintext profile: a CRC32C over the packet and its full number.
//!
//! It tells damage, not attacks: for teaching, and for links that are protected otherwise.

use super::{CryptoError, Opened};
use crate::wire::transport::{ShortHeader, decode_packet_number};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Checksum;

impl Checksum {
    pub(super) const TAG_LEN: usize = 4;

    pub(super) fn seal(self, packet: &mut Vec<u8>, start: usize, number: u64) {
        let checksum = checksum(&packet[start..], number);
        packet.extend_from_slice(&checksum);
    }

    pub(super) fn open(self, packet: &mut [u8], expected: u64) -> Result<Opened, CryptoError> {
        let (header, header_len) = ShortHeader::parse(packet).map_err(|_| CryptoError::Short)?;
        let body_len = packet.len().checked_sub(Self::TAG_LEN).ok_or(CryptoError::Short)?;
        let payload = header_len..body_len;
        if payload.start > payload.end {
            return Err(CryptoError::Short);
        }
        let number =
            decode_packet_number(header.truncated_number, header.flags.number_len, expected);
        let (body, tag) = packet.split_at(body_len);
        if checksum(body, number) != tag {
            return Err(CryptoError::Packet);
        }
        Ok(Opened { number, payload, keys_updated: false })
    }
}

fn checksum(body: &[u8], number: u64) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_be_bytes()), body).to_be_bytes()
}
