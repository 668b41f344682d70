//! Tests of the pipeline: balance, order, independence of the draws, statistics, golden logs.

use proptest::prelude::*;

use super::*;
use crate::impair::{Duplicate, Reorder};
use crate::log::write_log;

fn packet(flow: u32, payload: u64) -> Packet<u64> {
    Packet { flow: FlowOrdinal(flow), size_bytes: 100, payload }
}

fn config(loss: &str, duplicate: &str, delay: &str, reorder: &str) -> LinkConfig {
    LinkConfig {
        loss: loss.parse().unwrap(),
        duplicate: duplicate.parse().unwrap(),
        delay: delay.parse().unwrap(),
        reorder: reorder.parse().unwrap(),
        ..LinkConfig::default()
    }
}

fn link(config: LinkConfig, seed: u64) -> Link<u64> {
    Link::new(Direction::Up, config, Seed(seed)).with_log(usize::MAX)
}

/// Sends `count` packets of one flow, `gap` apart, and returns what came out with its time.
fn run(link: &mut Link<u64>, count: u64, gap: Nanos) -> Vec<(Nanos, u64)> {
    let (mut now, mut out) = (Nanos::ZERO, Vec::new());
    for number in 0..count {
        link.input(now, packet(0, number));
        now = now + gap;
        drain(link, now, &mut out);
    }
    drain(link, Nanos::MAX, &mut out);
    out
}

fn drain(link: &mut Link<u64>, until: Nanos, out: &mut Vec<(Nanos, u64)>) {
    while let Some(time) = link.next_deadline().filter(|&time| time <= until) {
        out.push((time, link.poll(time).expect("due").payload));
        assert!(link.stats().is_balanced(), "{:?}", link.stats());
    }
}

fn lost(link: &Link<u64>) -> Vec<u64> {
    let lost = |verdict: &Verdict| verdict.dropped == Some(DropReason::Loss);
    let decisions = link.log().decisions().iter().map(|decision| decision.verdict);
    decisions.filter(lost).map(|verdict| verdict.ordinal.0).collect()
}

const MS: Nanos = Nanos::from_millis(1);

#[test]
fn a_clean_link_passes_everything_at_once_in_order() {
    let mut link = link(LinkConfig::default(), 7);
    let out = run(&mut link, 100, MS);
    assert!(out.iter().enumerate().all(|(n, &(time, number))| {
        number == n as u64 && time == Nanos::from_millis(n as u64)
    }));
    assert_eq!(link.stats().delivered_bytes, 10_000);
}

#[test]
fn observed_loss_is_within_four_sigma() {
    const PACKETS: u64 = 100_000;
    for (text, share) in [("0.1%", 0.001), ("1%", 0.01), ("10%", 0.1), ("50%", 0.5)] {
        for seed in 1..=5 {
            let mut link = link(config(text, "0%", "0ms", "0%"), seed);
            run(&mut link, PACKETS, Nanos::ZERO);
            let (n, observed) = (PACKETS as f64, link.stats().dropped(DropReason::Loss) as f64);
            let sigma = (n * share * (1.0 - share)).sqrt();
            let off = (observed - n * share) / sigma;
            assert!(off.abs() <= 4.0, "loss {text} seed {seed}: {observed} lost, {off:.1} sigma");
        }
    }
}

#[test]
fn duplicate_and_reorder_choose_within_four_sigma() {
    const PACKETS: u64 = 100_000;
    let mut link = link(config("0%", "5%", "0ms", "5%"), 3);
    run(&mut link, PACKETS, MS);
    let sigma = (PACKETS as f64 * 0.05 * 0.95).sqrt();
    for count in [link.stats().duplicated, link.stats().reordered] {
        assert!((count as f64 - PACKETS as f64 * 0.05).abs() <= 4.0 * sigma, "{count}");
    }
}

#[test]
fn certain_loss_and_no_loss_are_exact() {
    for (text, delivered) in [("100%", 0), ("0%", 1000)] {
        let mut link = link(config(text, "0%", "0ms", "0%"), 7);
        run(&mut link, 1000, MS);
        assert_eq!(link.stats().delivered, delivered);
    }
}

#[test]
fn jitter_spreads_over_its_whole_range_and_keeps_the_order() {
    let mut link = link(config("0%", "0%", "20ms 5ms", "0%"), 7);
    let mut out = Vec::new();
    for number in 0..10_000u64 {
        // 100 ms apart: no packet waits for the one before.
        let now = Nanos::from_millis(100 * number);
        drain(&mut link, now, &mut out);
        link.input(now, packet(0, number));
    }
    drain(&mut link, Nanos::MAX, &mut out);
    let delays: Vec<u64> = out
        .iter()
        .map(|&(time, number)| (time - Nanos::from_millis(100 * number)).as_micros())
        .collect();
    let mean = delays.iter().sum::<u64>() as f64 / delays.len() as f64;
    // Uniform on 15..25 ms: standard deviation 10/sqrt(12) ms, of the mean 0.0289 ms.
    assert!((mean - 20_000.0).abs() < 4.0 * 28.9, "{mean}");
    assert!(delays.iter().all(|delay| (15_000..=25_000).contains(delay)));
    assert!(delays.iter().min() < Some(&15_010) && delays.iter().max() > Some(&24_990));

    let mut busy = self::link(config("0%", "0%", "20ms 5ms", "0%"), 7);
    let out = run(&mut busy, 10_000, Nanos::from_micros(10));
    assert!(out.is_sorted_by_key(|&(_, number)| number), "jitter alone never reorders");
}

#[test]
fn a_shorter_delay_does_not_reorder_what_is_on_its_way() {
    let mut link = link(config("0%", "0%", "20ms", "0%"), 7);
    link.input(Nanos::ZERO, packet(0, 0));
    link.set_config(LinkConfig::default());
    link.input(MS, packet(0, 1));
    link.input(MS, packet(1, 2));
    let mut out = Vec::new();
    drain(&mut link, Nanos::MAX, &mut out);
    let at = Nanos::from_millis;
    assert_eq!(out, [(at(1), 2), (at(20), 0), (at(20), 1)], "order is kept per flow");
}

#[test]
fn a_chosen_packet_leaves_right_behind_the_distance_th_later_one() {
    let mut link = link(config("0%", "0%", "0ms", "100% distance 2 flush 1s"), 7);
    link.input(Nanos::ZERO, packet(0, 0));
    link.set_config(LinkConfig::default());
    let mut out = Vec::new();
    link.input(MS, packet(1, 100)); // another flow does not count
    link.input(MS, packet(0, 1));
    drain(&mut link, MS, &mut out);
    link.input(MS + MS, packet(0, 2));
    link.input(MS + MS, packet(0, 3));
    drain(&mut link, MS + MS, &mut out);
    let order: Vec<u64> = out.iter().map(|&(_, number)| number).collect();
    assert_eq!(order, [100, 1, 2, 0, 3]);
    assert_eq!(link.stats().queued, 0);
}

/// A driver that looked before the second packet came has it first; one that looks later, too.
#[test]
fn a_timer_that_runs_out_with_an_arrival_comes_first() {
    for looks_between in [false, true] {
        let mut link = link(config("0%", "0%", "0ms", "100% distance 1 flush 1ms"), 7);
        let mut out = Vec::new();
        link.input(Nanos::ZERO, packet(0, 0));
        link.set_config(LinkConfig::default());
        if looks_between {
            drain(&mut link, MS, &mut out);
        }
        link.input(MS, packet(0, 1));
        drain(&mut link, MS, &mut out);
        let order: Vec<u64> = out.iter().map(|&(_, number)| number).collect();
        assert_eq!(order, [0, 1], "looks between: {looks_between}");
    }
}

#[test]
fn a_chosen_packet_is_flushed_when_nobody_follows() {
    let mut link = link(config("0%", "0%", "10ms", "100% distance 2 flush 30ms"), 7);
    link.input(Nanos::ZERO, packet(0, 0));
    link.set_config(config("0%", "0%", "10ms", "0%"));
    link.input(Nanos::from_millis(5), packet(0, 1));
    // The second later packet leaves only after the flush time: it is not waited for.
    link.input(Nanos::from_millis(35), packet(0, 2));
    let mut out = Vec::new();
    drain(&mut link, Nanos::MAX, &mut out);
    let at = Nanos::from_millis;
    assert_eq!(out, [(at(15), 1), (at(40), 0), (at(45), 2)]);
}

#[test]
fn a_full_queue_drops_with_its_reason_and_stays_balanced() {
    let limit = LinkConfig { limit_packets: 3, ..config("0%", "100%", "1s", "0%") };
    let mut link = link(limit, 7);
    let verdicts: Vec<Verdict> =
        (0..4).map(|number| link.input(Nanos::ZERO, packet(0, number))).collect();
    assert!(verdicts[0].effects.contains(Effects::DUPLICATE));
    assert!(verdicts[1].effects.contains(Effects::DUPLICATE_DROPPED));
    assert_eq!(verdicts[2].dropped, Some(DropReason::QueueFull));
    let stats = *link.stats();
    assert!(stats.is_balanced(), "{stats:?}");
    assert_eq!((stats.queued, stats.duplicated), (3, 2));
    assert_eq!(stats.dropped(DropReason::QueueFull), 3);
    link.drop_queued(DropReason::Closed);
    assert!(link.stats().is_balanced());
    assert_eq!((link.stats().dropped(DropReason::Closed), link.stats().delivered), (3, 0));
}

#[test]
fn a_forgotten_flow_starts_again_from_zero_and_leaves_nothing_behind() {
    let mut link = link(config("0%", "0%", "1ms", "100%"), 7);
    link.input(Nanos::ZERO, packet(9, 0));
    link.forget_flow(FlowOrdinal(9));
    assert_eq!(link.flows(), 0);
    let mut out = Vec::new();
    drain(&mut link, Nanos::MAX, &mut out);
    assert_eq!(out.len(), 1, "what was held back still comes out");
    assert_eq!(link.input(MS, packet(9, 1)).ordinal, PacketOrdinal(0));
}

/// Pins the decisions across versions: whoever changes one of these lines breaks every seed that
/// people have written down.
#[test]
fn golden_log() {
    let config = config("20%", "10%", "20ms 5ms", "10%");
    let mut up = Link::new(Direction::Up, config.clone(), Seed(7)).with_log(usize::MAX);
    let mut down = Link::new(Direction::Down, config, Seed(7)).with_log(12);
    run(&mut up, 12, MS);
    down.input(Nanos::ZERO, packet(3, 0));
    run(&mut down, 12, MS);
    let mut text = String::new();
    write_log(&mut text, Seed(7), up.log(), down.log()).unwrap();
    insta::assert_snapshot!(text);
}

/// The same for 10,000 packets of three flows, as a checksum (FNV-1a, 64 bits).
#[test]
fn golden_log_checksum() {
    let mut link = link(config("5%", "3%", "10ms 10ms", "4% distance 2"), 0xDEAD_BEEF_0BAD_CAFE);
    for number in 0..10_000 {
        link.input(Nanos::from_micros(number), packet(number as u32 % 3, number));
    }
    let mut text = String::new();
    write_log(&mut text, link.seed(), link.log(), &DecisionLog::default()).unwrap();
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    insta::assert_snapshot!(format!("{sum:016x}"));
}

#[test]
fn a_hundred_runs_decide_alike() {
    let log = |_| {
        let mut link = link(config("10%", "5%", "3ms 2ms", "5%"), 7);
        run(&mut link, 500, MS);
        link.log().decisions().to_vec()
    };
    let first = log(0);
    assert!((1..100).all(|number| log(number) == first));
}

fn any_config() -> impl Strategy<Value = LinkConfig> {
    let share = (0u32..=1000).prop_map(|n| format!("{}.{}%", n / 10, n % 10));
    let time = (0u32..3000).prop_map(|us| format!("{us}us"));
    (share.clone(), share.clone(), time, share, 1u32..6, 1usize..200).prop_map(
        |(loss, duplicate, time, reorder, distance, limit_packets)| LinkConfig {
            limit_packets,
            ..config(
                &loss,
                &duplicate,
                &format!("{time} {time}"),
                &format!("{reorder} distance {distance} flush 2ms"),
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every packet is accounted for at every step, and all come out in the end.
    #[test]
    fn statistics_balance(
        config in any_config(),
        seed: u64,
        gaps in prop::collection::vec((0u64..500, 0u32..4), 0..300),
    ) {
        let mut link = link(config, seed);
        let (mut now, mut out) = (Nanos::ZERO, Vec::new());
        for (number, (gap, flow)) in gaps.into_iter().enumerate() {
            now = now + Nanos::from_micros(gap);
            link.input(now, packet(flow, number as u64));
            prop_assert!(link.stats().is_balanced());
            prop_assert!(link.stats().queued as usize <= link.config().limit_packets);
            drain(&mut link, now, &mut out);
        }
        drain(&mut link, Nanos::MAX, &mut out);
        prop_assert_eq!(link.stats().queued, 0);
        prop_assert_eq!(out.len() as u64, link.stats().delivered);
        prop_assert!(out.is_sorted_by_key(|&(time, _)| time), "time never runs backwards");
    }

    /// Without reorder and duplicate each flow comes out in order, whatever the jitter.
    #[test]
    fn order_is_kept_unless_reorder_is_asked_for(config in any_config(), seed: u64) {
        let (reorder, duplicate) = (Reorder::default(), Duplicate::default());
        let config = LinkConfig { reorder, duplicate, ..config };
        let mut link = link(config, seed);
        let mut out = Vec::new();
        for number in 0..300u64 {
            let now = Nanos::from_micros(50 * number);
            link.input(now, packet(number as u32 % 3, number));
            drain(&mut link, now, &mut out);
        }
        drain(&mut link, Nanos::MAX, &mut out);
        for flow in 0..3 {
            let numbers: Vec<u64> = out.iter().map(|&(_, n)| n).filter(|n| n % 3 == flow).collect();
            prop_assert!(numbers.is_sorted());
        }
    }

    /// Duplicate, delay, jitter and reorder cannot change which packets are lost.
    #[test]
    fn loss_does_not_depend_on_other_impairments(other in any_config(), seed: u64) {
        let mut alone = link(config("10%", "0%", "0ms", "0%"), seed);
        run(&mut alone, 500, MS);
        let loss = "10%".parse().unwrap();
        let mut together = link(LinkConfig { loss, limit_packets: usize::MAX, ..other }, seed);
        run(&mut together, 500, MS);
        prop_assert_eq!(lost(&alone), lost(&together));
    }

    /// A flow's decisions do not depend on the other flows.
    #[test]
    fn flows_do_not_disturb_each_other(
        seed: u64,
        others in prop::collection::vec(1u32..5, 0..200),
    ) {
        let config = config("20%", "10%", "5ms 5ms", "10%");
        let mut alone = link(config.clone(), seed);
        let mut crowd = link(config, seed);
        for number in 0..200usize {
            alone.input(MS, packet(0, 0));
            if let Some(&flow) = others.get(number) {
                crowd.input(MS, packet(flow, 0));
            }
            crowd.input(MS, packet(0, 0));
        }
        let decisions = |link: &Link<u64>| -> Vec<Verdict> {
            let mine = link.log().decisions().iter().filter(|decision| decision.flow.0 == 0);
            mine.map(|decision| decision.verdict).collect()
        };
        prop_assert_eq!(decisions(&alone), decisions(&crowd));
    }
}
