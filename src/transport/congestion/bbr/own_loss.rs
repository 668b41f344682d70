//! What the path loses by itself: how many packets are lost that were not sent to probe, when we
//! send no faster than the path delivers.

/// So many packets are remembered: enough to tell one percent from three.
const PACKETS_REMEMBERED: u64 = 1024;

#[derive(Debug, Default)]
pub(super) struct OwnLoss {
    packets: u64,
    lost: u64,
}

impl OwnLoss {
    pub(super) fn on_packet(&mut self, is_lost: bool) {
        self.packets += 1;
        self.lost += u64::from(is_lost);
        if self.packets >= PACKETS_REMEMBERED {
            // What is older counts for half.
            self.packets /= 2;
            self.lost /= 2;
        }
    }

    /// How much of a flight of `bytes` would be lost.
    pub(super) fn of(&self, bytes: u64) -> u64 {
        bytes * self.lost / self.packets.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_follows_what_is_lost_and_forgets() {
        let mut own = OwnLoss::default();
        assert_eq!(own.of(1000), 0);
        (0..2000).for_each(|n| own.on_packet(n % 20 == 0));
        assert!((45..=55).contains(&own.of(1000)), "{}", own.of(1000));
        (0..5000).for_each(|_| own.on_packet(false));
        assert!(own.of(1000) < 2, "{}", own.of(1000));
    }
}
