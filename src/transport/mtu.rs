//! Path MTU discovery for datagrams (RFC 8899): probes upwards, notices black holes.

use super::time::{Micros, Time};

/// RFC 9000 §14.1, RFC 8899 §5.1.2: every path must carry this.
pub const MTU_BASE: u16 = 1200;
/// RFC 8899 §5.1.2: MAX_PROBES.
const PROBES_MAX: u8 = 3;
/// The search ends when less than this is to be won.
const STEP_MIN: u16 = 16;
/// RFC 8899 §5.1.1: PMTU_RAISE_TIMER.
const RAISE_AFTER: Micros = Micros::from_secs(600);
/// So many losses in a row, and none of that size acknowledged, mean a black hole.
const BLACK_HOLE_LOSSES: u8 = 6;

/// The search for the largest datagram a path carries.
#[derive(Debug)]
pub(crate) struct MtuDiscovery {
    current: u16,
    /// Above this nothing is tried: known not to work, or the configured limit.
    upper: u16,
    limit: u16,
    /// The size on trial and how often it was lost.
    trial: Option<(u16, u8)>,
    in_flight: Option<u64>,
    search_again_at: Option<Time>,
    big_losses: u8,
    enabled: bool,
}

impl MtuDiscovery {
    /// Starts at the base; sizes up to `limit` are tried once [`enable`](Self::enable)d.
    pub(crate) fn new(limit: u16) -> Self {
        Self {
            current: MTU_BASE,
            upper: limit.max(MTU_BASE),
            limit: limit.max(MTU_BASE),
            trial: None,
            in_flight: None,
            search_again_at: None,
            big_losses: 0,
            enabled: false,
        }
    }

    pub(crate) fn current(&self) -> u16 {
        self.current
    }

    /// The handshake is done: `peer_limit` is the longest datagram the peer takes.
    pub(crate) fn enable(&mut self, peer_limit: u64) {
        let peer_limit = u16::try_from(peer_limit).unwrap_or(u16::MAX).max(MTU_BASE);
        self.limit = self.limit.min(peer_limit);
        self.upper = self.upper.min(peer_limit);
        self.enabled = true;
    }

    /// The size of the probe to send now, if one is due.
    pub(crate) fn probe_size(&mut self, now: Time) -> Option<u16> {
        if !self.enabled || self.in_flight.is_some() {
            return None;
        }
        if self.search_again_at.is_some_and(|at| now >= at) {
            self.search_again_at = None;
            self.upper = self.limit;
        }
        if self.upper - self.current < STEP_MIN && self.upper != self.limit
            || self.upper == self.current
        {
            self.search_again_at.get_or_insert(now + RAISE_AFTER);
            return None;
        }
        let current = self.current;
        let upper = self.upper;
        // The limit first, because most paths carry it; then halve.
        let size =
            if upper == self.limit { upper } else { current + (upper - current).div_ceil(2) };
        Some(self.trial.get_or_insert((size, 0)).0)
    }

    pub(crate) fn on_probe_sent(&mut self, number: u64) {
        self.in_flight = Some(number);
    }

    /// A packet was acknowledged. Returns whether the MTU has grown.
    pub(crate) fn on_acked(&mut self, number: u64, size: u32) -> bool {
        if size > u32::from(MTU_BASE) {
            self.big_losses = 0;
        }
        if self.in_flight != Some(number) {
            return false;
        }
        self.in_flight = None;
        if let Some((size, _)) = self.trial.take() {
            self.current = size.max(self.current);
        }
        true
    }

    /// A probe was lost.
    pub(crate) fn on_probe_lost(&mut self) {
        self.in_flight = None;
        let Some((size, lost)) = self.trial else { return };
        if lost + 1 < PROBES_MAX {
            self.trial = Some((size, lost + 1));
        } else {
            // RFC 8899 §5.3.2: the path does not carry this size.
            self.trial = None;
            self.upper = (size - 1).max(self.current);
        }
    }

    /// Packets were lost, or a probe timeout went unanswered; the smallest of them was this
    /// long. Returns whether the path turned out to be a black hole and the MTU fell.
    pub(crate) fn on_lost(&mut self, now: Time, size_min: u32) -> bool {
        if size_min <= u32::from(MTU_BASE) || self.current == MTU_BASE {
            return false;
        }
        self.big_losses += 1;
        if self.big_losses < BLACK_HOLE_LOSSES {
            return false;
        }
        // RFC 8899 §4.3: fall back to the base and search again, below the size that failed.
        self.big_losses = 0;
        self.upper = (self.current - 1).max(MTU_BASE);
        self.current = MTU_BASE;
        self.trial = None;
        self.in_flight = None;
        self.search_again_at = Some(now + RAISE_AFTER);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the search over a path that carries `path` bytes; returns the probes sent.
    fn search(mtu: &mut MtuDiscovery, path: u16) -> usize {
        let mut probes = 0;
        while let Some(size) = mtu.probe_size(Time(0)) {
            probes += 1;
            assert!(probes < 100);
            mtu.on_probe_sent(probes);
            if size <= path {
                assert!(mtu.on_acked(probes, size.into()));
            } else {
                mtu.on_probe_lost();
            }
        }
        probes as usize
    }

    #[test]
    fn finds_what_the_path_carries() {
        for path in [1200, 1201, 1280, 1350, 1400, 1451, 1452, 9000] {
            let mut mtu = MtuDiscovery::new(1452);
            mtu.enable(65_527);
            assert!(search(&mut mtu, path) <= 30);
            let found = mtu.current();
            assert!(
                found <= path.min(1452) && found + STEP_MIN >= path.min(1452),
                "{path} {found}"
            );
        }
    }

    #[test]
    fn the_limit_of_the_path_or_the_peer_is_found_with_one_probe() {
        let mut mtu = MtuDiscovery::new(1452);
        mtu.enable(1400);
        assert_eq!(search(&mut mtu, 9000), 1);
        assert_eq!(mtu.current(), 1400);
    }

    #[test]
    fn a_black_hole_is_noticed_and_left() {
        let mut mtu = MtuDiscovery::new(1452);
        mtu.enable(65_527);
        search(&mut mtu, 1452);
        let fell: Vec<bool> = (0..6).map(|_| mtu.on_lost(Time(0), 1452)).collect();
        assert_eq!(fell, [false, false, false, false, false, true]);
        assert_eq!(mtu.current(), MTU_BASE);
        search(&mut mtu, 1300);
        assert!(mtu.current() > 1280, "{}", mtu.current());
    }

    #[test]
    fn nothing_is_probed_before_the_handshake() {
        assert_eq!(MtuDiscovery::new(1452).probe_size(Time(0)), None);
    }
}
