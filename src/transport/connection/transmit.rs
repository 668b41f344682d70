//! Writing packets: what may leave now, and what goes into it.
//!
//! A batch of packets for one address is written into one contiguous buffer, all but the last of
//! one size, so that the driver can hand it to the kernel in one call (GSO).

use super::Connection;
use crate::transport::ack::Ecn;
use crate::transport::ack_frequency::Rhythm;
use crate::transport::fec_control::FecPath;
use crate::transport::send::Room;
use crate::transport::sent::{NewPacket, SentFrame};
use crate::transport::state::State;
use crate::transport::time::Time;
use crate::transport::timer::Timer;
use crate::transport::trace::TraceEvent;
use crate::wire::transport::{Frame, PacketNumberLen, ShortFlags, ShortHeader, compose_ack};
use ring::hmac;
use std::net::SocketAddr;

/// Datagrams to send: `len` bytes of the buffer, cut every `segment_len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub remote: SocketAddr,
    /// The mark to send with.
    pub ecn: Ecn,
    /// Bytes written to the end of the buffer.
    pub len: usize,
    /// Every datagram is this long except the last, which may be shorter.
    pub segment_len: usize,
}

/// What may leave at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allowed {
    Nothing,
    AckOnly,
    /// Data, in a packet of at most `room` bytes.
    Data {
        is_probe: bool,
        room: u64,
    },
}

/// What to write.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    /// The longest the packet may be.
    len_max: usize,
    data: bool,
    is_probe: bool,
    /// Pad to `len_max`: a path MTU probe.
    is_mtu_probe: bool,
}

/// With header protection, packet number and payload must be this long together (RFC 9001
/// §5.4.2).
const NUMBER_AND_PAYLOAD_MIN: usize = 4;
/// An ACK with many ranges asks to be acknowledged after so many that were not.
const ACKS_IN_A_ROW_MAX: u8 = 10;
const ACK_RANGES_MANY: usize = 8;
/// To an unproved address nothing shorter than this is sent: it would not hold a challenge.
const UNPROVED_LEN_MIN: usize = 40;
/// What a short message takes in a packet beyond its own length, at most: header, tag, heads.
const SMALL_OVERHEAD_MAX: usize = 100;
/// Repair of messages with deadlines fills at most one part in so many of the window.
const REPAIR_WINDOW_PARTS: u64 = 2;
/// Room an ACK leaves for what else the packet carries.
const ACK_ROOM_MAX: usize = 400;

impl Connection {
    /// Writes datagrams to the end of `out`, at most `segments_max` of them.
    ///
    /// Call until it returns `None`; then wait for input or for the next deadline.
    pub fn poll_transmit(
        &mut self,
        now: Time,
        segments_max: usize,
        out: &mut Vec<u8>,
    ) -> Option<Transmit> {
        let start = out.len();
        let transmit = |remote, segment_len, out: &Vec<u8>, ecn| Transmit {
            remote,
            ecn,
            len: out.len() - start,
            segment_len,
        };
        let remote = self.path.remote;
        if self.write_handshake(now, out) {
            let done = transmit(remote, out.len() - start, out, Ecn::NotEct);
            self.count_sent(now, &done, 1);
            return Some(done);
        }
        self.protection.as_ref()?;
        if self.state.is_over() {
            return self.write_close(out).then(|| {
                let done = transmit(remote, out.len() - start, out, Ecn::NotEct);
                self.count_sent(now, &done, 1);
                done
            });
        }
        if let Some(elsewhere) = self.write_response_elsewhere(now, out) {
            let done = transmit(elsewhere, out.len() - start, out, Ecn::NotEct);
            self.count_sent(now, &done, 1);
            return Some(done);
        }
        let ecn = if self.config.ecn { Ecn::Ect0 } else { Ecn::NotEct };
        if self.write_mtu_probe(now, out) {
            let done = transmit(remote, out.len() - start, out, ecn);
            self.count_sent(now, &done, 1);
            return Some(done);
        }
        let (segments, segment_len) = self.write_batch(now, segments_max, out);
        (segments > 0).then(|| {
            let done = transmit(remote, segment_len, out, ecn);
            self.count_sent(now, &done, segments);
            done
        })
    }

    fn count_sent(&mut self, now: Time, transmit: &Transmit, segments: u64) {
        self.stats.datagrams_sent += segments;
        self.stats.bytes_sent += transmit.len as u64;
        if transmit.remote == self.path.remote {
            self.path.on_sent(transmit.len);
        }
        self.set_loss_timer_if_open();
        self.set_keep_alive(now);
    }

    /// A message is given up when it could no longer arrive in time.
    pub(super) fn set_deadline_timer(&mut self) {
        let one_way = self.path.one_way();
        let at = self.outbox.next_deadline().map(|at| at - one_way);
        self.timers.set_or_clear(Timer::Deadline, at);
    }

    fn set_loss_timer_if_open(&mut self) {
        if !self.state.is_over() {
            self.set_loss_timer();
        }
    }

    fn write_batch(&mut self, now: Time, segments_max: usize, out: &mut Vec<u8>) -> (u64, usize) {
        let mtu = usize::from(self.path.mtu.current());
        let batch_start = out.len();
        let (mut segments, mut segment_len) = (0_u64, 0);
        while segments < segments_max as u64 {
            let unsent_before = (out.len() - batch_start) as u64;
            let left = self.path.amplification_left().saturating_sub(unsent_before);
            let len_max = mtu.min(usize::try_from(left).unwrap_or(usize::MAX));
            if len_max < UNPROVED_LEN_MIN {
                break;
            }
            let allowed = self.allowed(now, mtu as u64);
            let (data, is_probe, len_max) = match allowed {
                Allowed::Nothing => break,
                Allowed::AckOnly => (false, false, len_max),
                Allowed::Data { is_probe, room } => (true, is_probe, len_max.min(room as usize)),
            };
            let start = out.len();
            let wanted = Wanted { len_max, data, is_probe, is_mtu_probe: false };
            if !self.write_packet(now, out, wanted) {
                break;
            }
            let len = out.len() - start;
            if segments == 0 {
                segment_len = len;
            }
            segments += 1;
            if len < mtu {
                break;
            }
        }
        (segments, segment_len)
    }

    fn has_control(&self) -> bool {
        self.pending.ping
            || self.inbox.has_grants()
            || self.outbox.has_blocked_notice()
            || self.local_ids.has_unsent()
            || self.remote_ids.has_retirements()
    }

    fn allowed(&mut self, now: Time, mtu: u64) -> Allowed {
        // Proving a path does not wait for a window full of packets to the old one.
        let proves_path = self.pending.path_response.is_some()
            || self.path.challenge.is_some_and(|challenge| challenge.is_due);
        if self.probes > 0 || proves_path {
            return Allowed::Data { is_probe: true, room: mtu };
        }
        let ack_only = if self.acks.is_due() { Allowed::AckOnly } else { Allowed::Nothing };
        if !self.outbox.has_ready() && !self.has_control() {
            // RFC 9002 §7.8: the application is what limits us.
            self.app_limited = true;
            if self.sent.keeps_stamps() {
                self.path.congestion.on_app_limited(self.sent.bytes_in_flight());
            }
            return ack_only;
        }
        // RFC 9002 §7: what is in flight stays within the window.
        let window = self.path.congestion.window();
        // The rest is for the messages that come next: none is late because others are repaired.
        let parts = if self.outbox.next_is_repair() { REPAIR_WINDOW_PARTS } else { 1 };
        let room = (window / parts).saturating_sub(self.sent.bytes_in_flight());
        let fits = |len: usize| len + SMALL_OVERHEAD_MAX <= room as usize;
        if room < mtu && !self.outbox.next_len().is_some_and(fits) {
            self.app_limited = false;
            return ack_only;
        }
        let rate = self.path.rate();
        if self.path.pacer.allowance(now, rate) < mtu {
            self.app_limited = false;
            self.timers.set(Timer::Pacing, self.path.pacer.next(rate).max(now));
            return ack_only;
        }
        Allowed::Data { is_probe: false, room: room.min(mtu) }
    }

    /// Writes one short packet; `false` (and nothing written) if there was nothing to say.
    fn write_packet(&mut self, now: Time, out: &mut Vec<u8>, wanted: Wanted) -> bool {
        let Some(protection) = &self.protection else { return false };
        let start = out.len();
        let number = self.sent.next_number();
        let number_len = PacketNumberLen::for_number(number, self.detector.largest_acked());
        let header = ShortHeader {
            flags: ShortFlags { key_phase: protection.key_phase(), number_len },
            dcid: self.remote_ids.current(),
            truncated_number: number as u32 & (u32::MAX >> (32 - 8 * number_len.bytes())),
        };
        header.compose(out);
        let payload = out.len();
        let end = start + wanted.len_max - protection.tag_len();
        let mut frames = std::mem::take(&mut self.scratch_frames);
        frames.clear();
        let acks = self.write_ack(now, out, end, &mut frames);
        let ack_end = out.len();
        if wanted.data {
            self.write_control(out, end, &mut frames);
            let len_max = wanted.len_max - (payload - start) - (start + wanted.len_max - end);
            let path = FecPath { loss: self.loss_share, srtt: self.path.rtt.smoothed() };
            let room = Room { end, len_max, packet: number, path };
            self.outbox.fill(now, out, room, &mut frames);
            if out.len() == ack_end && wanted.is_probe {
                Frame::Ping.compose(out);
            }
            let is_last = !self.outbox.has_ready();
            if out.len() > ack_end && self.frequency.asks_at_once(is_last) && out.len() < end {
                Frame::ImmediateAck.compose(out);
            }
        }
        if !wanted.data && acks && self.wants_ack_of_ack() || wanted.is_mtu_probe {
            Frame::Ping.compose(out);
        }
        if out.len() == payload {
            out.truncate(start);
            self.scratch_frames = frames;
            return false;
        }
        let ack_eliciting = out.len() > ack_end;
        // A packet nearly full is filled up, if more waits, to keep the batch of one size.
        let nearly_full = out.len() - start + wanted.len_max / 4 >= wanted.len_max;
        if wanted.is_mtu_probe || nearly_full && wanted.data && self.outbox.has_ready() {
            out.resize(end, 0);
        }
        let len_min = payload + NUMBER_AND_PAYLOAD_MIN - number_len.bytes();
        if out.len() < len_min {
            out.resize(len_min, 0);
        }
        if let Some(protection) = &mut self.protection {
            protection.seal(out, start, payload - start, number);
        }
        let size = (out.len() - start) as u32;
        self.on_packet_written(now, number, size, ack_eliciting, wanted, &frames);
        self.scratch_frames = frames;
        true
    }

    fn on_packet_written(
        &mut self,
        now: Time,
        number: u64,
        size: u32,
        ack_eliciting: bool,
        wanted: Wanted,
        frames: &[SentFrame],
    ) {
        let is_mtu_probe = wanted.is_mtu_probe;
        let packet =
            NewPacket { sent_at: now, size, ack_eliciting, in_flight: ack_eliciting, is_mtu_probe };
        self.sent.push(packet, frames);
        let is_probe = wanted.is_probe;
        if ack_eliciting && self.sent.keeps_stamps() {
            let in_flight = self.sent.bytes_in_flight();
            let stamp = self.path.congestion.on_sent(now, size.into(), in_flight);
            self.sent.stamp_last(stamp);
        }
        if ack_eliciting {
            self.probes = self.probes.saturating_sub(1);
            self.detector.on_sent(now);
            self.path.pacer.on_sent(u64::from(size));
            self.acks_in_a_row = 0;
            // RFC 9000 §10.1: the first packet after one that arrived restarts the clock.
            if !self.has_spoken {
                self.has_spoken = true;
                self.restart_idle(now);
            }
        } else {
            self.acks_in_a_row = self.acks_in_a_row.saturating_add(1);
        }
        let in_flight = self.sent.bytes_in_flight();
        let cwnd = self.path.congestion.window();
        self.trace.record(
            now,
            TraceEvent::Sent { number, size, in_flight, cwnd, ack_eliciting, is_probe },
        );
    }

    /// RFC 9000 §13.2.4: once in a while an ACK must itself be acknowledged, or it would list
    /// the same ranges for ever.
    fn wants_ack_of_ack(&self) -> bool {
        let with_one = self.sent.bytes_in_flight() + u64::from(self.path.mtu.current());
        self.acks_in_a_row >= ACKS_IN_A_ROW_MAX
            && self.acks.received().len() >= ACK_RANGES_MANY
            && with_one <= self.path.congestion.window()
    }

    fn write_ack(
        &mut self,
        now: Time,
        out: &mut Vec<u8>,
        end: usize,
        frames: &mut Vec<SentFrame>,
    ) -> bool {
        if !self.acks.is_useful() && !self.acks.is_due() {
            return false;
        }
        let Some(largest) = self.acks.received().highest() else { return false };
        let room = ((end - out.len()) / 2).min(ACK_ROOM_MAX);
        let ranges = self.acks.received().descending();
        let delay_us = self.acks.delay(now).0;
        if compose_ack(out, room, ranges, delay_us, self.acks.ecn()).is_none() {
            return false;
        }
        frames.push(SentFrame::Ack { largest });
        self.acks.on_sent();
        self.timers.clear(Timer::Ack);
        true
    }

    fn write_control(&mut self, out: &mut Vec<u8>, end: usize, frames: &mut Vec<SentFrame>) {
        if let Some(challenge) = self.path.challenge.as_mut().filter(|c| c.is_due) {
            challenge.is_due = false;
            Frame::PathChallenge(challenge.data).compose(out);
        }
        let remote = self.path.remote;
        if let Some((_, data)) = self.pending.path_response.take_if(|(to, _)| *to == remote) {
            Frame::PathResponse(data).compose(out);
        }
        if std::mem::take(&mut self.pending.ping) {
            let relaxed = self.frequency.is_relaxed();
            if relaxed { Frame::ImmediateAck } else { Frame::Ping }.compose(out);
        }
        while out.len() + CONTROL_LEN_MAX <= end {
            if let Some(limit) = self.inbox.take_grant() {
                Frame::MaxData(limit).compose(out);
                frames.push(SentFrame::MaxData);
            } else if let Some((channel, limit)) = self.inbox.take_channel_grant() {
                Frame::MaxChannel { channel, limit }.compose(out);
                frames.push(SentFrame::MaxChannel { channel });
            } else if self.outbox.take_blocked_notice() {
                Frame::Blocked.compose(out);
                frames.push(SentFrame::Blocked);
            } else if let Some((seq, Rhythm { threshold, delay })) = self.frequency.take_due() {
                Frame::AckFrequency { seq, threshold, delay_us_max: delay.0 }.compose(out);
                frames.push(SentFrame::AckFrequency { seq });
            } else if let Some((seq, cid)) = self.local_ids.take_unsent() {
                let reset_token = reset_token(&self.reset_key, cid.0);
                Frame::NewCid { seq, cid, reset_token }.compose(out);
                frames.push(SentFrame::NewCid { seq });
            } else if let Some(seq) = self.remote_ids.take_retirement() {
                Frame::RetireCid(seq).compose(out);
                frames.push(SentFrame::RetireCid { seq });
            } else {
                break;
            }
        }
    }

    /// A challenge that came from elsewhere is answered there, and only it.
    fn write_response_elsewhere(&mut self, now: Time, out: &mut Vec<u8>) -> Option<SocketAddr> {
        let remote = self.path.remote;
        let (to, data) = self.pending.path_response.take_if(|(to, _)| *to != remote)?;
        let start = out.len();
        self.write_bare(out, &Frame::PathResponse(data));
        let size = (out.len() - start) as u32;
        let packet = NewPacket {
            sent_at: now,
            size,
            ack_eliciting: true,
            in_flight: true,
            is_mtu_probe: false,
        };
        self.sent.push(packet, &[]);
        Some(to)
    }

    /// A packet of one frame, sealed.
    fn write_bare(&mut self, out: &mut Vec<u8>, frame: &Frame<'_>) {
        let Some(protection) = &mut self.protection else { return };
        let start = out.len();
        let number = self.sent.next_number();
        let number_len = PacketNumberLen::for_number(number, self.detector.largest_acked());
        let header = ShortHeader {
            flags: ShortFlags { key_phase: protection.key_phase(), number_len },
            dcid: self.remote_ids.current(),
            truncated_number: number as u32 & (u32::MAX >> (32 - 8 * number_len.bytes())),
        };
        header.compose(out);
        let header_len = out.len() - start;
        frame.compose(out);
        let len_min = start + header_len + NUMBER_AND_PAYLOAD_MIN;
        if out.len() < len_min {
            out.resize(len_min, 0);
        }
        protection.seal(out, start, header_len, number);
    }

    fn write_close(&mut self, out: &mut Vec<u8>) -> bool {
        let may = matches!(self.state, State::Closing | State::Draining);
        if !may || !std::mem::take(&mut self.pending.close) {
            return false;
        }
        let reason = match &self.reason {
            Some(reason) if !reason.is_orderly() => reason.to_string(),
            _ => String::new(),
        };
        let mut len = reason.len().min(crate::wire::transport::CLOSE_REASON_LEN_MAX as usize);
        while !reason.is_char_boundary(len) {
            len -= 1;
        }
        let frame = Frame::Close { code: self.close_code, reason: &reason[..len] };
        self.write_bare(out, &frame);
        let number = NewPacket {
            sent_at: Time(0),
            size: 0,
            ack_eliciting: false,
            in_flight: false,
            is_mtu_probe: false,
        };
        self.sent.push(number, &[]);
        true
    }

    fn write_mtu_probe(&mut self, now: Time, out: &mut Vec<u8>) -> bool {
        if !self.path.is_validated() || self.detector.pto_count() > 0 {
            return false;
        }
        let Some(size) = self.path.mtu.probe_size(now) else { return false };
        let in_flight = self.sent.bytes_in_flight() + u64::from(size);
        if in_flight > self.path.congestion.window() {
            return false;
        }
        let number = self.sent.next_number();
        let wanted =
            Wanted { len_max: usize::from(size), data: false, is_probe: false, is_mtu_probe: true };
        let written = self.write_packet(now, out, wanted);
        if written {
            self.path.mtu.on_probe_sent(number);
        }
        written
    }
}

/// The longest control frame, in bytes.
const CONTROL_LEN_MAX: usize = 1 + 8 + 8 + 16;

/// RFC 9000 §10.3.2: the token of one of our ids, without keeping it.
pub(crate) fn reset_token(key: &hmac::Key, cid: u64) -> [u8; 16] {
    let tag = hmac::sign(key, &cid.to_be_bytes());
    let mut token = [0; 16];
    token.copy_from_slice(&tag.as_ref()[..16]);
    token
}
