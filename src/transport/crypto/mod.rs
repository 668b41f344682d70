//! The seam between the protocol and its protection: sessions make keys, keys protect packets.
//!
//! Encryption is Noise without certificates (see `noise`) and AEAD per packet (see `aead`); both
//! are unaudited here. The plaintext profile protects against accidents only.

mod aead;
mod checksum;
mod noise;
#[cfg(test)]
mod tests;

pub(crate) use aead::{AeadKeys, PACKETS_PER_KEY, PACKETS_PER_KEY_MAX};
pub(crate) use checksum::Checksum;
pub(crate) use noise::{Keys, NoiseSession};
pub use noise::{PublicKey, SecretKey};

use std::fmt;
use std::ops::Range;

/// How the packets of a connection are protected; one byte in front of the first handshake
/// message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Suite {
    /// Nothing but a checksum.
    Plaintext = 0,
    /// Noise NN: encrypted, nobody is who they say.
    Anonymous = 1,
    /// Noise NNpsk0: both know the secret.
    Secret = 2,
    /// Noise NK: the client knows the server's key.
    Pinned = 3,
    /// Noise NKpsk0: both.
    PinnedSecret = 4,
}

impl Suite {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Plaintext, Self::Anonymous, Self::Secret, Self::Pinned, Self::PinnedSecret]
            .into_iter()
            .find(|suite| *suite as u8 == byte)
    }
}

/// A handshake message or a packet that does not prove what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CryptoError {
    #[error("the handshake message does not authenticate")]
    Handshake,
    #[error("the packet does not authenticate")]
    Packet,
    #[error("the packet is too short to be one")]
    Short,
}

/// One end of a handshake of two messages.
pub(crate) trait Session: fmt::Debug + Send {
    /// Appends the next message, carrying `payload`.
    fn write(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError>;
    /// Reads the peer's message and returns the payload.
    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, CryptoError>;
    /// After both messages: what protects the packets.
    fn protection(&mut self) -> Result<Protection, CryptoError>;
}

/// A handshake without keys.
#[derive(Debug)]
pub(crate) struct PlainSession;

impl Session for PlainSession {
    fn write(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), CryptoError> {
        out.extend_from_slice(payload);
        Ok(())
    }

    fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(message.to_vec())
    }

    fn protection(&mut self) -> Result<Protection, CryptoError> {
        Ok(Protection::Checksum(Checksum))
    }
}

/// A packet whose protection was taken off, in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) number: u64,
    /// Where the frames are.
    pub(crate) payload: Range<usize>,
    /// It is the first packet under the peer's next keys.
    pub(crate) keys_updated: bool,
}

/// What protects the short packets of a connection.
#[derive(Debug)]
pub(crate) enum Protection {
    Checksum(Checksum),
    Aead(Box<AeadKeys>),
}

impl Protection {
    /// What sealing adds to a packet, in bytes.
    pub(crate) fn tag_len(&self) -> usize {
        match self {
            Self::Checksum(_) => Checksum::TAG_LEN,
            Self::Aead(_) => AeadKeys::TAG_LEN,
        }
    }

    /// The key phase bit for the next packet.
    pub(crate) fn key_phase(&self) -> bool {
        match self {
            Self::Checksum(_) => false,
            Self::Aead(keys) => keys.send_phase(),
        }
    }

    /// Protects the packet at `packet[start..]`, whose header is `header_len` long.
    pub(crate) fn seal(
        &mut self,
        packet: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        number: u64,
    ) {
        match self {
            Self::Checksum(checksum) => checksum.seal(packet, start, number),
            Self::Aead(keys) => keys.seal(packet, start, header_len, number),
        }
    }

    /// Takes the protection off, in place; `expected` is the next packet number.
    pub(crate) fn open(&mut self, packet: &mut [u8], expected: u64) -> Result<Opened, CryptoError> {
        match self {
            Self::Checksum(checksum) => checksum.open(packet, expected),
            Self::Aead(keys) => keys.open(packet, expected),
        }
    }

    /// The peer acknowledged a packet: a key update may have been confirmed by it.
    pub(crate) fn on_acked(&mut self, number: u64) {
        if let Self::Aead(keys) = self {
            keys.on_acked(number);
        }
    }

    /// Packets under the keys before the last update no longer open.
    pub(crate) fn drop_old_keys(&mut self) {
        if let Self::Aead(keys) = self {
            keys.drop_old();
        }
    }

    /// Keys are replaced after so many packets.
    pub(crate) fn set_packets_per_key(&mut self, packets: u64) {
        if let Self::Aead(keys) = self {
            keys.set_packets_per_key(packets);
        }
    }

    /// How often the keys were replaced.
    pub(crate) fn key_updates(&self) -> u64 {
        match self {
            Self::Checksum(_) => 0,
            Self::Aead(keys) => keys.updates(),
        }
    }
}
