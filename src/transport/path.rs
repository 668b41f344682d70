//! The way to the peer: its address, whether it is proved, and what the path can carry.

use super::config::Config;
use super::congestion::Controller;
use super::mtu::{MTU_BASE, MtuDiscovery};
use super::pacing::{Pacer, Rate};
use super::rtt::Rtt;
use super::time::{Micros, Time};
use super::{Congestion, congestion::Phase};
use std::net::SocketAddr;

/// RFC 9000 §8.1: an unproved address gets at most this many times what came from it.
const AMPLIFICATION_MAX: u64 = 3;
/// A challenge is repeated this often before the path is given up.
const CHALLENGES_MAX: u8 = 4;

/// A challenge on its way (RFC 9000 §8.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Challenge {
    pub(crate) data: u64,
    pub(crate) is_due: bool,
    repeats: u8,
}

/// The path in use.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) remote: SocketAddr,
    is_validated: bool,
    received: u64,
    sent: u64,
    pub(crate) rtt: Rtt,
    pub(crate) congestion: Box<dyn Controller>,
    pub(crate) pacer: Pacer,
    pub(crate) mtu: MtuDiscovery,
    pub(crate) challenge: Option<Challenge>,
    /// The proved address before this one, to go back to.
    fallback: Option<SocketAddr>,
}

impl Path {
    /// A path nothing is known of; `seed` is for what its controller draws.
    pub(crate) fn new(
        now: Time,
        remote: SocketAddr,
        is_validated: bool,
        config: &Config,
        seed: u64,
    ) -> Self {
        let Config { congestion, datagram_len_max, .. } = config;
        Self {
            remote,
            is_validated,
            received: 0,
            sent: 0,
            rtt: Rtt::default(),
            congestion: congestion.build(u64::from(MTU_BASE), seed),
            pacer: Pacer::new(now),
            mtu: MtuDiscovery::new(*datagram_len_max),
            challenge: None,
            fallback: None,
        }
    }

    pub(crate) fn is_validated(&self) -> bool {
        self.is_validated
    }

    pub(crate) fn validate(&mut self) {
        self.is_validated = true;
        self.challenge = None;
        self.fallback = None;
    }

    pub(crate) fn on_received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// What a packet takes to the peer, as both ends reckon it for deadlines: half of the least
    /// round trip.
    pub(crate) fn one_way(&self) -> Micros {
        self.rtt.first_sample_at().map_or(Micros::ZERO, |_| self.rtt.min() / 2)
    }

    /// How many bytes may go to this address (RFC 9000 §8.1).
    pub(crate) fn amplification_left(&self) -> u64 {
        if self.is_validated {
            u64::MAX
        } else {
            (AMPLIFICATION_MAX * self.received).saturating_sub(self.sent)
        }
    }

    pub(crate) fn rate(&self) -> Rate {
        let mtu = u64::from(self.mtu.current());
        if let Some(bandwidth) = self.congestion.pacing_rate() {
            return Rate::of_bandwidth(bandwidth, mtu);
        }
        let slow_start = matches!(self.congestion.phase(), Phase::SlowStart | Phase::Startup);
        Rate::of_window(self.congestion.window(), self.rtt.smoothed(), mtu, slow_start)
    }

    /// The peer's packets come from another address now (RFC 9000 §9.3).
    ///
    /// What is known of the path stays if only the port is new, for that is what a NAT does
    /// (§9.4); otherwise it starts afresh.
    pub(crate) fn migrate(
        &mut self,
        now: Time,
        remote: SocketAddr,
        challenge: u64,
        congestion: Congestion,
    ) {
        if remote.ip() != self.remote.ip() {
            self.rtt = Rtt::default();
            self.congestion = congestion.build(u64::from(self.mtu.current()), challenge);
            self.pacer = Pacer::new(now);
        }
        if self.is_validated {
            self.fallback = Some(self.remote);
        }
        self.remote = remote;
        self.is_validated = false;
        self.received = 0;
        self.sent = 0;
        self.challenge = Some(Challenge { data: challenge, is_due: true, repeats: 0 });
    }

    /// The challenge was not answered in time. Returns when to look again.
    pub(crate) fn on_timeout(&mut self, now: Time, pto: Micros) -> Option<Time> {
        let challenge = self.challenge.as_mut()?;
        challenge.repeats += 1;
        if challenge.repeats < CHALLENGES_MAX {
            challenge.is_due = true;
            return Some(now + pto * (1 << challenge.repeats));
        }
        // RFC 9000 §9.3.2: back to the address that was proved.
        self.challenge = None;
        if let Some(proved) = self.fallback.take() {
            self.remote = proved;
            self.is_validated = true;
        }
        None
    }

    /// The challenge came back.
    pub(crate) fn on_response(&mut self, data: u64) -> bool {
        let is_right = self.challenge.is_some_and(|challenge| challenge.data == data);
        if is_right {
            self.validate();
        }
        is_right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Path {
        let remote = SocketAddr::from(([192, 0, 2, 1], 1000));
        Path::new(Time(0), remote, false, &Config::default(), 0)
    }

    #[test]
    fn an_unproved_address_gets_three_times_what_it_sent() {
        let mut path = path();
        assert_eq!(path.amplification_left(), 0);
        path.on_received(1200);
        path.on_sent(1000);
        assert_eq!(path.amplification_left(), 2600);
        path.validate();
        assert_eq!(path.amplification_left(), u64::MAX);
    }

    #[test]
    fn a_path_that_does_not_answer_is_left_again() {
        let mut path = path();
        path.validate();
        let old = path.remote;
        path.migrate(Time(0), SocketAddr::from(([192, 0, 2, 1], 2000)), 7, Congestion::Cubic);
        assert!(!path.is_validated() && !path.on_response(8));
        let pto = Micros::from_ms(100);
        let waits = (0..10).map_while(|_| path.on_timeout(Time(0), pto)).count();
        assert_eq!(waits, 3);
        assert!(path.is_validated() && path.remote == old);
    }
}
