//! What holds for all models: none moves another, every packet is accounted for, the log is pinned.

use netem::impair::{
    Action, Blackhole, Condition, Delay, Duplicate, Loss, Queue, Reorder, Rule, Rules, Truncate,
};
use netem::log::{DecisionLog, write_log};
use netem::{
    Bytes, Direction, DropReason, Effects, FlowOrdinal, Link, LinkConfig, Nanos, Outcome, Packet,
    PayloadMut, Seed, Verdict,
};
use proptest::prelude::*;

/// A payload that understands ECN.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Capable(Vec<u8>);

impl PayloadMut for Capable {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
    fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }
    fn is_ecn_capable(&self) -> bool {
        true
    }
}

fn capable(size: u64) -> Capable {
    Capable(vec![0; size as usize])
}

fn numbered(flow: u32, number: u64, size_bytes: u32) -> Packet<u64> {
    Packet { flow: FlowOrdinal(flow), size_bytes, payload: number }
}

fn link<P>(config: LinkConfig) -> Link<P> {
    Link::new(Direction::Up, config, Seed(7)).with_log(usize::MAX)
}

fn rule(conditions: Vec<Condition>, action: Action) -> Rules {
    Rules::from(vec![Rule { conditions, action }])
}

fn clean() -> LinkConfig {
    LinkConfig::default()
}

/// Every model by name, on its own.
fn every_model() -> Vec<(&'static str, LinkConfig)> {
    let third = vec![Condition::Every(3.try_into().unwrap())];
    vec![
        ("rule", LinkConfig { rules: rule(third, Action::Drop), ..clean() }),
        ("blackhole", LinkConfig { blackhole: "10ms-200ms".parse().unwrap(), ..clean() }),
        ("random", LinkConfig { loss: "10%".parse().unwrap(), ..clean() }),
        ("correlated", LinkConfig { loss: "10% 50%".parse().unwrap(), ..clean() }),
        ("gemodel", LinkConfig { loss: "gemodel 5% 20%".parse().unwrap(), ..clean() }),
        ("state", LinkConfig { loss: "state 5% 30% 10% 20% 1%".parse().unwrap(), ..clean() }),
        ("ecn", LinkConfig { ecn: "10% 10%".parse().unwrap(), ..clean() }),
        ("corrupt", LinkConfig { corrupt: "10% 30%".parse().unwrap(), ..clean() }),
        ("truncate", LinkConfig { truncate: "10% 30% to 50B".parse().unwrap(), ..clean() }),
        ("mtu", LinkConfig { mtu: Some(Bytes::new(90)), ..clean() }),
        ("duplicate", LinkConfig { duplicate: "10% 40%".parse().unwrap(), ..clean() }),
        ("rate", LinkConfig { rate: Some("500kbit".parse().unwrap()), ..clean() }),
        (
            "delay",
            LinkConfig { delay: "9ms 3ms 40% distribution normal".parse().unwrap(), ..clean() },
        ),
        ("reorder", LinkConfig { reorder: "10% 20% distance 2".parse().unwrap(), ..clean() }),
        ("ahead", LinkConfig { reorder: "30% gap 3 ahead".parse().unwrap(), ..clean() }),
    ]
}

/// `base` with everything that differs from the default in `other`.
fn together(base: &LinkConfig, other: &LinkConfig) -> LinkConfig {
    let none = clean();
    let mut both = base.clone();
    macro_rules! take {
        ($($field:ident),*) => {
            $(if other.$field != none.$field { both.$field = other.$field.clone(); })*
        };
    }
    take!(rules, blackhole, loss, ecn, corrupt, truncate, mtu, duplicate, rate, delay, reorder);
    both
}

/// What a model decided about each packet: what it adds to the verdict, where the packet lives.
fn column(name: &str, verdicts: &[Verdict]) -> Vec<Option<String>> {
    let effect =
        |effect: Effects| move |verdict: &Verdict| verdict.effects.contains(effect).to_string();
    let reason =
        |reason: DropReason| move |verdict: &Verdict| (verdict.dropped == Some(reason)).to_string();
    let decided: Box<dyn Fn(&Verdict) -> String> = match name {
        "rule" => Box::new(reason(DropReason::Rule)),
        "blackhole" => Box::new(reason(DropReason::Blackhole)),
        "random" | "correlated" | "gemodel" | "state" => Box::new(reason(DropReason::Loss)),
        "ecn" => Box::new(effect(Effects::MARK)),
        "corrupt" => Box::new(effect(Effects::CORRUPT)),
        "truncate" => Box::new(effect(Effects::TRUNCATE)),
        "mtu" => Box::new(reason(DropReason::Mtu)),
        "duplicate" => Box::new(effect(Effects::DUPLICATE)),
        "delay" => Box::new(|verdict| verdict.delay.to_string()),
        "reorder" => Box::new(effect(Effects::REORDER)),
        "ahead" => Box::new(effect(Effects::AHEAD)),
        _ => Box::new(|_| String::new()),
    };
    let drops = matches!(name, "rule" | "blackhole" | "random" | "correlated" | "gemodel")
        || matches!(name, "state" | "mtu");
    let seen = |verdict: &Verdict| {
        let own = verdict.is_delivered() || drops && decided(verdict) == "true";
        own.then(|| decided(verdict))
    };
    verdicts.iter().map(seen).collect()
}

/// No impairment moves the decisions of another: with any second model on, each packet meets the
/// same fate in the first, wherever it still gets there.
#[test]
fn every_model_decides_alone() {
    let decide = |config: &LinkConfig| -> Vec<Verdict> {
        let mut link = link(config.clone()).with_bytes();
        let mut verdict = |number: u64| {
            let payload = capable(100 - number % 20);
            let size_bytes = payload.0.len() as u32;
            let now = Nanos::from_millis(number);
            while link.next_deadline().is_some_and(|time| time <= now) {
                link.poll(now);
            }
            link.input(now, Packet { flow: FlowOrdinal(0), size_bytes, payload })
        };
        (0..400).map(&mut verdict).collect()
    };
    let models = every_model();
    for (first, alone) in &models {
        let expected = column(first, &decide(alone));
        for (second, other) in &models {
            let same_field = together(alone, other) == *other || together(other, alone) == *alone;
            if first == second || same_field {
                continue;
            }
            let seen = column(first, &decide(&together(alone, other)));
            for (number, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
                let both = seen.as_ref().zip(expected.as_ref());
                // Let ahead, a packet has no delay; cut off, it may fit.
                let allowed = matches!((*first, *second), ("delay", "ahead") | ("mtu", "truncate"));
                let agrees = both.is_none_or(|(seen, expected)| seen == expected) || allowed;
                assert!(agrees, "{second} moved {first} at packet {number}: {both:?}");
            }
        }
    }
}

/// Pins the decisions of every model: FNV-1a over the log of 2,000 packets of three flows.
#[test]
fn golden_logs() {
    let mut text = String::new();
    for (name, config) in every_model() {
        let mut link = link(config).with_bytes();
        for number in 0..2000u64 {
            let now = Nanos::from_micros(300 * number);
            while link.poll(now).is_some() {}
            let payload = capable(60 + number % 60);
            let size_bytes = payload.0.len() as u32;
            link.input(now, Packet { flow: FlowOrdinal(number as u32 % 3), size_bytes, payload });
        }
        let mut log = String::new();
        write_log(&mut log, link.seed(), link.log(), &DecisionLog::default()).unwrap();
        let sum = log.bytes().fold(0xcbf2_9ce4_8422_2325u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        text += &format!("{name} {sum:016x}\n");
    }
    insta::assert_snapshot!(text);
}

fn any_config() -> impl Strategy<Value = LinkConfig> {
    let share = || (0u32..60).prop_map(|n| format!("{}.{}%", n / 4, n % 4));
    let loss = prop_oneof![
        share(),
        share().prop_map(|p| format!("{p} 30%")),
        share().prop_map(|p| format!("gemodel {p} 20%")),
        share().prop_map(|p| format!("state {p} 30% 10% 20% 1%")),
        Just("every 7".to_owned()),
    ];
    let queue = prop_oneof![
        (1u32..50).prop_map(|n| format!("droptail {n}")),
        (1u32..50).prop_map(|n| format!("drophead {n}")),
        (100u32..5000).prop_map(|n| format!("drophead {n}B")),
        Just("codel target 1ms interval 10ms".to_owned()),
    ];
    let delay = prop_oneof![
        Just("0ms"),
        Just("2ms 1ms"),
        Just("2ms 1ms unordered"),
        Just("2ms 5ms 30% distribution pareto unordered"),
        Just("2ms 1ms distribution normal"),
    ];
    let reorder = prop_oneof![
        Just("0%"),
        Just("10% distance 2 flush 3ms"),
        Just("20% gap 4 ahead"),
        Just("30% gap 2"),
    ];
    let rate = prop::option::of(100u64..5000);
    (loss, share(), share(), queue, delay, reorder, rate, 1usize..200).prop_map(
        |(loss, duplicate, truncate, queue, delay, reorder, rate, limit_packets)| LinkConfig {
            loss: loss.parse().unwrap(),
            duplicate: duplicate.parse().unwrap(),
            truncate: format!("{truncate} to 40B").parse().unwrap(),
            queue: queue.parse().unwrap(),
            delay: delay.parse().unwrap(),
            reorder: reorder.parse().unwrap(),
            rate: rate.map(|kbit| format!("{kbit}kbit").parse().unwrap()),
            blackhole: "3ms-4ms".parse().unwrap(),
            limit_packets,
            ..clean()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever is switched on, every packet is accounted for at every step, what the driver is
    /// given back is what the counters say, and everything comes out in the end.
    #[test]
    fn every_packet_is_accounted_for(
        config in any_config(),
        seed: u64,
        packets in prop::collection::vec((0u64..300, 0u32..3, 1u32..1500), 0..300),
    ) {
        let mut link = Link::new(Direction::Up, config, Seed(seed)).with_log(usize::MAX);
        let (mut now, mut out, mut dropped) = (Nanos::ZERO, 0u64, 0u64);
        let mut expected = 0;
        let mut collect = |link: &mut Link<u64>, until: Nanos| {
            while let Some(time) = link.next_deadline().filter(|&time| time <= until) {
                while let Some(outcome) = link.poll_outcome(time) {
                    match outcome {
                        Outcome::Delivered(_) => out += 1,
                        Outcome::Dropped(..) => dropped += 1,
                    }
                }
                assert!(link.stats().is_balanced(), "{:?}", link.stats());
            }
        };
        for (number, (gap, flow, size_bytes)) in packets.into_iter().enumerate() {
            now = now + Nanos::from_micros(gap);
            collect(&mut link, now);
            let verdict = link.input(now, numbered(flow, number as u64, size_bytes));
            let copy = verdict.effects.contains(Effects::DUPLICATE);
            expected += u64::from(verdict.is_delivered()) + u64::from(copy);
            prop_assert!(link.stats().is_balanced(), "{:?}", link.stats());
            prop_assert!(link.stats().queued as usize <= link.config().limit_packets);
        }
        collect(&mut link, Nanos::MAX);
        prop_assert_eq!(link.stats().queued, 0);
        prop_assert_eq!(out + dropped, expected, "a driver gets back all that it was promised");
        prop_assert_eq!(out, link.stats().delivered);
    }

    /// How often the driver looks makes no difference.
    #[test]
    fn a_lazy_driver_gets_the_same(config in any_config(), seed: u64) {
        let config = LinkConfig { limit_packets: usize::MAX, ..config };
        let times = |looks: &dyn Fn(u64) -> bool| {
            let mut link = Link::new(Direction::Up, config.clone(), Seed(seed));
            link = link.with_log(usize::MAX);
            let mut out = Vec::new();
            for number in 0..200u64 {
                let now = Nanos::from_micros(150 * number);
                if looks(number) {
                    while let Some(packet) = link.poll(now) {
                        out.push(packet.payload);
                    }
                }
                link.input(now, numbered(0, number, 200));
            }
            while let Some(packet) = link.poll(Nanos::MAX) {
                out.push(packet.payload);
            }
            (link.log().decisions().to_vec(), out)
        };
        // The whole-link limit counts what the driver has not taken yet: leave it out.
        let (eager, lazy) = (times(&|_| true), times(&|number| number % 7 == 0));
        prop_assert_eq!(eager, lazy);
    }

    /// What is written can be read again.
    #[test]
    fn models_written_read_back(config in any_config()) {
        prop_assert_eq!(config.loss.to_string().parse::<Loss>(), Ok(config.loss));
        prop_assert_eq!(config.duplicate.to_string().parse::<Duplicate>(), Ok(config.duplicate));
        prop_assert_eq!(config.truncate.to_string().parse::<Truncate>(), Ok(config.truncate));
        prop_assert_eq!(config.queue.to_string().parse::<Queue>(), Ok(config.queue));
        prop_assert_eq!(config.delay.to_string().parse::<Delay>(), Ok(config.delay));
        prop_assert_eq!(config.reorder.to_string().parse::<Reorder>(), Ok(config.reorder));
        prop_assert_eq!(config.blackhole.to_string().parse::<Blackhole>(), Ok(config.blackhole));
    }
}
