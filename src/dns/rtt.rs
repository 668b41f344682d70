//! How long to wait for a server: the estimator of RFC 6298, with limits that fit DNS.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The wait before anything is known about a server, in µs.
pub const RTO_FIRST_US: u64 = 400_000;
/// Never wait less: a busy server is not a lost datagram.
pub const RTO_US_MIN: u64 = 50_000;
/// Never wait longer for one try.
pub const RTO_US_MAX: u64 = 2_000_000;

/// Smoothed round-trip time and its variation, in µs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rtt {
    srtt_us: Option<u64>,
    rttvar_us: u64,
}

impl Rtt {
    /// Takes a measurement. RFC 6298 §2.
    pub fn sample(&mut self, rtt_us: u64) {
        match self.srtt_us {
            None => (self.srtt_us, self.rttvar_us) = (Some(rtt_us), rtt_us / 2),
            Some(srtt_us) => {
                self.rttvar_us = (3 * self.rttvar_us + srtt_us.abs_diff(rtt_us)) / 4;
                self.srtt_us = Some((7 * srtt_us + rtt_us) / 8);
            }
        }
    }

    /// How long the try with this ordinal waits: doubled each time. RFC 6298 §2.3 and §5.5.
    pub fn rto_us(&self, try_ordinal: u32) -> u64 {
        let base = self.srtt_us.map_or(RTO_FIRST_US, |srtt| srtt + 4 * self.rttvar_us);
        base.max(RTO_US_MIN).saturating_mul(1 << try_ordinal.min(10)).min(RTO_US_MAX)
    }
}

/// Servers that are remembered; beyond that the one with the lowest address is forgotten.
const SERVERS_MAX: usize = 256;

/// The round trips to the servers asked lately.
#[derive(Debug, Default)]
pub struct Known(BTreeMap<SocketAddr, Rtt>);

impl Known {
    /// Nothing known.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// What is known of `server`.
    pub fn get(&self, server: SocketAddr) -> Rtt {
        self.0.get(&server).copied().unwrap_or_default()
    }

    /// Keeps what was learnt about `server`.
    pub fn keep(&mut self, server: SocketAddr, rtt: Rtt) {
        if self.0.len() >= SERVERS_MAX && !self.0.contains_key(&server) {
            self.0.pop_first();
        }
        if rtt.srtt_us.is_some() {
            self.0.insert(server, rtt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_the_samples_and_doubles() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.rto_us(0), RTO_FIRST_US);
        for _ in 0..100 {
            rtt.sample(100_000);
        }
        let settled = rtt.rto_us(0);
        assert!((100_000..110_000).contains(&settled), "{settled}");
        assert_eq!(rtt.rto_us(1), 2 * settled);
        assert_eq!(rtt.rto_us(60), RTO_US_MAX);
        let mut near = Rtt::default();
        near.sample(10);
        assert_eq!(near.rto_us(0), RTO_US_MIN);
    }
}
