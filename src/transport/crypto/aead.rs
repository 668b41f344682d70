//! AES-128-GCM packet protection with header protection and key update.
//!
//! The construction is that of RFC 9001 §5 and §6 (nonce from packet number, header as
//! associated data, mask from a sample, key phase bit) with secrets from Noise instead of TLS.

use super::{CryptoError, Opened};
use crate::wire::transport::{ConnectionId, ShortFlags, ShortHeader, decode_packet_number};
use ring::aead::quic::HeaderProtectionKey;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey, quic};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};
use std::fmt;

/// Keys are replaced after this many packets, unless chosen otherwise.
pub(crate) const PACKETS_PER_KEY: u64 = 1 << 22;
/// RFC 9001 §6.6: the most for AES-GCM.
pub(crate) const PACKETS_PER_KEY_MAX: u64 = 1 << 23;
/// RFC 9001 §6.6: so many packets that fail to open end the use of the keys.
const FAILURES_MAX: u64 = 1 << 36;

const NUMBER_AT: usize = 1 + ConnectionId::LEN;
const SAMPLE_AT: usize = NUMBER_AT + 4;
const SAMPLE_LEN: usize = 16;

/// A secret for one direction; every key update hashes it forward.
type Secret = [u8; 32];

struct OutputLen(usize);

impl KeyType for OutputLen {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const LEN: usize>(secret: &Secret, label: &[u8]) -> [u8; LEN] {
    let mut out = [0; LEN];
    let prk = Prk::new_less_safe(HKDF_SHA256, secret);
    // Both steps fail only for lengths above 255 hashes.
    if let Ok(okm) = prk.expand(&[b"udpcore 1 ", label], OutputLen(LEN)) {
        let _ = okm.fill(&mut out);
    }
    out
}

/// The packet key of one direction and one generation.
struct PacketKey {
    key: LessSafeKey,
    iv: [u8; 12],
    secret: Secret,
}

impl PacketKey {
    fn new(secret: Secret) -> Result<Self, CryptoError> {
        let key = expand::<16>(&secret, b"key");
        let key = UnboundKey::new(&AES_128_GCM, &key).map_err(|_| CryptoError::Handshake)?;
        Ok(Self { key: LessSafeKey::new(key), iv: expand(&secret, b"iv"), secret })
    }

    fn next(&self) -> Result<Self, CryptoError> {
        Self::new(expand(&self.secret, b"ku"))
    }

    /// RFC 9001 §5.3: the number, left-padded, exclusive-or the IV.
    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = self.iv;
        for (byte, mask) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *byte ^= mask;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// All keys of a connection.
pub(crate) struct AeadKeys {
    send: PacketKey,
    send_mask: HeaderProtectionKey,
    send_phase: bool,
    sent_in_phase: u64,
    packets_per_key: u64,
    /// The first packet of this phase; an update waits until it was acknowledged.
    phase_first: Option<u64>,
    phase_confirmed: bool,
    recv: PacketKey,
    recv_mask: HeaderProtectionKey,
    recv_phase: bool,
    recv_phase_first: u64,
    /// For packets of the generation before that come late.
    recv_previous: Option<PacketKey>,
    recv_next: PacketKey,
    failures: u64,
    updates: u64,
}

impl fmt::Debug for AeadKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the keys.
        f.debug_struct("AeadKeys").field("updates", &self.updates).finish_non_exhaustive()
    }
}

impl AeadKeys {
    pub(crate) const TAG_LEN: usize = 16;

    /// Keys from the two secrets of a finished handshake.
    pub(crate) fn new(send: Secret, recv: Secret) -> Result<Self, CryptoError> {
        let mask = |secret: &Secret| {
            let key = expand::<16>(secret, b"hp");
            HeaderProtectionKey::new(&quic::AES_128, &key).map_err(|_| CryptoError::Handshake)
        };
        let (send_mask, recv_mask) = (mask(&send)?, mask(&recv)?);
        let recv = PacketKey::new(recv)?;
        Ok(Self {
            send: PacketKey::new(send)?,
            send_mask,
            send_phase: false,
            sent_in_phase: 0,
            packets_per_key: PACKETS_PER_KEY,
            phase_first: None,
            phase_confirmed: false,
            recv_next: recv.next()?,
            recv,
            recv_mask,
            recv_phase: false,
            recv_phase_first: 0,
            recv_previous: None,
            failures: 0,
            updates: 0,
        })
    }

    pub(super) fn send_phase(&self) -> bool {
        self.send_phase
    }

    pub(super) fn updates(&self) -> u64 {
        self.updates
    }

    pub(super) fn on_acked(&mut self, number: u64) {
        self.phase_confirmed |= self.phase_first.is_some_and(|first| number >= first);
    }

    /// Replaces the sending key if it has done its work (RFC 9001 §6.1, §6.5).
    fn maybe_update(&mut self) {
        if self.sent_in_phase < self.packets_per_key || !self.phase_confirmed {
            return;
        }
        // RFC 9001 §6.5: not before the old keys are gone, or one bit could not tell which keys a
        // late packet needs.
        if self.recv_previous.is_some() {
            return;
        }
        // The peer follows when it sees the bit; our receiving key follows with its packets.
        if self.send_phase == self.recv_phase {
            self.advance_send();
        }
    }

    fn advance_send(&mut self) {
        if let Ok(next) = self.send.next() {
            self.send = next;
            self.send_phase = !self.send_phase;
            self.sent_in_phase = 0;
            self.phase_first = None;
            self.phase_confirmed = false;
            self.updates += 1;
        }
    }

    pub(super) fn seal(
        &mut self,
        packet: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        number: u64,
    ) {
        let (header, payload) = packet[start..].split_at_mut(header_len);
        let nonce = self.send.nonce(number);
        let aad = Aad::from(&*header);
        let tag = self.send.key.seal_in_place_separate_tag(nonce, aad, payload);
        match tag {
            Ok(tag) => packet.extend_from_slice(tag.as_ref()),
            // Only for payloads of 64 GiB and more.
            Err(_) => packet.resize(packet.len() + Self::TAG_LEN, 0),
        }
        self.mask_header(&mut packet[start..], header_len);
        self.phase_first.get_or_insert(number);
        self.sent_in_phase += 1;
        self.maybe_update();
    }

    /// RFC 9001 §5.4.1.
    fn mask_header(&self, packet: &mut [u8], header_len: usize) {
        let Ok(mask) = self.send_mask.new_mask(&packet[SAMPLE_AT..SAMPLE_AT + SAMPLE_LEN]) else {
            return;
        };
        packet[0] ^= mask[0] & ShortFlags::PROTECTED_BITS;
        for (byte, mask) in packet[NUMBER_AT..header_len].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
    }

    pub(super) fn open(&mut self, packet: &mut [u8], expected: u64) -> Result<Opened, CryptoError> {
        if packet.len() < SAMPLE_AT + SAMPLE_LEN || self.failures >= FAILURES_MAX {
            return Err(CryptoError::Short);
        }
        let sample = &packet[SAMPLE_AT..SAMPLE_AT + SAMPLE_LEN];
        let mask = self.recv_mask.new_mask(sample).map_err(|_| CryptoError::Packet)?;
        packet[0] ^= mask[0] & ShortFlags::PROTECTED_BITS;
        let flags = ShortFlags::parse(packet[0]).map_err(|_| CryptoError::Packet)?;
        let header_len = NUMBER_AT + flags.number_len.bytes();
        for (byte, mask) in packet[NUMBER_AT..header_len].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
        let (header, _) = ShortHeader::parse(packet).map_err(|_| CryptoError::Packet)?;
        let number = decode_packet_number(header.truncated_number, flags.number_len, expected);
        // RFC 9001 §6.3 and §6.4: this generation, the one before, or the next.
        let is_current = flags.key_phase == self.recv_phase;
        let is_previous = !is_current && number < self.recv_phase_first;
        let key = match (is_current, is_previous, &self.recv_previous) {
            (true, _, _) => &self.recv,
            (false, true, Some(previous)) => previous,
            (false, true, None) => return Err(CryptoError::Packet),
            (false, false, _) => &self.recv_next,
        };
        let (header, body) = packet.split_at_mut(header_len);
        let nonce = key.nonce(number);
        let Ok(plain) = key.key.open_in_place(nonce, Aad::from(&*header), body) else {
            self.failures += 1;
            return Err(CryptoError::Packet);
        };
        let payload = header_len..header_len + plain.len();
        let keys_updated = !is_current && !is_previous;
        if keys_updated {
            self.advance_recv(number)?;
        } else if is_current {
            self.recv_phase_first = self.recv_phase_first.min(number);
        }
        Ok(Opened { number, payload, keys_updated })
    }

    /// A packet of the next generation opened: the peer has updated, so do we.
    fn advance_recv(&mut self, number: u64) -> Result<(), CryptoError> {
        let after = self.recv_next.next()?;
        let current = std::mem::replace(&mut self.recv_next, after);
        self.recv_previous = Some(std::mem::replace(&mut self.recv, current));
        self.recv_phase = !self.recv_phase;
        self.recv_phase_first = number;
        if self.send_phase != self.recv_phase {
            self.advance_send();
        }
        Ok(())
    }

    pub(super) fn drop_old(&mut self) {
        self.recv_previous = None;
    }

    pub(super) fn set_packets_per_key(&mut self, packets: u64) {
        self.packets_per_key = packets;
    }

    /// Updates now, for tests.
    #[cfg(test)]
    pub(super) fn force_update(&mut self) {
        self.sent_in_phase = self.packets_per_key;
        self.maybe_update();
    }
}
