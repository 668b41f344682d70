//! What happens in one simulated run, drawn from a seed.

use super::traffic::{Plan, plan};
use netem::LinkConfig;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use udpcore::transport::{Congestion, Micros, Time};

/// Draws of a scenario, in words.
pub struct Draw(pub ChaCha12Rng);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.0.next_u64() % end }
    }

    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True so many times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// A stretch of time in which nothing passes.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    pub from: Time,
    pub to: Time,
    pub up: bool,
    pub down: bool,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub up: LinkConfig,
    pub down: LinkConfig,
    pub jitter: Micros,
    /// In a thousand datagrams, so many have a bit flipped.
    pub corrupt_permille: u64,
    /// Longer datagrams vanish.
    pub mtu: usize,
    pub outages: Vec<Outage>,
    /// When each client's address changes.
    pub rebinds: Vec<(Time, usize)>,
    /// When everything stands still, and for how long.
    pub jumps: Vec<(Time, Micros)>,
    pub clients: usize,
    pub congestion: Congestion,
    /// Otherwise the plaintext profile.
    pub encrypted: bool,
    /// Keys are replaced so soon.
    pub packets_per_key: u64,
    pub plans: Vec<Plan>,
    pub receive_window: u64,
}

impl Scenario {
    /// A network without faults and with a 40 ms round trip, carrying these plans.
    pub fn clean(seed: u64, plans: Vec<Plan>) -> Self {
        let link =
            || LinkConfig { delay: "20ms".parse().expect("a delay"), ..LinkConfig::default() };
        Self {
            seed,
            up: link(),
            down: link(),
            jitter: Micros::ZERO,
            corrupt_permille: 0,
            mtu: 1500,
            outages: Vec::new(),
            rebinds: Vec::new(),
            jumps: Vec::new(),
            clients: plans.len(),
            congestion: Congestion::Cubic,
            encrypted: false,
            packets_per_key: 1 << 22,
            plans,
            receive_window: 1 << 21,
        }
    }

    /// Whether packets are held back to be overtaken.
    pub fn has_reorder(&self) -> bool {
        let none = LinkConfig::default().reorder;
        self.up.reorder != none || self.down.reorder != none
    }

    /// The scenario of a seed: every fault there is, each in some runs, often several at once.
    pub fn random(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let delay_us = draw.between(50, 100_000);
        let jitter_us = if draw.percent(40) { draw.between(1, delay_us / 2) } else { 0 };
        let link = |draw: &mut Draw| LinkConfig {
            loss: percent(draw, 60, 30).parse().expect("a loss"),
            duplicate: percent(draw, 30, 10).parse().expect("a share"),
            reorder: percent(draw, 40, 20).parse().expect("a share"),
            delay: format!("{delay_us}us {jitter_us}us").parse().expect("a delay"),
            ..LinkConfig::default()
        };
        let (up, down) = (link(&mut draw), link(&mut draw));
        let clients = draw.between(1, 3) as usize;
        let outages = (0..draw.below(3))
            .map(|_| {
                let from = Time(draw.below(4_000_000));
                let to = from + Micros(draw.below(3_000_000));
                let both = draw.percent(50);
                let up = draw.percent(50);
                Outage { from, to, up: both || up, down: both || !up }
            })
            .collect();
        let mut rebinds: Vec<_> = (0..if draw.percent(30) { draw.between(1, 3) } else { 0 })
            .map(|_| (Time(draw.below(5_000_000)), draw.below(clients as u64) as usize))
            .collect();
        rebinds.sort_unstable();
        let congestion = if draw.percent(70) { Congestion::Cubic } else { Congestion::NewReno };
        let corrupt_permille = if draw.percent(30) { draw.between(1, 50) } else { 0 };
        let mtu = if draw.percent(30) { draw.between(1200, 1480) as usize } else { 1500 };
        let encrypted = draw.percent(30);
        let plans = (0..clients).map(|_| plan(&mut draw)).collect();
        let receive_window = if draw.percent(30) { 100_000 } else { 1 << 21 };
        let mut jumps: Vec<_> = (0..if draw.percent(20) { draw.between(1, 2) } else { 0 })
            .map(|_| (Time(draw.below(4_000_000)), Micros(draw.between(100_000, 8_000_000))))
            .collect();
        jumps.sort_unstable();
        let packets_per_key = if draw.percent(70) { draw.between(1, 60) } else { 1 << 22 };
        Self {
            seed,
            up,
            down,
            jitter: Micros(jitter_us),
            corrupt_permille,
            mtu,
            outages,
            rebinds,
            jumps,
            clients,
            congestion,
            encrypted,
            packets_per_key,
            plans,
            receive_window,
        }
    }
}

/// In `chance` of a hundred runs up to `max` percent, otherwise none.
fn percent(draw: &mut Draw, chance: u64, max: u64) -> String {
    let percent = if draw.percent(chance) { draw.between(1, max) } else { 0 };
    format!("{percent}%")
}
