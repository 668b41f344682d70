//! Acknowledgements and losses: every part that cares is told, each once.

use super::Connection;
use crate::transport::congestion::{Acked, Bandwidth, Phase, StampedPacket};
use crate::transport::error::PeerFault;
use crate::transport::send::AckInfo;
use crate::transport::sent::SentFrame;
use crate::transport::time::{Micros, Time};
use crate::transport::timer::Timer;
use crate::transport::trace::TraceEvent;
use crate::wire::transport::AckFrame;

/// RFC 9002 §6.2.4: how many packets a probe timeout may send.
const PROBES_PER_TIMEOUT: u8 = 2;

impl Connection {
    /// RFC 9002 A.7.
    pub(super) fn on_ack(&mut self, now: Time, ack: &AckFrame<'_>) -> Result<(), PeerFault> {
        if ack.largest >= self.sent.next_number() {
            return Err(PeerFault::AckOfUnsent);
        }
        let spurious = self.detector.take_spurious(ack.ranges());
        if spurious > 0 {
            self.stats.packets_spurious += spurious as u64;
            self.undo_if_all_spurious(spurious as u64);
        }
        self.note_use_of_window();
        let mut numbers = std::mem::take(&mut self.scratch_numbers);
        numbers.clear();
        for range in ack.ranges() {
            self.sent.collect_outstanding(range, &mut numbers);
        }
        if !numbers.is_empty() {
            self.sample_rtt(now, ack, &numbers);
            self.on_newly_acked(now, ack, &numbers);
        }
        self.scratch_numbers = numbers;
        self.sent.release();
        self.set_loss_timer();
        Ok(())
    }

    /// RFC 9002 §7.8: a window that is nearly full when an acknowledgement comes is in use, even
    /// if the application has nothing more to send just now. Nearly is three packets, in slow
    /// start half of it.
    fn note_use_of_window(&mut self) {
        let (window, used) = (self.path.congestion.window(), self.sent.bytes_in_flight());
        let margin = 3 * u64::from(self.path.mtu.current());
        let is_used = match self.path.congestion.phase() {
            Phase::SlowStart => used > window / 2,
            _ => used + margin >= window,
        };
        self.app_limited &= !is_used;
    }

    /// RFC 9002 §5.1: a sample only from the largest, newly acknowledged, with something in the
    /// frame that elicited it.
    fn sample_rtt(&mut self, now: Time, ack: &AckFrame<'_>, numbers: &[u64]) {
        self.detector.on_largest_acked(ack.largest);
        let Some(largest) = self.sent.get(ack.largest).copied() else { return };
        let elicits = numbers
            .iter()
            .any(|number| self.sent.get(*number).is_some_and(|packet| packet.ack_eliciting));
        if elicits {
            // RFC 9002 §5.3: never more than the peer's declared maximum.
            let delay = Micros(ack.delay_us).min(self.peer_ack_delay_max);
            self.path.rtt.sample(now, now.since(largest.sent_at), delay);
        }
    }

    fn on_newly_acked(&mut self, now: Time, ack: &AckFrame<'_>, numbers: &[u64]) {
        // On its way back the frame took at least half of the shortest round trip.
        let travelled = Micros(ack.delay_us) + self.path.rtt.min() / 2;
        let info = AckInfo { arrived_by: now - travelled };
        let recovery = self.path.congestion.recovery_start();
        let (mut bytes, mut last_sent_at) = (0, Time(0));
        for number in numbers {
            let Some(packet) = self.sent.settle(*number) else { continue };
            if packet.in_flight && recovery.is_none_or(|start| packet.sent_at > start) {
                bytes += self.growth_of(packet.size);
            }
            if let Some(stamp) = self.sent.stamp(*number) {
                let (number, size, sent_at) = (*number, packet.size, packet.sent_at);
                let packet = StampedPacket { number, sent_at, size, stamp };
                self.path.congestion.on_packet_acked(now, &packet);
            }
            self.loss_share.on_packet(false);
            last_sent_at = last_sent_at.max(packet.sent_at);
            if self.path.mtu.on_acked(*number, packet.size) {
                self.on_mtu_changed(now);
            }
            for at in self.sent.frames(*number) {
                self.on_frame_acked(self.sent.frame(at), info);
            }
            if let Some(protection) = &mut self.protection {
                protection.on_acked(*number);
            }
        }
        self.detector.on_progress();
        if let Some(ecn) = ack.ecn.filter(|ecn| ecn.ce > self.ce_seen) {
            // RFC 9002 §7.1: a mark counts like a loss.
            self.ce_seen = ecn.ce;
            self.path.congestion.on_marked(now);
            // Counted as one that no late arrival makes good.
            self.on_congestion(now, last_sent_at, false, 1);
        }
        let held_back = Micros(ack.delay_us).min(self.peer_ack_delay_max);
        self.path.congestion.on_acked(&Acked {
            now,
            bytes,
            largest_acked: ack.largest,
            next_number: self.sent.next_number(),
            rtt: &self.path.rtt,
            app_limited: self.app_limited,
            in_flight: self.sent.bytes_in_flight(),
            round_trip: (self.path.rtt.latest() - held_back).max(self.path.rtt.min()),
        });
        self.detect_losses(now);
        let window_packets = self.path.congestion.window() / u64::from(self.path.mtu.current());
        self.frequency.adapt(now, window_packets, self.path.rtt.smoothed());
        self.trace.record(
            now,
            TraceEvent::Metrics {
                latest_rtt: self.path.rtt.latest(),
                srtt: self.path.rtt.smoothed(),
                cwnd: self.path.congestion.window(),
                in_flight: self.sent.bytes_in_flight(),
                ssthresh: self.path.congestion.ssthresh(),
                pacing_rate_bps: self.path.congestion.pacing_rate().map(Bandwidth::bits),
            },
        );
        self.trace.record_phase(now, self.path.congestion.phase());
    }

    /// What a packet is worth to the growth of the window. Beyond slow start a short one counts as
    /// a full one, so that a stream of short packets gets the bytes a second of one of full
    /// packets that loses as many of them (RFC 4828 §1).
    fn growth_of(&self, size: u32) -> u64 {
        let mtu = u64::from(self.path.mtu.current());
        match self.path.congestion.phase() {
            Phase::Avoidance => u64::from(size).max(mtu),
            _ => size.into(),
        }
    }

    fn on_frame_acked(&mut self, frame: SentFrame, info: AckInfo) {
        match frame {
            SentFrame::Msg { channel, id, offset, len } => {
                self.outbox.on_msg_acked(channel, id, offset, len, info);
            }
            SentFrame::Repair { channel, id } => self.outbox.on_repair_acked(channel, id, info),
            SentFrame::Skip { channel, id } => self.outbox.on_skip_acked(channel, id),
            SentFrame::Ack { largest } => self.acks.on_ack_of_ack(largest),
            SentFrame::AckFrequency { seq } => self.frequency.on_acked(seq),
            SentFrame::MaxData
            | SentFrame::MaxChannel { .. }
            | SentFrame::Blocked
            | SentFrame::NewCid { .. }
            | SentFrame::RetireCid { .. } => {}
        }
    }

    /// Finds lost packets and puts what they carried back in line.
    pub(super) fn detect_losses(&mut self, now: Time) {
        let losses = self.detector.detect(now, &self.sent, &self.path.rtt, self.peer_ack_delay_max);
        let (mut last_sent_at, mut smallest, mut lost) = (None, u32::MAX, 0);
        for number in &losses.numbers {
            let Some(packet) = self.sent.settle(*number) else { continue };
            self.stats.packets_lost += 1;
            self.trace.record(now, TraceEvent::Lost { number: *number });
            if packet.is_mtu_probe {
                // RFC 8899 §3: no sign of congestion.
                self.path.mtu.on_probe_lost();
                continue;
            }
            if let Some(stamp) = self.sent.stamp(*number) {
                let (number, size, sent_at) = (*number, packet.size, packet.sent_at);
                let lost = StampedPacket { number, sent_at, size, stamp };
                self.path.congestion.on_packet_lost(now, &lost);
            }
            self.loss_share.on_packet(true);
            if packet.in_flight {
                last_sent_at = Some(packet.sent_at);
                smallest = smallest.min(packet.size);
                lost += 1;
            }
            for at in self.sent.frames(*number) {
                self.on_frame_lost(now, self.sent.frame(at), false);
            }
        }
        if let Some(sent_at) = last_sent_at {
            self.on_congestion(now, sent_at, losses.persistent_congestion, lost);
            if self.path.mtu.on_lost(now, smallest) {
                self.on_mtu_changed(now);
            }
        }
        self.sent.release();
    }

    fn on_congestion(&mut self, now: Time, sent_at: Time, is_persistent: bool, lost: u64) {
        let before = self.path.congestion.recovery_start();
        self.path.congestion.on_congestion(now, sent_at, is_persistent);
        if self.path.congestion.recovery_start() == before {
            self.lost_in_event += lost;
        } else {
            self.stats.congestion_events += 1;
            self.lost_in_event = lost;
            self.spurious_in_event = 0;
        }
    }

    /// If every packet whose loss began the event arrived after all, it was no event.
    fn undo_if_all_spurious(&mut self, spurious: u64) {
        self.spurious_in_event += spurious;
        if self.lost_in_event > 0 && self.spurious_in_event >= self.lost_in_event {
            self.path.congestion.on_spurious();
            self.lost_in_event = 0;
            self.spurious_in_event = 0;
        }
    }

    fn on_frame_lost(&mut self, now: Time, frame: SentFrame, is_probe: bool) {
        match frame {
            SentFrame::Msg { channel, id, offset, len } => {
                // Again it would arrive so much later.
                let arrives = now + self.path.one_way();
                self.outbox.on_msg_lost(arrives, channel, id, (offset, len), is_probe);
            }
            SentFrame::Repair { channel, id } if !is_probe => {
                self.outbox.on_repair_lost(channel, id);
            }
            SentFrame::Skip { channel, id } => self.outbox.on_skip_lost(channel, id),
            SentFrame::MaxData => self.inbox.on_grant_lost(),
            SentFrame::MaxChannel { channel } => self.inbox.on_channel_grant_lost(channel),
            SentFrame::NewCid { seq } => self.local_ids.on_lost(seq),
            SentFrame::RetireCid { seq } => self.remote_ids.on_retirement_lost(seq),
            SentFrame::Blocked => self.outbox.on_blocked_lost(),
            SentFrame::AckFrequency { seq } => self.frequency.on_lost(seq),
            // A later acknowledgement says more.
            SentFrame::Ack { .. } | SentFrame::Repair { .. } => {}
        }
    }

    /// RFC 9002 A.9.
    pub(super) fn on_loss_timer(&mut self, now: Time) {
        if self.detector.awaits_loss() {
            self.detect_losses(now);
        } else if self.sent.has_eliciting() {
            self.on_probe_timeout(now);
        }
        self.set_loss_timer();
    }

    /// RFC 9002 §6.2.4: send something that will be acknowledged: new data if there is some, for
    /// what waits for an acknowledgement may well have arrived, or old data rather than nothing.
    fn on_probe_timeout(&mut self, now: Time) {
        self.detector.on_pto(now);
        self.stats.probes += 1;
        self.probes = PROBES_PER_TIMEOUT;
        self.pending.ping = true;
        let Some(first) = self.sent.first_outstanding() else { return };
        let oldest = (first..self.sent.next_number())
            .filter(|number| self.sent.get(*number).is_some_and(|packet| packet.ack_eliciting))
            .take(usize::from(PROBES_PER_TIMEOUT));
        let oldest: Vec<u64> = oldest.collect();
        let has_new = self.outbox.has_ready();
        let mut smallest = u32::MAX;
        for number in oldest {
            smallest = smallest.min(self.sent.get(number).map_or(0, |packet| packet.size));
            let frames = if has_new { 0..0 } else { self.sent.frames(number) };
            for at in frames {
                self.on_frame_lost(now, self.sent.frame(at), true);
            }
        }
        if self.path.mtu.on_lost(now, smallest) {
            self.on_mtu_changed(now);
        }
    }

    pub(super) fn set_loss_timer(&mut self) {
        let at = self.detector.deadline(&self.sent, &self.path.rtt, self.frequency.held_back());
        self.timers.set_or_clear(Timer::Loss, at);
    }

    fn on_mtu_changed(&mut self, now: Time) {
        let mtu = self.path.mtu.current();
        self.path.congestion.on_mtu(u64::from(mtu));
        self.trace.record(now, TraceEvent::Mtu(mtu));
    }
}
