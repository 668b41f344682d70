//! Opening: two messages, each repeated until the other end answers.

use super::{Connection, ConnectionEvent};
use crate::transport::ack_frequency::AckFrequency;
use crate::transport::cids::RemoteIds;
use crate::transport::crypto::{Protection, Session};
use crate::transport::error::CloseReason;
use crate::transport::send::OutboxLimits;
use crate::transport::state::{Event, State};
use crate::transport::stats::DropReason;
use crate::transport::time::{Micros, Time};
use crate::transport::timer::Timer;
use crate::wire::transport::{ConnectionId, LongHeader, LongKind, LongPacket, Params};
use rand_chacha::ChaCha12Rng;
use ring::hmac;
use std::net::SocketAddr;
use std::sync::Arc;

/// RFC 9000 §14.1: INIT is padded to this, so that the answer stays within the 3× limit.
pub(crate) const INIT_LEN: usize = 1200;

/// This end's handshake message and how often it went out.
#[derive(Debug)]
pub(crate) struct Handshake {
    session: Box<dyn Session>,
    message: Vec<u8>,
    token: Vec<u8>,
    is_due: bool,
    attempts: u32,
    sent_at: Time,
    gives_up_at: Time,
}

impl Handshake {
    pub(crate) fn new(session: Box<dyn Session>, message: Vec<u8>) -> Self {
        Self {
            session,
            message,
            token: Vec::new(),
            is_due: true,
            attempts: 0,
            sent_at: Time(0),
            gives_up_at: Time::FAR,
        }
    }
}

/// Everything a connection begins with.
#[derive(Debug)]
pub(crate) struct Hello {
    pub(crate) is_client: bool,
    pub(crate) rng: ChaCha12Rng,
    pub(crate) reset_key: Arc<hmac::Key>,
    pub(crate) remote: SocketAddr,
    /// The address is proved (by a token).
    pub(crate) is_validated: bool,
    pub(crate) local: ConnectionId,
    pub(crate) remote_id: ConnectionId,
    pub(crate) handshake: Handshake,
    /// Server: the length of the INIT.
    pub(crate) datagram_len: usize,
    /// Server: what the INIT said.
    pub(crate) peer: Option<Params>,
}

impl Connection {
    pub(super) fn begin_handshake(&mut self, now: Time, init_len: usize, peer: Option<Params>) {
        self.handshake.gives_up_at = now + self.config.handshake_timeout;
        self.timers.set(Timer::Handshake, now + self.config.handshake_timeout);
        self.path.on_received(init_len);
        if let Some(params) = peer {
            self.set_peer_params(params);
            match self.handshake.session.protection() {
                Ok(protection) => self.protect(protection),
                Err(_) => self.end(now, Event::TimedOut, CloseReason::HandshakeTimeout),
            }
        }
    }

    fn protect(&mut self, mut protection: Protection) {
        protection.set_packets_per_key(self.config.packets_per_key);
        self.protection = Some(protection);
    }

    fn set_peer_params(&mut self, params: Params) {
        self.outbox.set_peer_limits(OutboxLimits {
            buffer: self.config.send_buffer,
            message_len_max: params.message_len_max,
            channels_max: params.channels_max.max(1),
            max_data: params.max_data,
            max_channel_data: params.max_channel_data,
        });
        // RFC 9000 §10.1: the smaller of the two, unless one has none.
        let theirs = Micros(params.idle_timeout_ms.saturating_mul(1000));
        self.idle_timeout = match (self.idle_timeout, theirs) {
            (Micros::ZERO, other) | (other, Micros::ZERO) => other,
            (ours, theirs) => ours.min(theirs),
        };
        self.peer_ack_delay_max = Micros(params.ack_delay_us_max.min(ACK_DELAY_MAX_BELIEVED.0));
        self.frequency = AckFrequency::new(self.peer_ack_delay_max);
        self.path.mtu.enable(params.datagram_len_max);
    }

    /// Writes this end's handshake packet if it is due.
    pub(super) fn write_handshake(&mut self, now: Time, out: &mut Vec<u8>) -> bool {
        let waits = matches!(self.state, State::Connecting | State::Accepting);
        if !waits || !self.handshake.is_due {
            return false;
        }
        let kind = if self.is_client { LongKind::Init } else { LongKind::Accept };
        let header =
            LongHeader { kind, dcid: self.remote_ids.current(), scid: self.local_ids.first() };
        let start = out.len();
        let handshake = &mut self.handshake;
        let packet = LongPacket { header, token: &handshake.token, payload: &handshake.message };
        packet.compose(out, if self.is_client { INIT_LEN } else { 0 });
        let len = out.len() - start;
        if (len as u64) > self.path.amplification_left() {
            out.truncate(start);
            return false;
        }
        handshake.is_due = false;
        handshake.attempts += 1;
        handshake.sent_at = now;
        // RFC 9002 §6.2: repeat after a probe timeout, then after twice that.
        let backoff = 1_u64 << (handshake.attempts - 1).min(8);
        let wait = self.path.rtt.pto(Micros::ZERO) * backoff;
        let again = now + wait.min(REPEAT_AFTER_MAX);
        self.timers.set(Timer::Handshake, again.min(self.handshake.gives_up_at));
        true
    }

    pub(super) fn on_handshake_timer(&mut self, now: Time) {
        if !matches!(self.state, State::Connecting | State::Accepting) {
            return;
        }
        if now >= self.handshake.gives_up_at {
            self.end(now, Event::TimedOut, CloseReason::HandshakeTimeout);
        } else {
            self.handshake.is_due = true;
            // Sending sets it sooner; the limit of an unproved address may forbid to send.
            self.timers.set(Timer::Handshake, self.handshake.gives_up_at);
        }
    }

    /// Server: the client repeats its INIT, so our answer was lost.
    pub(crate) fn handle_init_again(&mut self, now: Time, from: SocketAddr, len: usize) {
        self.stats.datagrams_received += 1;
        self.stats.bytes_received += len as u64;
        if self.state == State::Accepting && from == self.path.remote {
            self.path.on_received(len);
            self.handshake.is_due = true;
        } else {
            self.drop_packet(now, DropReason::Unexpected);
        }
    }

    /// Client: RETRY or ACCEPT arrived.
    pub(super) fn on_long_packet(&mut self, now: Time, packet: &LongPacket<'_>) {
        if self.state != State::Connecting {
            // Our first packets may be lost while the server repeats itself: say hello again.
            self.pending.ping |= self.is_client && self.state == State::Established;
            return self.drop_packet(now, DropReason::Unexpected);
        }
        match packet.header.kind {
            LongKind::Retry if self.handshake.token.is_empty() && !packet.token.is_empty() => {
                self.handshake.token = packet.token.to_vec();
                self.handshake.is_due = true;
                self.handshake.attempts = 0;
            }
            LongKind::Accept => self.on_accept(now, packet),
            _ => self.drop_packet(now, DropReason::Unexpected),
        }
    }

    fn on_accept(&mut self, now: Time, packet: &LongPacket<'_>) {
        let handshake = &mut self.handshake;
        // A forged answer does not authenticate; the true one may still come.
        let Ok(payload) = handshake.session.read(packet.payload) else {
            return self.drop_packet(now, DropReason::BadHandshake);
        };
        let (Ok(params), Ok(protection)) =
            (Params::parse(&payload), handshake.session.protection())
        else {
            return self.drop_packet(now, DropReason::BadHandshake);
        };
        self.remote_ids = RemoteIds::new(packet.header.scid);
        self.set_peer_params(params);
        self.protect(protection);
        // The server waits for a packet that proves that we have this one.
        self.pending.ping = true;
        self.on_confirmed(now);
    }

    /// The handshake is complete on this side.
    pub(super) fn on_confirmed(&mut self, now: Time) {
        if !self.enter(now, Event::Confirmed) {
            return;
        }
        self.timers.clear(Timer::Handshake);
        // Karn's rule: an answer to a repeated packet tells no round trip.
        if self.handshake.attempts == 1 {
            let sample = now.since(self.handshake.sent_at);
            self.path.rtt.sample(now, sample, Micros::ZERO);
        }
        self.handshake.message = Vec::new();
        self.path.validate();
        self.local_ids.refill(|| rand_chacha::rand_core::Rng::next_u64(&mut self.rng));
        self.restart_idle(now);
        self.set_keep_alive(now);
        self.events.push_back(ConnectionEvent::Connected);
    }
}

/// A handshake packet is repeated at least this often: ten seconds of patience are six tries.
const REPEAT_AFTER_MAX: Micros = Micros::from_ms(2000);

/// A peer that says it holds acknowledgements back longer is not believed: our probes would
/// wait for it.
pub(in crate::transport) const ACK_DELAY_MAX_BELIEVED: Micros = Micros::from_ms(1000);
