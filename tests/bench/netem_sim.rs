//! How fast the simulator is on one core: packets a second through a link with the usual
//! impairments, and an hour of traffic in virtual time.
//!
//! `cargo bench -p netem --bench netem_sim`; `--json` adds one line for programs. Processor time is
//! counted, so other programs do not matter much. The peer of a row is what its bar asks for; of
//! the rows without a bar it is the row with all four impairments.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use netem::{Direction, FlowOrdinal, Link, LinkConfig, Nanos, Packet, Seed, Simulator};

const ROUNDS: usize = 7;
const PACKETS: u64 = 2_000_000;
/// Ten packets a millisecond are on their way for 20 ms.
const GAP: Nanos = Nanos::from_micros(100);
const SIZE_BYTES: u32 = 1200;
/// What is asked of the simulator: packets a second, and seconds for an hour.
const RATE_MIN: f64 = 10e6;
const HOUR_S_MAX: f64 = 1.0;
const HOUR_MS: u64 = 3_600_000;

/// A traffic: what happens to it, in how many flows, and how many lines the log keeps.
struct Load {
    name: &'static str,
    config: LinkConfig,
    flows: u64,
    log: usize,
}

fn main() {
    let is_json = std::env::args().any(|word| word == "--json");
    let all = config(&[
        ("loss", "1%"),
        ("duplicate", "1%"),
        ("delay", "20ms"),
        ("jitter", "5ms"),
        ("reorder", "1%"),
    ]);
    let load =
        |name, config: &LinkConfig, flows, log| Load { name, config: config.clone(), flows, log };
    let heavy = config(&[
        ("loss", "gemodel 1% 20%"),
        ("delay", "20ms 5ms 25% distribution normal"),
        ("rate", "100mbit"),
    ]);
    let loads = [
        load("loss + delay + duplicate + reorder", &all, 1, 0),
        load("the same, with the decision log", &all, 1, usize::MAX),
        load("the same, 64 flows", &all, 64, 0),
        load("the same, 10,000 flows", &all, 10_000, 0),
        load("gemodel + correlated normal jitter + rate", &heavy, 1, 0),
        load("nothing", &LinkConfig::default(), 1, 0),
    ];
    let mut rates = vec![Vec::new(); loads.len()];
    let mut hours = Vec::new();
    for _ in 0..ROUNDS {
        for (load, rates) in loads.iter().zip(&mut rates) {
            rates.push(packets_per_s(load));
        }
        hours.push(an_hour_s(&all));
    }
    let rates: Vec<f64> = rates.iter_mut().map(|rates| median(rates)).collect();
    let mut rows = Vec::new();
    for (place, (load, &rate)) in loads.iter().zip(&rates).enumerate() {
        println!("{:<42} {:>6.1} M packets/s/core", load.name, rate / 1e6);
        let (peer, bar) = if place == 0 { (RATE_MIN, ">= 1") } else { (rates[0], "") };
        rows.push(row(load.name, rate / 1e6, peer / 1e6, "M packets/s/core", bar));
    }
    let hour = median(&mut hours);
    println!("{:<42} {hour:>6.2} s", "an hour of 1,000 packets/s");
    rows.push(row("an hour of 1,000 packets/s", hour, HOUR_S_MAX, "s", "< 1"));
    if is_json {
        println!("{{\"subject\": \"netem simulator\", \"rows\": [{}]}}", rows.join(", "));
    }
}

fn config(settings: &[(&str, &str)]) -> LinkConfig {
    let mut config = LinkConfig::default();
    for (name, value) in settings {
        config.set(name, value).expect("a setting");
    }
    config
}

fn row(work: &str, ours: f64, peer: f64, unit: &str, bar: &str) -> String {
    format!(
        "{{\"work\": \"{work}\", \"ours\": {ours:.2}, \"peer\": {peer:.2}, \"unit\": \"{unit}\", \
         \"ratio\": {:.2}, \"bar\": \"{bar}\"}}",
        ours / peer
    )
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Seconds on the processor, or on the wall where the system does not tell.
struct Stopwatch {
    wall: Instant,
    cpu_ns: Option<u64>,
}

impl Stopwatch {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu_ns: cpu_ns() }
    }

    fn seconds(&self) -> f64 {
        match (self.cpu_ns, cpu_ns()) {
            (Some(start), Some(end)) => (end - start) as f64 / 1e9,
            _ => self.wall.elapsed().as_secs_f64(),
        }
    }
}

/// The time this process has spent on the processor (proc(5): the first field of schedstat).
fn cpu_ns() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok()
}

fn packets_per_s(load: &Load) -> f64 {
    let mut link = Link::new(Direction::Up, load.config.clone(), Seed(7)).with_log(load.log);
    let (start, mut now, mut sum) = (Stopwatch::start(), Nanos::ZERO, 0u64);
    for number in 0..PACKETS {
        let flow = FlowOrdinal((number % load.flows) as u32);
        link.input(now, Packet { flow, size_bytes: SIZE_BYTES, payload: number });
        now = now + GAP;
        while let Some(packet) = link.poll(now) {
            sum = sum.wrapping_add(packet.payload);
        }
    }
    let seconds = start.seconds();
    std::hint::black_box(sum);
    assert!(link.stats().is_balanced(), "every packet is accounted for");
    PACKETS as f64 / seconds
}

/// An hour of 1,000 packets a second, one way, through the two-way simulator.
fn an_hour_s(config: &LinkConfig) -> f64 {
    let start = Stopwatch::start();
    let mut sim = Simulator::new(Seed(7), config.clone(), config.clone()).with_log(0);
    let mut arrived = 0u64;
    for milli in 0..HOUR_MS {
        let until = Nanos::from_millis(milli);
        while sim.advance(until).is_some() {
            arrived += 1;
        }
        sim.send_sized(Direction::Up, FlowOrdinal(0), SIZE_BYTES, milli);
    }
    assert!(arrived > HOUR_MS * 9 / 10, "{arrived} arrived");
    start.seconds()
}
