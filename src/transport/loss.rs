//! Declares packets lost and says when to probe (RFC 9002 §6).
//!
//! The thresholds adapt: a packet that was declared lost and then acknowledged was only
//! reordered, so both thresholds grow (the idea of RFC 8985 §6.2).

use super::ack_frequency::Rhythm;
use super::rtt::{GRANULARITY, Rtt};
use super::sent::SentPackets;
use super::time::{Micros, Time};
use std::collections::VecDeque;
use std::ops::RangeInclusive;

/// RFC 9002 §6.1.1: kPacketThreshold.
const PACKET_THRESHOLD: u64 = 3;
/// The packet threshold never grows above this.
const PACKET_THRESHOLD_MAX: u64 = 512;
/// RFC 9002 §6.1.2: kTimeThreshold is 9/8; here in eighths.
const TIME_THRESHOLD_EIGHTHS: u64 = 9;
/// The time threshold never grows above two round trips.
const TIME_THRESHOLD_EIGHTHS_MAX: u64 = 16;
/// RFC 9002 §7.6.1: kPersistentCongestionThreshold.
const PERSISTENT_CONGESTION_THRESHOLD: u64 = 3;
/// So many lost packets are remembered, to notice that they were only late.
const LOST_REMEMBERED_MAX: usize = 128;
/// The probe timeout is at most this: an idle timeout of 30 seconds is seven tries. A probe that
/// is too early, on a path of longer round trips or after a clock that jumped, costs a packet.
const PTO_MAX: Micros = Micros::from_secs(4);

/// What a look for lost packets found.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// The numbers, ascending.
    pub(crate) numbers: Vec<u64>,
    /// RFC 9002 §7.6: nothing got through for so long that the path has changed.
    pub(crate) persistent_congestion: bool,
}

/// The loss detector of one connection.
#[derive(Debug)]
pub(crate) struct LossDetector {
    largest_acked: Option<u64>,
    packet_threshold: u64,
    time_threshold_eighths: u64,
    /// Lost packets whose acknowledgement would show that they were not: (number, largest
    /// acknowledged when they were declared lost).
    remembered: VecDeque<(u64, u64)>,
    pto_count: u32,
    last_eliciting_at: Option<Time>,
    /// When the oldest packet below the largest acknowledged is old enough to be lost.
    loss_at: Option<Time>,
}

impl LossDetector {
    pub(crate) fn new() -> Self {
        Self {
            largest_acked: None,
            packet_threshold: PACKET_THRESHOLD,
            time_threshold_eighths: TIME_THRESHOLD_EIGHTHS,
            remembered: VecDeque::new(),
            pto_count: 0,
            last_eliciting_at: None,
            loss_at: None,
        }
    }

    pub(crate) fn largest_acked(&self) -> Option<u64> {
        self.largest_acked
    }

    /// How often the probe timeout has expired without an answer.
    pub(crate) fn pto_count(&self) -> u32 {
        self.pto_count
    }

    pub(crate) fn on_sent(&mut self, now: Time) {
        self.last_eliciting_at = Some(now);
    }

    /// The peer acknowledged up to `largest`. Returns whether that is news.
    pub(crate) fn on_largest_acked(&mut self, largest: u64) -> bool {
        let is_new = self.largest_acked.is_none_or(|known| largest > known);
        if is_new {
            self.largest_acked = Some(largest);
        }
        is_new
    }

    /// RFC 9002 §6.2.1: progress resets the backoff.
    pub(crate) fn on_progress(&mut self) {
        self.pto_count = 0;
    }

    /// The probe timeout expired. It starts anew now, whether or not a probe may leave.
    pub(crate) fn on_pto(&mut self, now: Time) {
        self.pto_count = self.pto_count.saturating_add(1);
        self.last_eliciting_at = Some(now);
    }

    /// How many packets of `acked` had been declared lost. The thresholds grow accordingly.
    pub(crate) fn take_spurious(
        &mut self,
        acked: impl Iterator<Item = RangeInclusive<u64>> + Clone,
    ) -> usize {
        if self.remembered.is_empty() {
            return 0;
        }
        let before = self.remembered.len();
        let mut distance_max = 0;
        self.remembered.retain(|(number, largest_then)| {
            let late = acked.clone().any(|range| range.contains(number));
            if late {
                distance_max = distance_max.max(largest_then.saturating_sub(*number));
            }
            !late
        });
        let count = before - self.remembered.len();
        if count > 0 {
            let needed = (distance_max + 1).min(PACKET_THRESHOLD_MAX);
            self.packet_threshold = self.packet_threshold.max(needed);
            self.time_threshold_eighths =
                (self.time_threshold_eighths + 1).min(TIME_THRESHOLD_EIGHTHS_MAX);
        }
        count
    }

    /// Finds the packets that are lost by now.
    pub(crate) fn detect(
        &mut self,
        now: Time,
        sent: &SentPackets,
        rtt: &Rtt,
        ack_delay_max: Micros,
    ) -> Losses {
        let mut losses = Losses::default();
        self.loss_at = None;
        let (Some(largest), Some(first)) = (self.largest_acked, sent.first_outstanding()) else {
            return losses;
        };
        // RFC 9002 §6.1.2: max(9/8 * max(smoothed_rtt, latest_rtt), kGranularity).
        let delay = (rtt.conservative() * self.time_threshold_eighths / 8).max(GRANULARITY);
        let lost_before = now - delay;
        for number in first..largest {
            let Some(packet) = sent.get(number) else { continue };
            // RFC 9002 §6.1: sent long enough ago, or enough later packets acknowledged.
            if packet.sent_at <= lost_before || largest >= number + self.packet_threshold {
                losses.numbers.push(number);
            } else {
                self.loss_at = Some(packet.sent_at + delay);
                break;
            }
        }
        for number in &losses.numbers {
            if self.remembered.len() == LOST_REMEMBERED_MAX {
                self.remembered.pop_front();
            }
            self.remembered.push_back((*number, largest));
        }
        losses.persistent_congestion = is_persistent(&losses.numbers, sent, rtt, ack_delay_max);
        losses
    }

    /// When the loss timer goes off (RFC 9002 §6.2.1 and A.8).
    pub(crate) fn deadline(&self, sent: &SentPackets, rtt: &Rtt, acks: Rhythm) -> Option<Time> {
        if self.loss_at.is_some() {
            return self.loss_at;
        }
        if !sent.has_eliciting() {
            return None;
        }
        let backoff = 1_u64 << self.pto_count.min(16);
        // RFC 8985 §7.2: more packets than the threshold are acknowledged at once; only fewer
        // are held back.
        let held_back = if sent.eliciting() > acks.threshold { Micros::ZERO } else { acks.delay };
        let pto = rtt.pto(held_back);
        let wait = (pto * backoff).min(PTO_MAX);
        self.last_eliciting_at.map(|at| at + wait)
    }

    /// Whether the timer, when it goes off, means loss rather than a probe.
    pub(crate) fn awaits_loss(&self) -> bool {
        self.loss_at.is_some()
    }
}

/// RFC 9002 §7.6.2: two ack-eliciting packets, all between them lost, further apart than three
/// probe timeouts, the first sent after the first round-trip sample.
fn is_persistent(lost: &[u64], sent: &SentPackets, rtt: &Rtt, ack_delay_max: Micros) -> bool {
    let Some(sample_at) = rtt.first_sample_at() else { return false };
    let span = rtt.pto(ack_delay_max) * PERSISTENT_CONGESTION_THRESHOLD;
    let mut start: Option<Time> = None;
    let mut previous = None;
    for number in lost {
        if previous.is_some_and(|previous| previous + 1 != *number) {
            start = None;
        }
        previous = Some(*number);
        let Some(packet) = sent.get(*number) else { continue };
        if !packet.ack_eliciting || packet.sent_at <= sample_at {
            continue;
        }
        let first = *start.get_or_insert(packet.sent_at);
        if packet.sent_at.since(first) > span {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::sent::NewPacket;
    use super::*;

    const PLAIN: Rhythm = Rhythm { threshold: 1, delay: Micros::ZERO };

    fn sent(times: &[u64]) -> SentPackets {
        let mut sent = SentPackets::default();
        for time in times {
            let packet = NewPacket {
                sent_at: Time(*time),
                size: 1000,
                ack_eliciting: true,
                in_flight: true,
                is_mtu_probe: false,
            };
            sent.push(packet, &[]);
        }
        sent
    }

    fn rtt() -> Rtt {
        let mut rtt = Rtt::default();
        rtt.sample(Time(0), Micros::from_ms(80), Micros::ZERO);
        rtt
    }

    #[test]
    fn three_later_packets_or_nine_eighths_of_a_round_trip() {
        let mut sent = sent(&[1, 2, 3, 4, 5]);
        let mut detector = LossDetector::new();
        sent.settle(3);
        detector.on_largest_acked(3);
        let losses = detector.detect(Time(10), &sent, &rtt(), Micros::ZERO);
        assert_eq!(losses.numbers, [0]);
        assert_eq!(detector.deadline(&sent, &rtt(), PLAIN), Some(Time(90_002)));
        sent.settle(0);
        sent.release();
        let losses = detector.detect(Time(90_003), &sent, &rtt(), Micros::ZERO);
        assert_eq!(losses.numbers, [1, 2]);
    }

    #[test]
    fn a_late_packet_widens_the_thresholds() {
        let mut sent = sent(&[1; 20]);
        let mut detector = LossDetector::new();
        sent.settle(10);
        detector.on_largest_acked(10);
        let lost = detector.detect(Time(10), &sent, &rtt(), Micros::ZERO).numbers;
        assert_eq!(lost, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(detector.take_spurious([2..=3].into_iter()), 2);
        assert_eq!(detector.packet_threshold, 9);
        assert_eq!(detector.take_spurious([2..=3].into_iter()), 0);
    }

    #[test]
    fn the_probe_timeout_doubles_to_a_limit() {
        let sent = sent(&[1000]);
        let mut detector = LossDetector::new();
        detector.on_sent(Time(1000));
        let pto = rtt().pto(Micros::ZERO);
        for expected in [pto, pto * 2, pto * 4] {
            let at = detector.deadline(&sent, &rtt(), PLAIN);
            assert_eq!(at, Some(Time(1000) + expected));
            detector.on_pto(Time(1000));
        }
        (0..30).for_each(|_| detector.on_pto(Time(1000)));
        let at = detector.deadline(&sent, &rtt(), PLAIN);
        assert_eq!(at, Some(Time(1000) + PTO_MAX));
    }

    #[test]
    fn congestion_is_persistent_after_three_probe_timeouts_without_a_gap() {
        let span = (rtt().pto(Micros::ZERO) * 3).0;
        for (times, expected) in [([1, 2, 3 + span], true), ([1, 2, span], false)] {
            let sent = sent(&times);
            assert_eq!(is_persistent(&[0, 1, 2], &sent, &rtt(), Micros::ZERO), expected);
            assert!(!is_persistent(&[0, 2], &sent, &rtt(), Micros::ZERO));
        }
    }
}
