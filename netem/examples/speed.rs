//! How fast the simulator is: packets a second on one core, with the usual impairments on.
//!
//! `cargo run --release -p netem --example speed [packets]`
//!
//! Counts processor time where Linux tells it, so that other programs do not matter much.

use std::time::Instant;

use netem::{Direction, FlowOrdinal, Link, LinkConfig, Nanos, Packet, Seed, Simulator, UnitError};

/// Ten packets a millisecond are on their way for 20 ms.
const GAP: Nanos = Nanos::from_micros(100);

fn main() -> Result<(), UnitError> {
    let argument = std::env::args().nth(1);
    let packets = argument.and_then(|count| count.parse().ok()).unwrap_or(20_000_000);
    let all = LinkConfig {
        loss: "1%".parse()?,
        duplicate: "1%".parse()?,
        delay: "20ms 5ms".parse()?,
        reorder: "1%".parse()?,
        ..LinkConfig::default()
    };
    let normal = "20ms 5ms 25% distribution normal".parse()?;
    let heavy = LinkConfig {
        loss: "gemodel 1% 20%".parse()?,
        delay: normal,
        rate: Some("100mbit".parse()?),
        ..all.clone()
    };
    let loss = LinkConfig { loss: "1%".parse()?, ..LinkConfig::default() };
    report("nothing", packets, 1, LinkConfig::default(), 0);
    report("loss", packets, 1, loss, 0);
    report("loss + delay + duplicate + reorder", packets, 1, all.clone(), 0);
    report("the same, with the decision log", packets, 1, all.clone(), usize::MAX);
    report("the same, 64 flows", packets, 64, all.clone(), 0);
    report("the same, 10,000 flows", packets, 10_000, all.clone(), 0);
    report("gemodel + correlated normal jitter + rate", packets, 1, heavy, 0);
    an_hour(all);
    Ok(())
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

fn report(name: &str, packets: u64, flows: u64, config: LinkConfig, log: usize) {
    let mut link = Link::new(Direction::Up, config, Seed(7)).with_log(log);
    let (start, mut now, mut sum) = (Stopwatch::start(), Nanos::ZERO, 0u64);
    for number in 0..packets {
        let flow = FlowOrdinal((number % flows) as u32);
        link.input(now, Packet { flow, size_bytes: 1200, payload: number });
        now = now + GAP;
        while let Some(packet) = link.poll(now) {
            sum = sum.wrapping_add(packet.payload);
        }
    }
    let seconds = start.seconds();
    let delivered = link.stats().delivered;
    say(&format!(
        "{name}: {:.1} M packets/s ({:.0} ns each; {delivered} came out, checksum {sum:x})",
        packets as f64 / seconds / 1e6,
        seconds * 1e9 / packets as f64,
    ));
}

/// An hour of 1,000 packets a second, one way, through the two-way simulator.
fn an_hour(config: LinkConfig) {
    let start = Stopwatch::start();
    let mut sim = Simulator::new(Seed(7), config.clone(), config).with_log(0);
    let mut arrived = 0;
    for milli in 0..3_600_000 {
        let until = Nanos::from_millis(milli);
        while sim.advance(until).is_some() {
            arrived += 1;
        }
        sim.send_sized(Direction::Up, FlowOrdinal(0), 1200, milli);
    }
    let seconds = start.seconds();
    say(&format!("an hour of 1,000 packets/s: {seconds:.2} s ({arrived} arrived)"));
}

#[expect(clippy::print_stdout, reason = "the report is this program's purpose")]
fn say(line: &str) {
    println!("{line}");
}
