//! Spreads a window over a round trip (RFC 9002 §7.7): a bucket that refills with time.

use super::congestion::Bandwidth;
use super::time::{Micros, Time};

/// A burst is worth this much time at the current rate, so that a driver wakes seldom enough.
const BURST: Micros = Micros::from_ms(2);
/// A burst is at least the initial window (RFC 9002 §7.7) and at most this many datagrams.
const BURST_DATAGRAMS_MIN: u64 = 10;
/// With a rate of the controller's own a burst is shorter, for short queues: BBR keeps none full.
const BURST_DATAGRAMS_MIN_OWN: u64 = 4;
const BURST_DATAGRAMS_MAX: u64 = 256;

/// The pacer of one path.
#[derive(Debug)]
pub(crate) struct Pacer {
    /// Bytes.
    tokens: u64,
    refilled_at: Time,
}

/// So many bytes in so much time, and the size of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    bytes: u64,
    time: Micros,
    /// How much faster than that.
    gain: (u64, u64),
    mtu: u64,
    /// A burst is at least so long, in bytes.
    burst_min: u64,
}

impl Rate {
    /// RFC 9002 §7.7: a bit faster than the window a round trip; in slow start, where the window
    /// doubles within the round, twice as fast.
    pub(crate) fn of_window(window: u64, srtt: Micros, mtu: u64, slow_start: bool) -> Self {
        let gain = if slow_start { (2, 1) } else { (5, 4) };
        let burst_min = BURST_DATAGRAMS_MIN * mtu;
        Self { bytes: window, time: srtt, gain, mtu, burst_min }
    }

    /// What a controller says that has a rate of its own.
    pub(crate) fn of_bandwidth(bandwidth: Bandwidth, mtu: u64) -> Self {
        let burst_min = BURST_DATAGRAMS_MIN_OWN * mtu;
        Self { bytes: bandwidth.0, time: Micros::from_secs(1), gain: (1, 1), mtu, burst_min }
    }

    /// Bytes in this much time.
    fn bytes_in(&self, time: Micros) -> u64 {
        let (num, den) = self.gain;
        let bytes = u128::from(self.bytes) * u128::from(time.0) * u128::from(num);
        let whole = u128::from(self.time.0.max(1)) * u128::from(den);
        u64::try_from(bytes / whole).unwrap_or(u64::MAX)
    }

    fn burst(&self) -> u64 {
        self.bytes_in(BURST).clamp(self.burst_min, BURST_DATAGRAMS_MAX * self.mtu)
    }
}

impl Pacer {
    pub(crate) fn new(now: Time) -> Self {
        Self { tokens: u64::MAX, refilled_at: now }
    }

    /// How many bytes may go now.
    pub(crate) fn allowance(&mut self, now: Time, rate: Rate) -> u64 {
        let new = rate.bytes_in(now.since(self.refilled_at));
        // Time that is too short to be worth a byte is left to add up.
        if new > 0 {
            self.tokens = self.tokens.saturating_add(new);
            self.refilled_at = now;
        }
        self.tokens = self.tokens.min(rate.burst());
        self.tokens
    }

    pub(crate) fn on_sent(&mut self, bytes: u64) {
        self.tokens = self.tokens.saturating_sub(bytes);
    }

    /// When a good part of a burst may go again.
    pub(crate) fn next(&self, rate: Rate) -> Time {
        let wanted = (rate.burst() / 2).max(rate.mtu).saturating_sub(self.tokens);
        let per_second = rate.bytes_in(Micros::from_secs(1)).max(1);
        self.refilled_at + Micros((wanted * 1_000_000).div_ceil(per_second).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_takes_four_fifths_of_a_round_trip() {
        let rate = Rate::of_window(100_000, Micros::from_ms(100), 1000, false);
        let mut pacer = Pacer::new(Time(0));
        let mut now = Time(0);
        let mut sent = 0;
        while sent < 110_000 {
            let allowed = pacer.allowance(now, rate) / 1000 * 1000;
            if allowed == 0 {
                let next = pacer.next(rate);
                assert!(next > now);
                now = next;
                continue;
            }
            pacer.on_sent(allowed);
            sent += allowed;
        }
        assert!((75_000..=82_000).contains(&now.0), "{now:?}");
    }

    #[test]
    fn a_burst_is_ten_datagrams_or_two_milliseconds_at_the_rate_and_never_more_after_a_rest() {
        let srtt = Micros::from_ms(100);
        for (window, burst) in [(20_000, 10_000), (4_000_000, 100_000), (4_000_000_000, 256_000)] {
            let rate = Rate::of_window(window, srtt, 1000, false);
            let mut pacer = Pacer::new(Time(0));
            assert_eq!(pacer.allowance(Time(0), rate), burst);
            pacer.on_sent(burst);
            assert_eq!(pacer.allowance(Time(0), rate), 0);
            assert_eq!(pacer.allowance(Time(60_000_000), rate), burst, "after a minute");
        }
    }

    #[test]
    fn in_slow_start_a_window_takes_half_a_round_trip() {
        let srtt = Micros::from_ms(100);
        let rate = |slow_start| Rate::of_window(100_000, srtt, 1000, slow_start);
        assert_eq!(rate(true).bytes_in(Micros::from_ms(50)), 100_000);
        assert_eq!(rate(false).bytes_in(Micros::from_ms(80)), 100_000);
    }

    #[test]
    fn a_rate_of_the_controllers_own_is_kept_to_the_byte() {
        let rate = Rate::of_bandwidth(Bandwidth(2_000_000), 1000);
        let mut pacer = Pacer::new(Time(0));
        let (mut now, mut sent) = (Time(0), 0);
        while now < Time(1_000_000) {
            let allowed = pacer.allowance(now, rate) / 1000 * 1000;
            pacer.on_sent(allowed);
            sent += allowed;
            now = pacer.next(rate);
        }
        // One burst ahead at most.
        assert!((1_990_000..=2_010_000).contains(&sent), "{sent}");
    }
}
