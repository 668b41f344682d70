//! What each model does to packets, seen from outside: at least one test a model.

use netem::impair::{
    Action, Blackhole, Condition, Corrupt, Delay, EcnMarking, Loss, Predicate, Queue, Reorder,
    Rule, Rules, Truncate,
};
use netem::link::Semantics;
use netem::{
    Bytes, Direction, DropReason, Effects, FlowOrdinal, Link, LinkConfig, Nanos, Outcome, Packet,
    PayloadMut, Seed, Verdict,
};

const MS: Nanos = Nanos::from_millis(1);

/// A payload that understands ECN.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Capable {
    bytes: Vec<u8>,
    is_marked: bool,
}

impl PayloadMut for Capable {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
    fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }
    fn is_ecn_capable(&self) -> bool {
        true
    }
    fn mark_congestion(&mut self) {
        self.is_marked = true;
    }
}

fn bytes(flow: u32, payload: Vec<u8>) -> Packet<Vec<u8>> {
    Packet { flow: FlowOrdinal(flow), size_bytes: payload.len() as u32, payload }
}

fn numbered(flow: u32, number: u64, size_bytes: u32) -> Packet<u64> {
    Packet { flow: FlowOrdinal(flow), size_bytes, payload: number }
}

fn link<P>(config: LinkConfig) -> Link<P> {
    Link::new(Direction::Up, config, Seed(7)).with_log(usize::MAX)
}

fn drain<P>(link: &mut Link<P>, until: Nanos) -> Vec<(Nanos, P)> {
    let mut out = Vec::new();
    while let Some(time) = link.next_deadline().filter(|&time| time <= until) {
        out.extend(link.poll(time).map(|packet| (time, packet.payload)));
        assert!(link.stats().is_balanced(), "{:?}", link.stats());
    }
    out
}

fn rule(conditions: Vec<Condition>, action: Action) -> Rules {
    Rules::from(vec![Rule { conditions, action }])
}

/// Sends numbered packets of one flow, 1 ms apart; returns their verdicts and what came out.
fn run(config: LinkConfig, count: u64) -> (Vec<Verdict>, Vec<u64>) {
    let mut link = link(config);
    let mut verdicts = Vec::new();
    let mut out = Vec::new();
    for number in 0..count {
        let now = Nanos::from_millis(number);
        out.extend(drain(&mut link, now));
        verdicts.push(link.input(now, numbered(0, number, 100)));
    }
    out.extend(drain(&mut link, Nanos::MAX));
    assert_eq!(link.stats().queued, 0);
    (verdicts, out.into_iter().map(|(_, number)| number).collect())
}

#[test]
fn rules_choose_by_number_size_content_and_function() {
    let set = |text: &str| Condition::Packets(text.parse().unwrap());
    let drop = |conditions| LinkConfig { rules: rule(conditions, Action::Drop), ..clean() };
    assert_eq!(run(drop(vec![set("2,5-6")]), 8).1, [0, 2, 3, 6, 7]);
    assert_eq!(run(drop(vec![Condition::Every(3.try_into().unwrap())]), 7).1, [0, 1, 3, 4, 6]);
    let late = vec![Condition::Time(Nanos::from_millis(3), Nanos::from_millis(5)), set("1-4")];
    assert_eq!(run(drop(late), 6).1, [0, 1, 2, 4, 5]);
    let odd = Predicate::new(|packet| packet.ordinal.0 % 2 == 1);
    assert_eq!(run(drop(vec![Condition::Predicate(odd)]), 6).1, [0, 2, 4]);

    let mut sized = link(drop(vec![Condition::Size(100, 200)])).with_bytes();
    let verdicts = [99, 100, 200, 201].map(|size| sized.input(MS, bytes(0, vec![0; size])));
    assert_eq!(verdicts.map(|verdict| verdict.is_delivered()), [true, false, false, true]);

    let hello = Condition::Payload(None, b"ell".as_slice().into());
    let mut content = link(drop(vec![hello])).with_bytes();
    assert!(!content.input(MS, bytes(0, b"hello".to_vec())).is_delivered());
    assert!(content.input(MS, bytes(0, b"help!".to_vec())).is_delivered());
    let at = Condition::Payload(Some(1), b"e".as_slice().into());
    let mut content = link(drop(vec![at, Condition::Flow(FlowOrdinal(1))])).with_bytes();
    assert!(content.input(MS, bytes(0, b"hello".to_vec())).is_delivered(), "another flow");
    let verdict = content.input(MS, bytes(1, b"hello".to_vec()));
    assert_eq!(verdict.dropped, Some(DropReason::Rule));
    assert!(content.input(MS, bytes(1, vec![])).is_delivered(), "too short to match");
}

fn clean() -> LinkConfig {
    LinkConfig::default()
}

#[test]
fn rules_can_do_what_models_do_and_exempt_from_them() {
    let third = || vec![Condition::Packets("3".parse().unwrap())];
    let with = |action, config: LinkConfig| LinkConfig { rules: rule(third(), action), ..config };
    assert_eq!(run(with(Action::Duplicate, clean()), 4).1, [0, 1, 2, 2, 3]);
    assert_eq!(run(with(Action::Reorder, clean()), 7).1, [0, 1, 3, 4, 5, 2, 6]);
    let lossy = LinkConfig { loss: "100%".parse().unwrap(), ..clean() };
    assert_eq!(run(with(Action::Pass, lossy), 5).1, [2]);
}

#[test]
fn losses_by_list_step_and_trace() {
    let lossy = |text: &str| LinkConfig { loss: text.parse().unwrap(), ..clean() };
    assert_eq!(run(lossy("list 1,4-5"), 6).1, [1, 2, 5]);
    assert_eq!(run(lossy("every 2"), 5).1, [0, 2, 4]);
    assert_eq!(run(lossy("trace 0110"), 9).1, [0, 3, 4, 7, 8]);
    for (text, word) in [("trace 01x", "\"x\""), ("every 0", "\"0\""), ("lost 5%", "\"lost\"")] {
        let error = text.parse::<Loss>().unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
    for text in ["gemodel 0% 0%", "state 60% 10% 0% 0% 60%", "state 1% 60% 60%"] {
        let error = text.parse::<Loss>().unwrap_err().to_string();
        assert!(error.contains("zero") || error.contains("at most 100%"), "{text}: {error}");
    }
}

#[test]
fn nothing_comes_through_a_blackhole() {
    let blackhole: Blackhole = "2ms-4ms, every 10ms for 1ms from 10ms".parse().unwrap();
    let (verdicts, out) = run(LinkConfig { blackhole, ..clean() }, 22);
    let gone: Vec<u64> = (0..22).filter(|number| !out.contains(number)).collect();
    assert_eq!(gone, [2, 3, 10, 20]);
    assert_eq!(verdicts[2].dropped, Some(DropReason::Blackhole));
    for text in ["4ms-2ms", "every 1s for 2s", "5s", "every 1s"] {
        assert!(text.parse::<Blackhole>().is_err(), "{text}");
    }
}

#[test]
fn corruption_flips_exactly_the_bits_it_says() {
    let corrupt: Corrupt = "100% bits 1".parse().unwrap();
    let mut one = link(LinkConfig { corrupt, ..clean() }).with_bytes();
    let mut places = std::collections::BTreeSet::new();
    for _ in 0..2000 {
        one.input(MS, bytes(0, vec![0xA5; 4]));
        let out = one.poll(MS).unwrap().payload;
        let flipped = out.iter().map(|byte| (byte ^ 0xA5).count_ones()).sum::<u32>();
        assert_eq!(flipped, 1);
        places.insert(out);
    }
    assert_eq!(places.len(), 32, "every bit is reached");
    assert!(one.input(MS, bytes(0, vec![])).effects.is_empty(), "nothing to corrupt");
    assert_eq!(one.stats().corrupted, 2000);
    // An opaque payload stays as it is; the verdict says what would have happened.
    let (verdicts, out) = run(LinkConfig { corrupt, ..clean() }, 3);
    assert!(verdicts.iter().all(|verdict| verdict.effects.contains(Effects::CORRUPT)));
    assert_eq!(out, [0, 1, 2]);
}

#[test]
fn a_copy_is_as_corrupt_as_its_original() {
    let config = LinkConfig {
        corrupt: "100% bits 5".parse().unwrap(),
        duplicate: "100%".parse().unwrap(),
        ..clean()
    };
    let mut link = link(config).with_bytes();
    link.input(MS, bytes(0, vec![0; 100]));
    let both = [link.poll(MS).unwrap().payload, link.poll(MS).unwrap().payload];
    assert_eq!(both[0], both[1]);
    assert_ne!(both[0], vec![0; 100]);
}

#[test]
fn truncation_and_mtu_work_on_sizes() {
    let truncate: Truncate = "100% to 100B".parse().unwrap();
    let mtu = Some(Bytes::new(1000));
    let mut cut = link(LinkConfig { truncate, mtu, ..clean() }).with_bytes();
    let verdict = cut.input(MS, bytes(0, vec![1; 1500]));
    assert!(verdict.effects.contains(Effects::TRUNCATE), "and so it fits the mtu");
    let packet = cut.poll(MS).unwrap();
    assert_eq!((packet.size_bytes, packet.payload.len()), (100, 100));
    assert!(cut.input(MS, bytes(0, vec![1; 100])).effects.is_empty(), "short enough");
    let mut whole = link(LinkConfig { mtu, ..clean() });
    assert!(whole.input(MS, numbered(0, 0, 1000)).is_delivered());
    assert_eq!(whole.input(MS, numbered(0, 1, 1001)).dropped, Some(DropReason::Mtu));
    assert!(cut.stats().is_balanced() && whole.stats().is_balanced());
}

#[test]
fn ecn_marks_what_can_be_marked_and_nothing_else() {
    let ecn: EcnMarking = "100%".parse().unwrap();
    let capable = || Packet {
        flow: FlowOrdinal(0),
        size_bytes: 100,
        payload: Capable { bytes: vec![0; 100], is_marked: false },
    };
    let mut marking = link(LinkConfig { ecn, ..clean() }).with_bytes();
    marking.input(MS, capable());
    assert!(marking.poll(MS).unwrap().payload.is_marked);
    assert_eq!(marking.stats().ecn_marked, 1);
    // In place of a loss.
    let instead =
        LinkConfig { loss: "100%".parse().unwrap(), ecn: "on-loss".parse().unwrap(), ..clean() };
    let mut marking = link(instead.clone()).with_bytes();
    assert!(marking.input(MS, capable()).effects.contains(Effects::MARK));
    let mut deaf = link(instead).with_bytes();
    assert_eq!(deaf.input(MS, bytes(0, vec![1])).dropped, Some(DropReason::Loss));
}

#[test]
fn tc_netem_leaves_one_copy_of_what_is_both_lost_and_duplicated() {
    let config =
        LinkConfig { loss: "100%".parse().unwrap(), duplicate: "100%".parse().unwrap(), ..clean() };
    assert!(run(config.clone(), 3).1.is_empty());
    let tc = LinkConfig { semantics: Semantics::TcNetem, ..config };
    assert_eq!(run(tc, 3).1, [0, 1, 2]);
}

#[test]
fn ahead_leaves_at_once_and_the_gap_is_kept() {
    let config = LinkConfig {
        delay: "10ms".parse().unwrap(),
        reorder: "100% gap 5 ahead".parse().unwrap(),
        ..clean()
    };
    let (verdicts, out) = run(config, 15);
    let ahead: Vec<usize> =
        (0..15).filter(|&number| verdicts[number].effects.contains(Effects::AHEAD)).collect();
    assert_eq!(ahead, [4, 9, 14], "each fifth, as tc-netem(8) says of gap 5");
    assert_eq!(&out[..4], [4, 9, 0, 1], "they come before those that wait for 10 ms");
    // Held back with a gap: only each fifth can be chosen.
    let reorder: Reorder = "100% gap 5 distance 1".parse().unwrap();
    assert_eq!(run(LinkConfig { reorder, ..clean() }, 11).1, [0, 1, 2, 3, 5, 4, 6, 7, 8, 10, 9]);
}

#[test]
fn unordered_jitter_reorders_and_a_trace_is_followed() {
    let jitter: Delay = "20ms 10ms unordered".parse().unwrap();
    let (_, out) = run(LinkConfig { delay: jitter, ..clean() }, 200);
    assert!(!out.is_sorted());
    let trace = Delay::traced("5ms\n# later\n1ms\n".parse().unwrap());
    let (verdicts, _) = run(LinkConfig { delay: trace, ..clean() }, 4);
    let delays: Vec<u64> = verdicts.iter().map(|verdict| verdict.delay.as_micros()).collect();
    assert_eq!(delays, [5000, 1000, 5000, 1000]);
}

#[test]
fn a_user_table_is_followed() {
    use netem::impair::{DelayTable, Distribution};
    let table: DelayTable = "-8192 # one sigma early\n4096 4096".parse().unwrap();
    let delay: Delay = "20ms 4ms".parse().unwrap();
    let delay = delay.with_distribution(Distribution::Table(table)).unwrap();
    let (verdicts, _) = run(LinkConfig { delay, ..clean() }, 3000);
    let early = verdicts.iter().filter(|verdict| verdict.delay == Nanos::from_millis(16)).count();
    let late = verdicts.iter().filter(|verdict| verdict.delay == Nanos::from_millis(22)).count();
    assert_eq!(early + late, 3000);
    // Binomial with p = 1/3: 1000 +- 4 * 25.8.
    assert!((900..=1100).contains(&early), "{early}");
}

/// 1 Mbit/s: a packet of 1250 bytes takes 10 ms.
fn slow(queue: &str) -> LinkConfig {
    let (rate, queue) = (Some("1mbit".parse().unwrap()), queue.parse().unwrap());
    LinkConfig { rate, queue, ..clean() }
}

#[test]
fn packets_leave_one_after_the_other() {
    let mut link = link(LinkConfig { delay: "5ms".parse().unwrap(), ..slow("droptail 10") });
    for number in 0..3 {
        link.input(Nanos::ZERO, numbered(0, number, 1250));
    }
    let at = Nanos::from_millis;
    assert_eq!(drain(&mut link, Nanos::MAX), [(at(15), 0), (at(25), 1), (at(35), 2)]);
    link.input(at(100), numbered(0, 3, 1250));
    assert_eq!(drain(&mut link, Nanos::MAX), [(at(115), 3)], "an idle wire starts at once");
}

#[test]
fn the_tail_or_the_head_is_dropped_when_the_queue_is_full() {
    let fates = |queue: &str| {
        let mut link = link(slow(queue));
        let verdicts: Vec<Verdict> =
            (0..6).map(|number| link.input(Nanos::ZERO, numbered(0, number, 1250))).collect();
        let mut dropped = Vec::new();
        let mut out = Vec::new();
        while let Some(time) = link.next_deadline() {
            match link.poll_outcome(time) {
                Some(Outcome::Delivered(packet)) => out.push(packet.payload),
                Some(Outcome::Dropped(packet, reason)) => dropped.push((packet.payload, reason)),
                None => {}
            }
            assert!(link.stats().is_balanced());
        }
        let refused = verdicts.iter().filter(|verdict| !verdict.is_delivered()).count();
        (out, dropped, refused)
    };
    let head = DropReason::HeadDrop;
    // The first is on the wire at once, the others wait.
    assert_eq!(fates("droptail 3"), (vec![0, 1, 2, 3], vec![], 2));
    assert_eq!(fates("drophead 3"), (vec![0, 3, 4, 5], vec![(1, head), (2, head)], 0));
    assert_eq!(fates("droptail 2500B"), (vec![0, 1, 2], vec![], 3));
    assert_eq!(fates("drophead 1000B"), (vec![], vec![], 6), "no packet fits at all");
}

#[test]
fn overhead_and_cells_take_their_time() {
    let rate: netem::impair::Rate = "1mbit overhead 10 cell 48 5".parse().unwrap();
    // 100 + 10 bytes are three cells of 53.
    assert_eq!(rate.wire_bytes(100), 159);
    assert_eq!("1mbit overhead -14".parse::<netem::impair::Rate>().unwrap().wire_bytes(10), 0);
}

#[test]
fn a_mahimahi_trace_is_followed() {
    use netem::impair::{Rate, RateTrace};
    // Two chances at 4 ms, one at 10 ms; then again at 14, 14, 20.
    let trace: RateTrace = "4\n4\n10\n".parse().unwrap();
    let rate = Rate::traced(trace);
    let mut link = link(LinkConfig { rate: Some(rate), ..clean() });
    for number in 0..4 {
        link.input(Nanos::ZERO, numbered(0, number, 1504));
    }
    let at = Nanos::from_millis;
    assert_eq!(drain(&mut link, at(15)), [(at(4), 0), (at(4), 1), (at(10), 2), (at(14), 3)]);
    // The second chance at 14 ms is gone; a packet of 1504 + 1 bytes needs 20 ms and 24 ms, and
    // the rest of that last chance carries the next one.
    link.input(at(16), numbered(0, 4, 1505));
    link.input(at(16), numbered(0, 5, 1503));
    assert_eq!(drain(&mut link, at(1000)), [(at(24), 4), (at(24), 5)]);
    let rate = Rate::traced("0\n4\n".parse().unwrap());
    let mut link = self::link(LinkConfig { rate: Some(rate), ..clean() });
    for number in 0..4 {
        link.input(Nanos::ZERO, numbered(0, number, 1504));
    }
    // The end of a round, 4 ms, is the beginning of the next.
    let times: Vec<Nanos> = drain(&mut link, Nanos::MAX).into_iter().map(|out| out.0).collect();
    assert_eq!(times, [at(0), at(4), at(4), at(8)]);
    for text in ["", "0\n0\n", "5\n4\n", "x"] {
        assert!(text.parse::<RateTrace>().is_err(), "{text:?}");
    }
}

/// A constant overload of 1.25 times the rate: CoDel keeps the delay near its target where a long
/// drop-tail queue only grows.
#[test]
fn codel_keeps_the_delay_short() {
    let waits = |queue: &str| {
        let rate = Some("10mbit".parse().unwrap());
        let queue: Queue = queue.parse().unwrap();
        let mut link = link(LinkConfig { rate, queue, ..clean() });
        let mut waits = Vec::new();
        for number in 0..60_000u64 {
            // 1250 bytes take 1 ms on the wire; one comes every 0.8 ms.
            let now = Nanos::from_micros(800 * number);
            for (time, sent) in drain(&mut link, now) {
                waits.push((time - Nanos::from_micros(800 * sent)).as_micros() as f64 / 1e3);
            }
            link.input(now, numbered(0, number, 1250));
        }
        let last = &waits[waits.len() * 9 / 10..];
        let stats = *link.stats();
        assert!(stats.is_balanced());
        (last.iter().sum::<f64>() / last.len() as f64, stats)
    };
    let (tail_ms, stats) = waits("droptail 1000");
    assert!(tail_ms > 900.0, "{tail_ms}");
    assert!(stats.dropped(DropReason::TailDrop) > 0);
    let (codel_ms, stats) = waits("codel limit 1000");
    // The flow does not respond, so CoDel's drop rate has to climb again and again.
    assert!(codel_ms < tail_ms / 4.0, "{codel_ms} and {tail_ms}");
    assert!(stats.dropped(DropReason::CoDel) > 1000, "{stats:?}");
    assert_eq!(stats.dropped(DropReason::TailDrop), 0);
}

#[test]
fn codel_marks_instead_where_it_can() {
    let mut link = link(slow("codel ecn")).with_bytes();
    for _ in 0..200 {
        let payload = Capable { bytes: vec![0; 1250], is_marked: false };
        link.input(Nanos::ZERO, Packet { flow: FlowOrdinal(0), size_bytes: 1250, payload });
    }
    let out = drain(&mut link, Nanos::MAX);
    let marked = out.iter().filter(|(_, payload)| payload.is_marked).count() as u64;
    assert_eq!((out.len(), link.stats().dropped_total()), (200, 0));
    assert!(marked > 5 && link.stats().ecn_marked == marked, "{marked}");
    let logged = link.log().decisions().iter();
    let logged = logged.filter(|line| line.verdict.effects.contains(Effects::MARK)).count();
    assert_eq!(logged as u64, marked, "the log says so too");
}

#[test]
fn a_forgotten_flow_still_comes_off_the_wire() {
    let mut link = link(slow("droptail 10"));
    link.input(Nanos::ZERO, numbered(3, 0, 1250));
    link.input(Nanos::ZERO, numbered(3, 1, 1250));
    link.forget_flow(FlowOrdinal(3));
    assert_eq!(drain(&mut link, Nanos::MAX).len(), 2);
    link.input(Nanos::from_secs(1), numbered(3, 2, 1250));
    link.set_config(clean());
    assert_eq!(drain(&mut link, Nanos::MAX).len(), 1, "a rate that is taken away frees the queue");
}
