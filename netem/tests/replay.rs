//! Logs that are read back, replays that repeat them, faults one by one, and shrinking.

use std::sync::Arc;

use netem::fault::{Fault, fault_pairs, single_faults};
use netem::impair::Action;
use netem::log::{ParsedLog, parse_log};
use netem::replay::Replay;
use netem::shrink::shrink;
use netem::{Direction, DropReason, FlowOrdinal, LinkConfig, Nanos, Seed, Simulator};

/// What came out: when, which way, what.
type Arrivals = Vec<(Nanos, Direction, Vec<u8>)>;

fn harsh() -> LinkConfig {
    LinkConfig {
        loss: "10% 30%".parse().unwrap(),
        corrupt: "5%".parse().unwrap(),
        truncate: "5% to 20B".parse().unwrap(),
        duplicate: "10%".parse().unwrap(),
        delay: "20ms 5ms distribution pareto".parse().unwrap(),
        reorder: "5% distance 2".parse().unwrap(),
        ..LinkConfig::default()
    }
}

fn bounded(queue: &str) -> LinkConfig {
    let (rate, queue) = (Some("400kbit".parse().unwrap()), queue.parse().unwrap());
    LinkConfig { rate, queue, ..harsh() }
}

fn packets() -> Vec<(Nanos, Direction, FlowOrdinal, Vec<u8>)> {
    (0..600u64)
        .map(|number| {
            let direction = Direction::BOTH[(number % 2) as usize];
            let flow = FlowOrdinal((number / 2 % 3) as u32);
            let payload = number.to_be_bytes().repeat(1 + (number % 17) as usize);
            (Nanos::from_micros(700 * number), direction, flow, payload)
        })
        .collect()
}

fn run(up: LinkConfig, down: LinkConfig) -> (Simulator<Vec<u8>>, Arrivals) {
    let mut sim = Simulator::new(Seed(7), up, down).with_bytes();
    let mut arrivals = Vec::new();
    let collect = |sim: &mut Simulator<Vec<u8>>, until, arrivals: &mut Arrivals| {
        while let Some(arrival) = sim.advance(until) {
            arrivals.push((arrival.time, arrival.direction, arrival.payload));
        }
    };
    for (time, direction, flow, payload) in packets() {
        collect(&mut sim, time, &mut arrivals);
        sim.send(direction, flow, payload);
    }
    collect(&mut sim, Nanos::MAX, &mut arrivals);
    (sim, arrivals)
}

fn replaying(log: &ParsedLog, direction: Direction, base: &LinkConfig) -> LinkConfig {
    LinkConfig { replay: Some(Arc::new(Replay::from(log.of(direction)))), ..base.clone() }
}

#[test]
fn a_replay_repeats_everything_exactly() {
    for config in [
        harsh(),
        bounded("droptail 20"),
        bounded("drophead 20"),
        bounded("codel target 5ms interval 20ms"),
    ] {
        let (first, arrivals) = run(config.clone(), config.clone());
        let text = first.log_text();
        let log = parse_log(&text).unwrap();
        assert_eq!(log.to_text(), text, "what is read is what was written");
        let [up, down] = Direction::BOTH.map(|way| replaying(&log, way, &config));
        let (second, again) = run(up, down);
        assert_eq!(second.log_text(), text);
        assert_eq!(again, arrivals, "the same bytes at the same times");
        for way in Direction::BOTH {
            assert_eq!(second.link(way).divergence(), None);
        }
    }
}

#[test]
fn a_hundred_runs_take_the_same_decisions() {
    let config = bounded("codel target 5ms interval 20ms");
    let (first, arrivals) = run(config.clone(), harsh());
    let text = first.log_text();
    for _ in 1..100 {
        let (again, out) = run(config.clone(), harsh());
        assert!(again.log_text() == text && out == arrivals);
    }
}

#[test]
fn a_replay_without_the_models_takes_the_same_decisions() {
    let (first, _) = run(harsh(), harsh());
    let log = parse_log(&first.log_text()).unwrap();
    let [up, down] = Direction::BOTH.map(|way| replaying(&log, way, &LinkConfig::default()));
    let (second, _) = run(up, down);
    assert_eq!(second.log_text(), first.log_text(), "the log is all that is needed");
}

#[test]
fn the_first_divergence_is_named() {
    let (first, _) = run(harsh(), harsh());
    let text = first.log_text();
    let tampered: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix("up 1 17 ") {
            Some(rest) => {
                let (_, rest) = rest.split_once(' ').unwrap();
                format!("up 1 17 1200 {rest}")
            }
            None => line.to_owned(),
        })
        .filter(|line| !line.starts_with("down 2 90 "))
        .collect();
    let log = parse_log(&(tampered.join("\n") + "\n")).unwrap();
    let [up, down] = Direction::BOTH.map(|way| replaying(&log, way, &LinkConfig::default()));
    let (second, _) = run(up, down);
    let said = |way| second.link(way).divergence().unwrap().to_string();
    let up = said(Direction::Up);
    assert!(up.starts_with("replay diverged at up flow 1 #17: "), "{up}");
    assert!(up.ends_with("the log has 1200"), "{up}");
    let down = said(Direction::Down);
    assert!(down.starts_with("replay diverged at down flow 2 #90: "), "{down}");
    assert!(down.ends_with("the log has no such packet"), "{down}");
}

#[test]
fn a_text_that_is_no_log_is_refused_with_its_line() {
    let head = "# netem decision log v1, generator philox4x32-10/v1, seed 7\n";
    for (text, message) in [
        (String::new(), "line 1: not a decision log"),
        ("up 0 0 1 deliver - 0\n".to_owned(), "line 1: not a decision log"),
        (head.replace("v1,", "v9,"), "line 1: not a decision log"),
        (head.to_owned() + "sideways 0 0 1 deliver - 0", "line 2: direction \"sideways\""),
        (head.to_owned() + "up x 0 1 deliver - 0", "line 2: flow \"x\": expected a number"),
        (head.to_owned() + "\n\nup 0 0 1 drop fun 0", "line 4: reason \"fun\""),
        (head.to_owned() + "up 0 0 1 lose - 0", "line 2: verdict \"lose\""),
        (head.to_owned() + "up 0 0 1 deliver - 0 0", "line 2: end of line \"0\""),
        (head.to_owned() + "up 0 0 1 deliver", "line 2: reason \"\""),
    ] {
        let error = parse_log(&text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}

/// The bug: whoever loses packet 3 of flow 0 on the way up and gets packet 5 of flow 1 twice on
/// the way down, fails.
fn fails(log: &ParsedLog) -> bool {
    let [up, down] = Direction::BOTH.map(|way| replaying(log, way, &LinkConfig::default()));
    let (sim, _) = run(up, down);
    let decided = |way: Direction, flow, ordinal| {
        let log = sim.link(way).log().decisions().to_vec();
        log.into_iter()
            .find(|line| (line.flow.0, line.verdict.ordinal.0) == (flow, ordinal))
            .map(|line| line.verdict)
            .unwrap()
    };
    let lost = decided(Direction::Up, 0, 3).dropped == Some(DropReason::Loss);
    lost && decided(Direction::Down, 1, 5).effects.contains(netem::Effects::DUPLICATE)
}

#[test]
fn two_planted_faults_are_found_among_the_decisions_of_a_run() {
    // A run with about 500 faults, two of which are the bug.
    let config = LinkConfig {
        loss: "45%".parse().unwrap(),
        duplicate: "45%".parse().unwrap(),
        reorder: "45%".parse().unwrap(),
        ..LinkConfig::default()
    };
    let (sim, _) = run(config.clone(), config);
    let mut lines: Vec<String> = sim.log_text().lines().map(str::to_owned).collect();
    for line in &mut lines {
        if line.starts_with("up 0 3 ") {
            *line = "up 0 3 24 drop loss 0".to_owned();
        }
        if line.starts_with("down 1 5 ") {
            *line = "down 1 5 144 deliver duplicate 0".to_owned();
        }
    }
    // Sizes as the run sends them.
    let mut log = parse_log(&(lines.join("\n") + "\n")).unwrap();
    let sizes = parse_log(&sim.log_text()).unwrap();
    log = resize(log, &sizes);
    let faults = Fault::all_of(&log);
    assert!(faults.len() > 450, "{}", faults.len());
    let shrunk = shrink(&faults, 60, |set| fails(&log.with_only(set))).unwrap();
    let words: Vec<String> = shrunk.faults.iter().map(Fault::to_string).collect();
    assert_eq!(words, ["drop up flow 0 #3", "duplicate down flow 1 #5"]);
    assert!(shrunk.is_minimal && shrunk.runs <= 60, "{} runs", shrunk.runs);
    // As rules on a clean link the two fail just the same.
    let rules = |way| Fault::config(&shrunk.faults, way, &LinkConfig::default());
    let (sim, _) = run(rules(Direction::Up), rules(Direction::Down));
    let (up, down) = (sim.stats(Direction::Up), sim.stats(Direction::Down));
    assert_eq!((up.dropped(DropReason::Rule), up.dropped_total()), (1, 1));
    assert_eq!((down.duplicated, down.dropped_total()), (1, 0));
}

/// `log` with the sizes of `sizes`, by way of its text.
fn resize(log: ParsedLog, sizes: &ParsedLog) -> ParsedLog {
    let size = |line: &str| -> Option<String> {
        let mut words = line.split(' ');
        let way = words.next()?;
        let way = Direction::BOTH.into_iter().find(|known| known.as_str() == way)?;
        let (flow, ordinal): (u32, u64) =
            (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let rest: Vec<&str> = words.skip(1).collect();
        let known = sizes.of(way).decisions().iter();
        let same = known.filter(|d| (d.flow.0, d.verdict.ordinal.0) == (flow, ordinal));
        let bytes = same.map(|decision| decision.size_bytes).next()?;
        Some(format!("{way} {flow} {ordinal} {bytes} {}", rest.join(" ")))
    };
    let text = log.to_text();
    let lines = text.lines().map(|line| size(line).unwrap_or_else(|| line.to_owned()));
    parse_log(&(lines.collect::<Vec<_>>().join("\n") + "\n")).unwrap()
}

#[test]
fn shrinking_knows_its_limits() {
    let faults: Vec<u32> = (0..500).collect();
    assert_eq!(shrink(&faults, 60, |_| false), None, "it does not fail at all");
    let nothing = shrink(&faults, 60, |_| true).unwrap();
    assert!(nothing.faults.is_empty() && nothing.is_minimal && nothing.runs == 2);
    let hurried = shrink(&faults, 5, |set| set.contains(&3) && set.contains(&400)).unwrap();
    assert!(!hurried.is_minimal && hurried.faults.contains(&400) && hurried.runs == 5);
    // Every pair among 500 in at most 60 runs: the ends, neighbours, and a spread.
    let mut most = 0;
    for (one, other) in
        (0..500).step_by(7).flat_map(|a| (a + 1..500).step_by(31).map(move |b| (a, b)))
    {
        let shrunk = shrink(&faults, 60, |set| set.contains(&one) && set.contains(&other)).unwrap();
        assert_eq!(shrunk.faults, [one, other]);
        assert!(shrunk.is_minimal);
        most = most.max(shrunk.runs);
    }
    assert!(most <= 30, "{most} runs");
    // A fault that mends what another breaks misleads bisection; the result is minimal anyway.
    let mended = |set: &[u32]| {
        set.contains(&10) && (!set.contains(&20) || set.contains(&300) || set.len() > 450)
    };
    let shrunk = shrink(&faults, 200, mended).unwrap();
    assert!(mended(&shrunk.faults) && shrunk.is_minimal, "{shrunk:?}");
    assert_eq!(shrunk.faults, [10]);
}

#[test]
fn single_faults_are_tried_one_by_one() {
    let flow = FlowOrdinal(0);
    let faults: Vec<Fault> = single_faults(Direction::Up, flow, Action::Drop, 40).collect();
    let mut missing = Vec::new();
    for fault in faults {
        let config = Fault::config(&[fault], Direction::Up, &LinkConfig::default());
        let mut sim = Simulator::new(Seed(7), config, LinkConfig::default());
        let verdicts = (0..40u8).map(|number| sim.send(Direction::Up, flow, [number]));
        let lost = verdicts.collect::<Vec<_>>();
        let lost: Vec<usize> = (0..40).filter(|&n| !lost[n].is_delivered()).collect();
        assert_eq!(lost.len(), 1);
        missing.extend(lost);
    }
    assert_eq!(missing, (0..40).collect::<Vec<_>>());
    let pairs = fault_pairs(Direction::Down, flow, Action::Duplicate, 10).count();
    assert_eq!(pairs, 45);
}
