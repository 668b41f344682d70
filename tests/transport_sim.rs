//! The transport in virtual time over netem: random scenarios from seeds, each checked whole.
//!
//! A failing seed prints the command that repeats it. `UDPCORE_SEED=n` runs one seed,
//! `UDPCORE_SEEDS=n` that many (10^5 for a soak).

#[path = "support/transport/mod.rs"]
mod support;

use support::scenario::{Draw, Scenario};
use support::traffic;
use support::world::{Summary, World};
use udpcore::transport::Congestion;

const SEEDS_DEFAULT: u64 = 1000;
const SEEDS_BBR_DEFAULT: u64 = 300;
const BBR_SEEDS_START: u64 = 1 << 32;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs one seed; a failure says how to repeat it.
fn run_as(test: &str, seed: u64, scenario: fn(u64) -> Scenario) -> Summary {
    let outcome = std::panic::catch_unwind(|| World::new(scenario(seed)).run());
    outcome.unwrap_or_else(|cause| {
        eprintln!("{:?}", Scenario { plans: Vec::new(), ..scenario(seed) });
        eprintln!("seed {seed} failed; repeat with:");
        eprintln!("  UDPCORE_SEED={seed} cargo test --test transport_sim {test}");
        std::panic::resume_unwind(cause)
    })
}

fn run(seed: u64) -> Summary {
    run_as("random_scenarios_hold", seed, Scenario::random)
}

/// Scenarios of their own for BBR, so that those of the other controllers stay as they are.
fn with_bbr(seed: u64) -> Scenario {
    Scenario { congestion: Congestion::Bbr, ..Scenario::random(BBR_SEEDS_START + seed) }
}

fn run_bbr(seed: u64) -> Summary {
    run_as("random_scenarios_with_bbr", seed, with_bbr)
}

#[test]
fn random_scenarios_hold_every_promise() {
    run_seeds(SEEDS_DEFAULT, run);
}

#[test]
fn random_scenarios_with_bbr_hold_every_promise() {
    run_seeds(SEEDS_BBR_DEFAULT, run_bbr);
    for seed in 0..20 {
        assert_eq!(run_bbr(seed), run_bbr(seed), "seed {seed}");
    }
}

fn run_seeds(count: u64, run: fn(u64) -> Summary) {
    let seeds = match number("UDPCORE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("UDPCORE_SEEDS").unwrap_or(count),
    };
    let mut virtual_us = 0;
    let mut delivered = 0;
    let (mut connections, mut closes_lost) = (0, Vec::new());
    for seed in seeds.clone() {
        let summary = run(seed);
        virtual_us += summary.finished.0;
        delivered += summary.delivered;
        connections += summary.connections;
        closes_lost.extend((0..summary.closes_lost).map(|_| seed));
    }
    assert!(delivered > 0);
    // At 30 % loss seven in a row are lost once in five thousand times.
    let bearable = connections / 2_000 + 1;
    assert!(closes_lost.len() as u64 <= bearable, "too many ends unheard of: {closes_lost:?}");
    eprintln!(
        "{} seeds, {} s of virtual time, {delivered} messages delivered",
        seeds.end - seeds.start,
        virtual_us / 1_000_000
    );
}

/// Two hundred clients of one server, over a link that loses and reorders.
#[test]
fn hundreds_of_connections_at_once() {
    let plans: Vec<_> = (0..200).map(|n| traffic::plan(&mut Draw::new(7_000 + n))).collect();
    let mut scenario = Scenario::clean(7, plans);
    scenario.up.loss = "3%".parse().expect("a loss");
    scenario.down.loss = "3%".parse().expect("a loss");
    scenario.encrypted = true;
    let summary = World::new(scenario).run();
    assert!(summary.delivered > 1000, "{summary:?}");
}

/// The hash of fifty runs, pinned: the same twice, in debug and in release, on every machine.
#[test]
fn the_runs_of_fifty_seeds_are_pinned() {
    let hashes: Vec<String> = (0..50).map(|seed| format!("{:08x}", run(seed).trace_hash)).collect();
    insta::assert_snapshot!(hashes.join("\n"));
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..50 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
