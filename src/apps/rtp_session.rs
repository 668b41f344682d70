//! What a receiver of RTP knows of its sender: loss, jitter, restarts (RFC 3550 appendix A).
//!
//! One source at a time: packets of another are foreign until two in a row say that the old one
//! has gone or begun anew. RTCP is not sent; the numbers are for the user.

use crate::wire::rtp::RtpPacket;
use std::time::Duration;

/// What a packet meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Of the known source.
    Accepted,
    /// The first of a new source: forget what was buffered of the old.
    NewSource,
    /// Of a source that is not believed yet.
    Foreign,
}

/// Statistics of one received source.
#[derive(Debug, Clone)]
pub struct RtpReceiver {
    rate_hz: u32,
    source: Option<Source>,
    candidate: Option<(u32, u16)>,
    sources: u64,
    foreign: u64,
}

#[derive(Debug, Clone)]
struct Source {
    ssrc: u32,
    base: i64,
    highest: i64,
    received: u64,
    out_of_order: u64,
    transit: Option<i64>,
    /// RFC 3550 A.8 keeps the jitter scaled by 16, so that integers suffice.
    jitter_times_16: u64,
}

/// A snapshot of the statistics.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RtpStats {
    /// Packets that came, duplicates included (as RFC 3550 counts).
    pub received: u64,
    /// Packets between the first and the highest number.
    pub expected: u64,
    /// Expected less received, never below zero.
    pub lost: u64,
    /// Packets that came after one with a higher number.
    pub out_of_order: u64,
    /// RFC 3550 §6.4.1, smoothed.
    pub jitter: Duration,
    /// Sources accepted so far: restarts are this less one.
    pub sources: u64,
    /// Packets of sources that were not believed.
    pub foreign: u64,
}

impl RtpReceiver {
    /// Make one for timestamps that count `rate_hz` a second.
    pub fn new(rate_hz: u32) -> Self {
        Self { rate_hz: rate_hz.max(1), source: None, candidate: None, sources: 0, foreign: 0 }
    }

    /// Take the header of one packet that came at `now`.
    pub fn receive(&mut self, now: Duration, packet: &RtpPacket<'_>) -> Arrival {
        let known = self.source.as_ref().is_some_and(|source| source.ssrc == packet.ssrc);
        if !known && self.source.is_some() && !self.is_confirmed(packet) {
            self.candidate = Some((packet.ssrc, packet.sequence));
            self.foreign += 1;
            return Arrival::Foreign;
        }
        if !known {
            self.accept(packet);
        }
        let arrival_units = (now.as_nanos() * u128::from(self.rate_hz) / 1_000_000_000) as u32;
        if let Some(source) = &mut self.source {
            source.count(arrival_units, packet);
        }
        if known { Arrival::Accepted } else { Arrival::NewSource }
    }

    /// The numbers so far; of the present source.
    pub fn stats(&self) -> RtpStats {
        let Some(source) = &self.source else {
            return RtpStats { foreign: self.foreign, ..RtpStats::default() };
        };
        let expected = (source.highest - source.base + 1).max(0) as u64;
        let jitter_units = u128::from(source.jitter_times_16 / 16);
        let jitter_ns = jitter_units * 1_000_000_000 / u128::from(self.rate_hz);
        RtpStats {
            received: source.received,
            expected,
            lost: expected.saturating_sub(source.received),
            out_of_order: source.out_of_order,
            jitter: Duration::from_nanos(jitter_ns as u64),
            sources: self.sources,
            foreign: self.foreign,
        }
    }

    /// RFC 3550 A.1: a source is valid after two packets in sequence.
    fn is_confirmed(&self, packet: &RtpPacket<'_>) -> bool {
        self.candidate == Some((packet.ssrc, packet.sequence.wrapping_sub(1)))
    }

    fn accept(&mut self, packet: &RtpPacket<'_>) {
        let first = i64::from(packet.sequence);
        self.source = Some(Source {
            ssrc: packet.ssrc,
            base: first,
            highest: first - 1,
            received: 0,
            out_of_order: 0,
            transit: None,
            jitter_times_16: 0,
        });
        self.candidate = None;
        self.sources += 1;
    }
}

impl Source {
    fn count(&mut self, arrival_units: u32, packet: &RtpPacket<'_>) {
        self.received += 1;
        let step = i64::from(packet.sequence.wrapping_sub(self.highest as u16) as i16);
        let extended = self.highest + step;
        if step <= 0 {
            self.out_of_order += 1;
            self.base = self.base.min(extended);
        } else if step > DROPOUT_MAX {
            // A jump no network makes: the sender began anew with the same source number.
            (self.base, self.highest, self.received) = (extended, extended, 1);
        } else {
            self.highest = extended;
        }
        // RFC 3550 A.8: J += (|D| - J) / 16, in timestamp units, with wrap-around.
        let transit = i64::from(arrival_units.wrapping_sub(packet.timestamp));
        if let Some(last) = self.transit.replace(transit) {
            let difference = (transit.wrapping_sub(last) as i32).unsigned_abs();
            let correction = (self.jitter_times_16 + 8) >> 4;
            self.jitter_times_16 += u64::from(difference);
            self.jitter_times_16 = self.jitter_times_16.saturating_sub(correction);
        }
    }
}

/// RFC 3550 A.1, MAX_DROPOUT.
const DROPOUT_MAX: i64 = 3000;

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> RtpPacket<'static> {
        RtpPacket {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc,
            csrc: Vec::new(),
            extension: None,
            payload: b"",
        }
    }

    /// Packet `n` of an 8 kHz source with 20 ms frames, `late` ms after its time.
    fn send(receiver: &mut RtpReceiver, n: u16, late: u64) -> Arrival {
        let now = Duration::from_millis(u64::from(n) * 20 + late);
        receiver.receive(now, &packet(1, n.wrapping_add(65_530), u32::from(n) * 160))
    }

    #[test]
    fn counts_loss_over_the_wrap() {
        let mut receiver = RtpReceiver::new(8000);
        assert_eq!(send(&mut receiver, 0, 0), Arrival::NewSource);
        for n in [1, 2, 4, 3, 6, 9, 12] {
            assert_eq!(send(&mut receiver, n, 0), Arrival::Accepted);
        }
        let stats = receiver.stats();
        assert_eq!((stats.expected, stats.received, stats.lost), (13, 8, 5));
        assert_eq!(stats.out_of_order, 1);
        assert_eq!(stats.jitter, Duration::ZERO);
    }

    #[test]
    fn jitter_follows_the_formula() {
        let mut receiver = RtpReceiver::new(8000);
        // Every second packet is 10 ms late: |D| is 80 units always, and J goes to 80.
        for n in 0..500 {
            send(&mut receiver, n, u64::from(n % 2) * 10);
        }
        let jitter_ms = receiver.stats().jitter.as_secs_f64() * 1000.0;
        assert!((jitter_ms - 10.0).abs() < 0.3, "{jitter_ms}");
    }

    #[test]
    fn another_source_needs_two_packets_in_a_row() {
        let mut receiver = RtpReceiver::new(8000);
        let at = Duration::from_secs(1);
        receiver.receive(at, &packet(1, 10, 0));
        assert_eq!(receiver.receive(at, &packet(2, 500, 0)), Arrival::Foreign);
        assert_eq!(receiver.receive(at, &packet(3, 900, 0)), Arrival::Foreign);
        assert_eq!(receiver.receive(at, &packet(3, 901, 0)), Arrival::NewSource);
        assert_eq!(receiver.receive(at, &packet(3, 902, 0)), Arrival::Accepted);
        let stats = receiver.stats();
        assert_eq!((stats.sources, stats.foreign, stats.received), (2, 2, 2));
    }

    #[test]
    fn a_jump_no_network_makes_begins_anew() {
        let mut receiver = RtpReceiver::new(8000);
        for sequence in [1, 2, 20_000, 20_001] {
            receiver.receive(Duration::ZERO, &packet(1, sequence, 0));
        }
        assert_eq!(receiver.stats().lost, 0);
        assert_eq!(receiver.stats().expected, 2);
    }
}
