//! How often the peer shall acknowledge: what we ask for, and what it may do until it knows.
//!
//! After every second packet is right for a small window; with a large one it is work for both
//! ends that tells nothing more. So a window is acknowledged about sixteen times, which leaves
//! the round-trip samples of RFC 9406 and the pace of the window as they were. What is out of order
//! is acknowledged at once whatever was asked, and so is the end of a flight, so a loss is noticed
//! no later. The ideas are those of draft-ietf-quic-ack-frequency; the frames are our own.

use super::time::{Micros, Time};

/// So many acknowledgements a window (the draft's "at least a few each round trip", doubled twice).
const ACKS_PER_WINDOW: u64 = 16;
/// More packets than this are never left unacknowledged: they are one burst of the pacer.
const THRESHOLD_MAX: u64 = 64;
/// A delay that is asked for is an eighth of a round trip, but not below this.
const DELAY_MIN: Micros = Micros::from_ms(1);
/// The end of a flight asks for its acknowledgement at most every second packet, as without us.
const PACKETS_PER_ASKING: u64 = 2;

/// How the peer acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rhythm {
    /// At once after more than so many packets.
    pub(crate) threshold: u64,
    /// And after this long at the latest.
    pub(crate) delay: Micros,
}

impl Rhythm {
    fn slower(self, other: Self) -> Self {
        Self { threshold: self.threshold.max(other.threshold), delay: self.delay.max(other.delay) }
    }
}

/// What we ask of the peer.
#[derive(Debug)]
pub(crate) struct AckFrequency {
    /// What it does unasked.
    unasked: Rhythm,
    asked: Option<(u64, Rhythm)>,
    is_due: bool,
    /// The slowest it may be doing at the moment: what was asked may be on its way yet.
    slowest: Rhythm,
    not_before: Time,
    packets_since_asking: u64,
}

impl AckFrequency {
    /// `delay_max` is what the peer said in the handshake.
    pub(crate) fn new(delay_max: Micros) -> Self {
        // RFC 9000 §13.2.2: every second packet.
        let unasked = Rhythm { threshold: 1, delay: delay_max };
        Self {
            unasked,
            asked: None,
            is_due: false,
            slowest: unasked,
            not_before: Time(0),
            packets_since_asking: 0,
        }
    }

    /// The window or the round trip may have changed: asks anew if it is worth it, at most once a
    /// round trip.
    pub(crate) fn adapt(&mut self, now: Time, window_packets: u64, srtt: Micros) {
        let wanted = Rhythm {
            threshold: (window_packets / ACKS_PER_WINDOW).clamp(1, THRESHOLD_MAX),
            delay: (srtt / 8).max(DELAY_MIN).min(self.unasked.delay),
        };
        let last = self.asked.map_or(self.unasked, |(_, rhythm)| rhythm);
        let far = |a: u64, b: u64| a.max(b) >= 2 * a.min(b);
        // At the rhythm of small windows the delay says nothing that the peer does not know.
        let is_plain = wanted.threshold == 1 && last.threshold == 1;
        let differs = far(wanted.threshold, last.threshold) || far(wanted.delay.0, last.delay.0);
        if is_plain || !differs || now < self.not_before {
            return;
        }
        let seq = self.asked.map_or(0, |(seq, _)| seq + 1);
        self.asked = Some((seq, wanted));
        self.slowest = self.slowest.slower(wanted);
        self.is_due = true;
        self.not_before = now + srtt;
    }

    /// What to send to the peer, if it is not on its way.
    pub(crate) fn take_due(&mut self) -> Option<(u64, Rhythm)> {
        self.asked.filter(|_| std::mem::take(&mut self.is_due))
    }

    pub(crate) fn on_acked(&mut self, seq: u64) {
        if let Some((_, rhythm)) = self.asked.filter(|(newest, _)| *newest == seq) {
            self.slowest = rhythm;
        }
    }

    pub(crate) fn on_lost(&mut self, seq: u64) {
        self.is_due |= self.asked.is_some_and(|(newest, _)| newest == seq);
    }

    /// How long, and up to how many packets, an acknowledgement may be held back.
    pub(crate) fn held_back(&self) -> Rhythm {
        self.slowest
    }

    /// Whether the peer may leave more than one packet unacknowledged.
    pub(crate) fn is_relaxed(&self) -> bool {
        self.slowest.threshold > self.unasked.threshold
    }

    /// A packet that elicits an acknowledgement leaves; `is_last` of what there is to send.
    /// Returns whether it should ask for the acknowledgement at once.
    pub(crate) fn asks_at_once(&mut self, is_last: bool) -> bool {
        self.packets_since_asking += 1;
        let asks = is_last && self.is_relaxed() && self.packets_since_asking >= PACKETS_PER_ASKING;
        if asks {
            self.packets_since_asking = 0;
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Micros = Micros::from_ms(80);

    fn frequency() -> AckFrequency {
        AckFrequency::new(Micros::from_ms(25))
    }

    #[test]
    fn a_small_window_keeps_the_rhythm_it_has() {
        let mut frequency = frequency();
        for packets in 0..32 {
            frequency.adapt(Time(packets * RTT.0), packets, RTT);
            assert_eq!(frequency.take_due(), None);
        }
        assert!(!frequency.is_relaxed() && !frequency.asks_at_once(true));
    }

    #[test]
    fn a_large_window_asks_for_sixteen_acknowledgements_once_a_round_trip() {
        let mut frequency = frequency();
        frequency.adapt(Time(0), 160, RTT);
        let wanted = Rhythm { threshold: 10, delay: Micros::from_ms(10) };
        assert_eq!(frequency.take_due(), Some((0, wanted)));
        assert_eq!(frequency.take_due(), None);
        frequency.adapt(Time(1), 1000, RTT);
        assert_eq!(frequency.take_due(), None, "within the round trip");
        frequency.adapt(Time(0) + RTT, 180, RTT);
        assert_eq!(frequency.take_due(), None, "no great change");
        frequency.adapt(Time(0) + RTT, 5000, RTT);
        assert_eq!(frequency.take_due().map(|(seq, r)| (seq, r.threshold)), Some((1, 64)));
    }

    #[test]
    fn until_it_is_acknowledged_the_slower_rhythm_counts() {
        let mut frequency = frequency();
        frequency.adapt(Time(0), 160, RTT);
        assert_eq!(frequency.held_back(), Rhythm { threshold: 10, delay: Micros::from_ms(25) });
        frequency.on_acked(0);
        assert_eq!(frequency.held_back(), Rhythm { threshold: 10, delay: Micros::from_ms(10) });
        frequency.adapt(Time(0) + RTT, 16, RTT);
        assert_eq!(frequency.held_back().threshold, 10);
        frequency.on_acked(0);
        assert_eq!(frequency.held_back().threshold, 10, "the older frame");
        frequency.on_acked(1);
        assert_eq!(frequency.held_back().threshold, 1);
    }

    #[test]
    fn what_is_lost_is_asked_again_unless_it_is_old() {
        let mut frequency = frequency();
        frequency.adapt(Time(0), 160, RTT);
        let first = frequency.take_due();
        frequency.on_lost(0);
        assert_eq!(frequency.take_due(), first);
        frequency.adapt(Time(0) + RTT, 640, RTT);
        assert!(frequency.take_due().is_some());
        frequency.on_lost(0);
        assert_eq!(frequency.take_due(), None);
    }

    #[test]
    fn the_end_of_a_flight_asks_at_once_but_not_in_every_packet() {
        let mut frequency = frequency();
        frequency.adapt(Time(0), 160, RTT);
        let asked: Vec<bool> = (0..6).map(|_| frequency.asks_at_once(true)).collect();
        assert_eq!(asked, [false, true, false, true, false, true]);
        assert!((0..6).all(|_| !frequency.asks_at_once(false)));
    }
}
