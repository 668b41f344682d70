//! A stream of messages with deadlines over one lossy link: how many are on time, whether any is
//! delivered late.

use super::pipe::Pipe;
use netem::LinkConfig;
use udpcore::transport::{Config, Fec, Micros, Mode, SendOptions, Time};

/// The stream and its link.
#[derive(Clone, Copy, Debug)]
pub struct Live {
    pub len: usize,
    pub per_second: u64,
    pub fec: Fec,
    pub one_way: Micros,
    pub deadline: Micros,
    pub loss_percent: u64,
    pub span: Micros,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub sent: u64,
    pub on_time: u64,
    pub late: u64,
    pub bytes_sent: u64,
}

impl Outcome {
    pub fn on_time_percent(&self) -> f64 {
        self.on_time as f64 * 100.0 / self.sent as f64
    }
}

const CHANNEL: u32 = 1;

/// Sends for the span and counts.
pub fn play(seed: u64, live: &Live) -> Outcome {
    let link = LinkConfig {
        loss: format!("{}%", live.loss_percent).parse().expect("a loss"),
        delay: format!("{}us", live.one_way.0).parse().expect("a delay"),
        ..LinkConfig::default()
    };
    let mut pipe = Pipe::new(seed, &link, &Config::default());
    let mut outcome = Outcome::default();
    let start = Time(2_000_000);
    let interval = Micros(1_000_000 / live.per_second);
    let end = start + live.span;
    let mut next = start;
    pipe.open(CHANNEL, Mode::Unordered);
    while pipe.now() < end + Micros::from_secs(5) {
        if pipe.now() >= next && next < end {
            let mut data = vec![0; live.len];
            data[..8].copy_from_slice(&next.0.to_be_bytes());
            let options = SendOptions {
                channel: CHANNEL,
                deadline: Some(live.deadline),
                fec: live.fec,
                ..SendOptions::default()
            };
            pipe.send(data, options).expect("room");
            outcome.sent += 1;
            next += interval;
        }
        let until = if next < end { next } else { end + Micros::from_secs(5) };
        pipe.step(until);
        while let Some(message) = pipe.recv() {
            let sent_at = Time(u64::from_be_bytes(message[..8].try_into().expect("a time")));
            if pipe.now() <= sent_at + live.deadline {
                outcome.on_time += 1;
            } else {
                outcome.late += 1;
            }
        }
    }
    outcome.bytes_sent = pipe.stats().bytes_sent;
    outcome
}
