//! One sender, one receiver, one link with a rate: how much arrives in a stretch of virtual time.

use super::pipe::Pipe;
use netem::LinkConfig;
use udpcore::transport::{Config, Micros, SendOptions, Stats, Time};

/// What a transfer came to.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Bytes the receiving application got.
    pub delivered: u64,
    pub stats: Stats,
}

/// A link of 20 Mbit/s with a queue of one bandwidth-delay product (at least 10 packets).
pub fn link(loss_percent: u64, rtt_ms: u64) -> LinkConfig {
    let packets = (20_000 * rtt_ms / 8 / 1500).max(10);
    LinkConfig {
        loss: format!("{loss_percent}%").parse().expect("a loss"),
        delay: format!("{}us", rtt_ms * 500).parse().expect("a delay"),
        rate: Some("20mbit".parse().expect("a rate")),
        queue: format!("droptail {packets}").parse().expect("a queue"),
        ..LinkConfig::default()
    }
}

pub const MESSAGE_LEN: usize = 16 * 1024;
/// A few windows ahead, so that the application never limits.
pub const MESSAGES_AHEAD: u64 = 200;

/// Sends as much as it can for this long.
pub fn transfer(seed: u64, link: &LinkConfig, config: &Config, span: Micros) -> Transfer {
    let mut pipe = Pipe::new(seed, link, config);
    let (end, mut delivered) = (Time(0) + span, 0);
    while pipe.now() < end {
        while pipe.stats().messages_pending < MESSAGES_AHEAD
            && pipe.send(vec![0; MESSAGE_LEN], SendOptions::default()).is_ok()
        {}
        pipe.step(end);
        while let Some(message) = pipe.recv() {
            delivered += message.len() as u64;
        }
    }
    Transfer { delivered, stats: pipe.stats() }
}
