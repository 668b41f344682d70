//! Reading packets: protection off, duplicates out, each frame to the part it concerns.

use super::Connection;
use crate::transport::ack::{Arrival, Ecn};
use crate::transport::error::{CloseReason, PeerFault, code};
use crate::transport::state::{Event, State};
use crate::transport::stats::DropReason;
use crate::transport::time::{Micros, Time};
use crate::transport::timer::Timer;
use crate::transport::trace::TraceEvent;
use crate::wire::transport::{Frame, Frames, LongPacket, is_long};
use rand_chacha::rand_core::Rng;
use std::net::SocketAddr;

/// An acknowledgement that may wait at all waits at least so long, if nothing asks for it.
const ACK_DELAY_MIN: Micros = Micros::from_ms(1);

impl Connection {
    /// A datagram for this connection arrived; its bytes are decrypted in place.
    pub fn handle_datagram(&mut self, now: Time, from: SocketAddr, ecn: Ecn, datagram: &mut [u8]) {
        self.stats.datagrams_received += 1;
        self.stats.bytes_received += datagram.len() as u64;
        if from == self.path.remote {
            self.path.on_received(datagram.len());
        }
        if is_long(datagram) {
            match LongPacket::parse(datagram) {
                Ok(packet) => self.on_long_packet(now, &packet),
                Err(_) => self.drop_packet(now, DropReason::Malformed),
            }
        } else {
            self.on_short_packet(now, from, ecn, datagram);
        }
        self.after_input(now);
    }

    fn on_short_packet(&mut self, now: Time, from: SocketAddr, ecn: Ecn, datagram: &mut [u8]) {
        if matches!(self.state, State::Draining | State::Closed) {
            return self.drop_packet(now, DropReason::Unexpected);
        }
        let Some(protection) = &mut self.protection else {
            return self.drop_packet(now, DropReason::NoKeys);
        };
        // A reset looks like a packet; its last bytes are what tells (RFC 9000 §10.3.1). Opening
        // changes the bytes, so look first.
        let is_reset = self.remote_ids.is_reset(datagram);
        let Ok(opened) = protection.open(datagram, self.acks.expected()) else {
            if is_reset {
                return self.end(now, Event::PeerReset, CloseReason::Reset);
            }
            return self.drop_packet(now, DropReason::Unauthentic);
        };
        // RFC 9000 §12.3: a number is used once; this is the replay protection.
        if self.acks.check(opened.number) == Arrival::Duplicate {
            return self.drop_packet(now, DropReason::Duplicate);
        }
        if opened.keys_updated {
            // RFC 9001 §6.5: the old keys are kept for three probe timeouts.
            self.timers.set(Timer::Keys, now + self.pto() * 3);
        }
        let size = datagram.len() as u32;
        self.trace.record(now, TraceEvent::Received { number: opened.number, size });
        if self.state == State::Closing {
            // RFC 9000 §10.2.1: answered with CLOSE again, unless this is the peer's.
            return self.on_packet_while_closing(now, &datagram[opened.payload]);
        }
        if self.state == State::Accepting {
            self.on_confirmed(now);
        }
        let is_newest = opened.number >= self.acks.expected();
        let mut ack_eliciting = false;
        for frame in Frames::new(&datagram[opened.payload]) {
            let handled = match frame {
                Ok(frame) => {
                    ack_eliciting |= frame.is_ack_eliciting();
                    self.on_frame(now, from, &frame)
                }
                Err(error) => Err(PeerFault::Wire(error)),
            };
            if let Err(fault) = handled {
                return self.fail(now, fault);
            }
            if self.state.is_over() {
                return;
            }
        }
        if let Some(at) = self.acks.on_packet(now, opened.number, ecn, ack_eliciting) {
            // A quarter of a round trip is enough to find a packet to ride on.
            let at = at.min(now + (self.path.rtt.smoothed() / 4).max(ACK_DELAY_MIN));
            let sooner = self.timers.get(Timer::Ack).is_none_or(|set| at < set);
            if sooner {
                self.timers.set(Timer::Ack, at);
            }
        }
        if is_newest && from != self.path.remote && !self.is_client {
            self.migrate(now, from, datagram.len());
        }
        self.has_spoken = false;
        self.restart_idle(now);
        self.set_keep_alive(now);
    }

    /// RFC 9000 §9.3: the client's packets come from elsewhere.
    fn migrate(&mut self, now: Time, from: SocketAddr, len: usize) {
        self.stats.migrations += 1;
        self.trace.record(now, TraceEvent::Migrated);
        let challenge = self.rng.next_u64();
        let is_new_path = from.ip() != self.path.remote.ip();
        self.path.migrate(now, from, challenge, self.config.congestion);
        if is_new_path {
            self.sent.forget_stamps();
        }
        self.path.on_received(len);
        self.remote_ids.switch();
        // What was waited for on the old path says nothing about this one.
        self.detector.on_progress();
        self.set_loss_timer();
        self.timers.set(Timer::Path, now + self.pto());
    }

    fn on_packet_while_closing(&mut self, now: Time, payload: &[u8]) {
        let is_close = Frames::new(payload).any(|frame| matches!(frame, Ok(Frame::Close { .. })));
        if is_close {
            self.enter(now, Event::PeerClosed);
            self.timers.set(Timer::Close, now + self.pto());
        } else {
            self.pending.close = true;
        }
    }

    fn on_frame(
        &mut self,
        now: Time,
        from: SocketAddr,
        frame: &Frame<'_>,
    ) -> Result<(), PeerFault> {
        match *frame {
            Frame::Padding(_) | Frame::Ping => {}
            Frame::Ack(ack) => self.on_ack(now, &ack)?,
            Frame::Msg(msg) => {
                let deadline = msg
                    .head
                    .deadline_us
                    .and_then(|us| self.peer_clock.to_local(us, self.path.rtt.min()));
                self.inbox.on_msg(now, &msg, deadline)?;
            }
            Frame::Repair(repair) => {
                let deadline = repair
                    .head
                    .deadline_us
                    .and_then(|us| self.peer_clock.to_local(us, self.path.rtt.min()));
                self.inbox.on_repair(now, &repair, deadline)?;
            }
            Frame::Skip { channel, mode, id, total } => {
                self.inbox.on_skip(now, (channel, mode), id, total)?;
            }
            Frame::MaxData(limit) => self.outbox.raise_credit(limit),
            Frame::MaxChannel { channel, limit } => {
                self.outbox.raise_channel_credit(channel, limit);
            }
            Frame::PathChallenge(data) => self.pending.path_response = Some((from, data)),
            Frame::PathResponse(data) => {
                if self.path.on_response(data) {
                    self.timers.clear(Timer::Path);
                }
            }
            Frame::NewCid { seq, cid, reset_token } => {
                self.remote_ids.add(seq, cid, reset_token)?;
            }
            Frame::RetireCid(seq) => {
                self.local_ids.retire(seq)?;
                self.local_ids.refill(|| self.rng.next_u64());
            }
            Frame::AckFrequency { seq, threshold, delay_us_max } => {
                let delay = Micros(delay_us_max).min(self.config.ack_delay_max);
                self.acks.on_frequency(seq, threshold, delay);
            }
            Frame::ImmediateAck => self.acks.on_asked(),
            Frame::Blocked => self.inbox.on_blocked(),
            Frame::Timestamp(time_us) => self.peer_clock.on_timestamp(now, time_us),
            Frame::Close { code, reason } => self.on_close(now, code, reason),
        }
        Ok(())
    }

    fn on_close(&mut self, now: Time, code: u64, reason: &str) {
        if self.enter(now, Event::PeerClosed) {
            let why = if code == code::DONE {
                CloseReason::Peer
            } else {
                CloseReason::PeerError { code, reason: reason.to_owned() }
            };
            self.finish(why);
            // RFC 9000 §10.2.2: one CLOSE in answer, so that the peer need not repeat its own.
            self.pending.close = true;
            self.close_code = code::DONE;
            self.timers.clear_all();
            self.timers.set(Timer::Close, now + self.pto() * 3);
        }
    }
}
