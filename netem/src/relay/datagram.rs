//! A datagram on its way through the relay, and what comes with it.

use crate::packet::{Packet, PayloadMut};

/// The ECN field of the TOS byte or the traffic class (RFC 3168, section 5).
const ECN_MASK: u8 = 0b11;
const ECN_CE: u8 = 0b11;

/// A datagram, whose it is, and the TOS byte it came with and leaves with.
#[derive(Debug, Clone)]
pub(super) struct Datagram {
    /// The place of its client.
    pub(super) client: usize,
    /// Its number in the capture.
    pub(super) id: u64,
    /// The TOS byte (IPv4) or the traffic class (IPv6): DSCP and ECN.
    pub(super) tos: u8,
    pub(super) bytes: Vec<u8>,
}

/// A datagram that is due, with its size as the links count it.
pub(super) type Due = Packet<Datagram>;

impl PayloadMut for Datagram {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    fn is_ecn_capable(&self) -> bool {
        self.tos & ECN_MASK != 0
    }

    fn mark_congestion(&mut self) {
        self.tos |= ECN_CE;
    }
}
