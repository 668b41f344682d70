//! Answers to strangers, for which nothing is kept: RETRY in a flood, and stateless resets.

use super::Endpoint;
use crate::transport::ack::Ecn;
use crate::transport::connection::{Transmit, reset_token};
use crate::transport::cookie;
use crate::transport::stats::DropReason;
use crate::transport::time::Time;
use crate::wire::transport::{ConnectionId, LongHeader, LongKind, LongPacket};
use rand_chacha::rand_core::Rng;
use std::net::SocketAddr;

/// Answers to strangers that wait to be sent are at most this many; more are not made.
const STATELESS_QUEUE_MAX: usize = 1_024;

/// A reset is this long.
const RESET_LEN: usize = 40;
/// A server with a static key may have lost what it knew, and makes it as short as this to answer
/// the keep-alives of its former clients: a first byte, eight of an id, the token. Others have
/// forgotten only what was over, and leave stragglers alone.
const RESET_LEN_MIN: usize = 25;

impl Endpoint {
    /// Answers to strangers: as many as are next in line for one address, of one length.
    pub(super) fn poll_stateless(
        &mut self,
        segments_max: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        let (remote, first) = self.stateless.pop_front()?;
        let (segment_len, start) = (first.len(), out.len());
        out.extend_from_slice(&first);
        let alike = self.stateless.iter().take(segments_max.saturating_sub(1));
        let alike = alike.take_while(|(to, next)| *to == remote && next.len() == segment_len);
        let count = alike.count();
        for (_, packet) in self.stateless.drain(..count) {
            out.extend_from_slice(&packet);
        }
        Some(Transmit { remote, ecn: Ecn::NotEct, len: out.len() - start, segment_len })
    }

    /// RFC 9000 §8.1.2: no state, and an answer smaller than the question.
    pub(super) fn send_retry(&mut self, now: Time, from: SocketAddr, asked: LongHeader) {
        if self.stateless.len() >= STATELESS_QUEUE_MAX {
            return self.drop_datagram(DropReason::TooManyConnections);
        }
        let token = cookie::make(&self.cookie_key, now, from, asked.scid);
        let header = LongHeader { kind: LongKind::Retry, dcid: asked.scid, scid: asked.dcid };
        let mut out = Vec::new();
        LongPacket { header, token: &token, payload: &[] }.compose(&mut out, 0);
        self.stateless.push_back((from, out));
    }

    /// A short packet for a connection we do not know (RFC 9000 §10.3).
    pub(super) fn answer_with_reset(
        &mut self,
        now: Time,
        from: SocketAddr,
        id: ConnectionId,
        len: usize,
    ) {
        self.drop_datagram(DropReason::UnknownConnection);
        let is_full = self.stateless.len() >= STATELESS_QUEUE_MAX;
        // RFC 9000 §10.3.3: a reset is shorter than what it answers, so that two endpoints cannot
        // reset each other for ever.
        let reset_len = RESET_LEN.min(len.saturating_sub(1));
        let has_static_key = self.config.security.keys().own.is_some();
        let len_min = if has_static_key { RESET_LEN_MIN } else { RESET_LEN };
        let cannot = !self.listens || is_full || reset_len < len_min;
        if cannot || !self.resets.take(now) {
            return;
        }
        // It must look like any short packet: random bytes, then the token.
        let mut packet = vec![0; reset_len - 16];
        self.rng.fill_bytes(&mut packet);
        packet[0] = packet[0] & 0x07 | 0x40;
        packet.extend_from_slice(&reset_token(&self.reset_key, id.0));
        self.stateless.push_back((from, packet));
    }
}
