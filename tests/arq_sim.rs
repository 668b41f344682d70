//! Exactly-once delivery of `UDPWithACK` over a bad network, in virtual time, over many seeds.
//!
//! A failing run prints the one command that repeats it; `UDPCORE_SEED` runs that seed only.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use netem::LinkConfig;
use support::ack_world::{Outcome, Plan, run};
use udpcore::arq::send_policy::SendPolicy;

/// The network of the acceptance tests, the same in both directions.
fn bad_link() -> LinkConfig {
    LinkConfig {
        loss: "20%".parse().unwrap(),
        duplicate: "5%".parse().unwrap(),
        reorder: "5%".parse().unwrap(),
        delay: "20ms 5ms".parse().unwrap(),
        ..LinkConfig::default()
    }
}

fn plan(seed: u64, messages: usize, max_retries: u32) -> Plan {
    Plan {
        seed,
        clients: 1,
        messages,
        policy: SendPolicy::new(max_retries, Duration::from_secs(1)).unwrap(),
        first_seq: 0,
        link: bad_link(),
    }
}

/// Runs `check` for each seed, or for `UDPCORE_SEED` alone.
fn for_seeds(test: &str, seeds: std::ops::Range<u64>, check: impl Fn(u64)) {
    let only = std::env::var("UDPCORE_SEED").ok().map(|text| text.parse().expect("a number"));
    let seeds = only.map_or(seeds, |seed: u64| seed..seed + 1);
    for seed in seeds {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(seed))) {
            eprintln!(
                "seed {seed} failed; repeat it with\n  \
                 UDPCORE_SEED={seed} cargo test --test arq_sim -- --exact {test} --nocapture"
            );
            resume_unwind(panic);
        }
    }
}

#[test]
fn ten_thousand_messages_arrive_exactly_once() {
    for_seeds("ten_thousand_messages_arrive_exactly_once", 0..20, |seed| {
        let outcome = run(plan(seed, 10_000, 20));
        // 36 % of the tries fail: all 21 of them once in 10^9 messages.
        assert_eq!((outcome.acked, outcome.failed, outcome.delivered), (10_000, 0, 10_000));
        assert!(outcome.duplicates > 1_000 && outcome.retransmissions > 3_000, "{outcome:?}");
    });
}

#[test]
fn with_few_retries_every_message_ends_as_acknowledged_or_failed() {
    for_seeds("with_few_retries_every_message_ends_as_acknowledged_or_failed", 100..104, |seed| {
        let Outcome { acked, failed, delivered, .. } = run(plan(seed, 10_000, 3));
        assert_eq!(acked + failed, 10_000);
        // 0.36^4 = 1.7 % of the messages fail; some of them were delivered, their ACKs were not.
        assert!((90..260).contains(&failed), "{failed} failed");
        assert!(delivered >= acked && delivered <= 10_000);
    });
}

#[test]
fn numbers_wrap_around_in_the_middle() {
    for_seeds("numbers_wrap_around_in_the_middle", 200..204, |seed| {
        let outcome = run(Plan { first_seq: u32::MAX - 999, ..plan(seed, 2_000, 20) });
        assert_eq!((outcome.acked, outcome.delivered), (2_000, 2_000));
    });
}

#[test]
fn fifty_peers_with_the_same_numbers_do_not_mix() {
    for_seeds("fifty_peers_with_the_same_numbers_do_not_mix", 300..303, |seed| {
        let outcome = run(Plan { clients: 50, ..plan(seed, 100, 20) });
        assert_eq!((outcome.acked, outcome.delivered), (5_000, 5_000));
    });
}

#[test]
fn a_dead_network_fails_everything_in_time() {
    let link = LinkConfig { loss: "100%".parse().unwrap(), ..bad_link() };
    let outcome = run(Plan { link, ..plan(7, 3_000, 3) });
    assert_eq!((outcome.failed, outcome.delivered, outcome.retransmissions), (3_000, 0, 9_000));
    // Three windows of 1,024 messages, four seconds each.
    assert_eq!(outcome.virtual_time, Duration::from_secs(12));
}

#[test]
fn a_clean_network_needs_no_repetition() {
    let link = LinkConfig { delay: "20ms".parse().unwrap(), ..LinkConfig::default() };
    let outcome = run(Plan { link, ..plan(7, 10_000, 3) });
    assert_eq!((outcome.acked, outcome.retransmissions, outcome.duplicates), (10_000, 0, 0));
}

#[test]
fn the_same_seed_takes_the_same_course() {
    let (first, second) = (run(plan(42, 1_000, 20)), run(plan(42, 1_000, 20)));
    assert_eq!(first.log, second.log);
    assert_eq!(first.virtual_time, second.virtual_time);
}
