//! The peer's clock, as far as deadlines need it: the least transit time seen, by windows.
//!
//! A deadline travels as a moment of the sender's clock. The least of (arrival here − departure
//! there) is the offset of the clocks plus the shortest one-way delay, and the latter is taken to
//! be half of the shortest round trip. On a path whose two ways differ, a deadline is off by half
//! of the difference.

use super::time::{Micros, Time};

/// The least transit is forgotten after this long at the latest, so that drift does not add up.
const WINDOW: Micros = Micros::from_secs(60);

/// What is known of the peer's clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerClock {
    /// Least transits, in microseconds, of the window before and of this one.
    previous: Option<i128>,
    current: Option<i128>,
    window_start: Time,
}

impl PeerClock {
    /// A packet that left at `peer_us` of the peer's clock arrived.
    pub(crate) fn on_timestamp(&mut self, now: Time, peer_us: u64) {
        if now.since(self.window_start) > WINDOW {
            self.previous = self.current.take();
            self.window_start = now;
        }
        let transit = i128::from(now.0) - i128::from(peer_us);
        self.current = Some(self.current.map_or(transit, |least| least.min(transit)));
    }

    /// A moment of the peer's clock in ours; `None` before any timestamp.
    pub(crate) fn to_local(&self, peer_us: u64, rtt_min: Micros) -> Option<Time> {
        let transit = match (self.previous, self.current) {
            (Some(previous), Some(current)) => previous.min(current),
            (one, other) => one.or(other)?,
        };
        let local = i128::from(peer_us) + transit - i128::from(rtt_min.0 / 2);
        Some(Time(u64::try_from(local.max(0)).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_translate_through_the_quickest_packet() {
        let mut clock = PeerClock::default();
        assert_eq!(clock.to_local(5, Micros::ZERO), None);
        // The peer's clock is 1 s behind; one way takes 50 ms, sometimes more.
        for (left, took) in [(0, 70_000), (10_000, 50_000), (20_000, 90_000)] {
            clock.on_timestamp(Time(1_000_000 + left + took), left);
        }
        let local = clock.to_local(500_000, Micros::from_ms(100));
        assert_eq!(local, Some(Time(1_500_000)));
    }
}
