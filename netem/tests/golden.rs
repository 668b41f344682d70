//! The same decisions in every build: the hashes of `golden.txt`, which the tests in Python check
//! with the release build, the relay and the bridge, here with whatever build runs this.

use netem::log::parse_log;
use netem::{Direction, FlowOrdinal, LinkConfig, Seed, Simulator};

const FLOWS: u32 = 3;
const PACKETS: usize = 300;
const SEED: Seed = Seed(7);
const RUNS: usize = 100;

/// The expected hash and the configuration of each model.
fn golden() -> Vec<(String, LinkConfig)> {
    let lines = include_str!("golden.txt").lines().filter(|line| !line.starts_with('#'));
    let of_line = |line: &str| {
        let (hash, models) = line.split_once(' ').unwrap();
        let mut config = LinkConfig::default();
        for model in models.split("; ") {
            let (name, value) = model.split_once('=').unwrap();
            config.set(name, value).unwrap();
        }
        (hash.to_owned(), config)
    };
    lines.map(of_line).collect()
}

fn log_of(config: &LinkConfig) -> String {
    let down = LinkConfig::default();
    let mut sim = Simulator::new(SEED, config.clone(), down).with_bytes();
    for flow in 1..=FLOWS {
        for number in 0..PACKETS {
            sim.send(Direction::Up, FlowOrdinal(flow), vec![0; 50 + number]);
        }
    }
    sim.log_text()
}

fn digest(log: &str) -> String {
    let lines = log.lines().filter(|line| !line.starts_with('#'));
    let bytes = lines.flat_map(|line| line.bytes().chain([b'\n']));
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.fold(0xcbf2_9ce4_8422_2325, step))
}

#[test]
fn every_build_takes_the_golden_decisions() {
    for (hash, config) in golden() {
        let log = log_of(&config);
        assert_eq!(parse_log(&log).unwrap().up.decisions().len(), FLOWS as usize * PACKETS);
        assert_eq!(digest(&log), hash, "{:?}", config.settings());
    }
}

#[test]
fn a_hundred_runs_write_one_log() {
    for (_, config) in golden() {
        let first = log_of(&config);
        for run in 1..RUNS {
            assert_eq!(log_of(&config), first, "run {run} of {:?}", config.settings());
        }
    }
}
