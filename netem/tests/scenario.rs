//! Scenarios in TOML: what they say is done, what is wrong in them is named with its place.

use netem::impair::{Action, Condition};
use netem::scenario::{Scenario, of_faults};
use netem::timeline::Change;
use netem::{Direction, DropReason, FlowOrdinal, LinkConfig, Nanos, Seed, Simulator};

fn files(name: &str) -> Result<String, String> {
    match name {
        "lte.up" => Ok("1\n1\n5\n".to_owned()),
        "rtt.txt" => Ok("10ms\n20ms\n".to_owned()),
        "my.dist" => Ok("-8192 0 8192".to_owned()),
        "losses.txt" => Ok("0 0 1 # and again".to_owned()),
        "bad.dist" => Ok("one two".to_owned()),
        _ => Err("no such file".to_owned()),
    }
}

fn parse(text: &str) -> Result<Scenario, String> {
    Scenario::parse(text, "s.toml", &mut files).map_err(|error| error.to_string())
}

#[test]
fn a_direction_says_what_differs() {
    let scenario = parse(
        r#"
        version = 1
        seed = 18446744073709551615
        [link]
        profile = "3g"
        loss = "gemodel 1% 20%"
        limit = 500
        [down]
        delay = { time = "40ms", jitter = "5ms", distribution = "normal", correlation = "25%" }
        rate = { mahimahi = "lte.up" }
        queue = "codel target 10ms"
        [up]
        jitter = "300ms"
        distribution = "pareto"
        "#,
    )
    .unwrap();
    assert_eq!(scenario.seed, Some(Seed(u64::MAX)));
    let up = &scenario.up;
    assert_eq!(up.loss, "gemodel 1% 20%".parse().unwrap());
    assert_eq!(up.rate.as_ref().unwrap().to_string(), "768kbit", "of the profile, and up");
    assert_eq!(up.delay.to_string(), "150ms 300ms distribution pareto");
    let down = &scenario.down;
    assert_eq!(down.delay.to_string(), "40ms 5ms 25% distribution normal");
    assert_eq!(down.rate.as_ref().unwrap().to_string(), "trace of 3 chances");
    assert_eq!((up.limit_packets, down.limit_packets), (500, 500));
}

#[test]
fn files_beside_it_are_read() {
    let scenario = parse(
        r#"
        [up]
        delay = { trace = "rtt.txt", unordered = true }
        loss = { trace = "losses.txt" }
        [down]
        delay = { time = "20ms", jitter = "4ms", table = "my.dist" }
        "#,
    )
    .unwrap();
    assert_eq!(scenario.up.delay.to_string(), "trace of 2 packets unordered");
    assert_eq!(scenario.up.loss.to_string(), "trace 001");
    assert_eq!(scenario.down.delay.to_string(), "20ms 4ms distribution table");
}

#[test]
fn tc_strings_stand_alone() {
    let scenario = parse("[link]\ntc = \"delay 100ms 10ms loss 1% 25%\"").unwrap();
    assert_eq!(scenario.up, scenario.down);
    assert_eq!(scenario.up.loss, "1% 25%".parse().unwrap());
}

#[test]
fn rules_are_for_one_direction_or_both() {
    let scenario = parse(
        r#"
        [[rule]]
        direction = "up"
        flow = 0
        packets = "3,7-9"
        action = "drop"
        [[rule]]
        size = "100B-"
        hex = "0aFF"
        offset = 2
        from = "1s"
        until = "2s"
        action = "corrupt"
        [[rule]]
        every = 10
        contains = "hello"
        action = "pass"
        "#,
    )
    .unwrap();
    let [up, down] = [&scenario.up.rules, &scenario.down.rules];
    assert_eq!((up.as_slice().len(), down.as_slice().len()), (3, 2));
    assert_eq!(up.as_slice()[0].action, Action::Drop);
    let conditions = &down.as_slice()[0].conditions;
    assert_eq!(conditions[0], Condition::Size(100, u32::MAX));
    assert_eq!(conditions[1], Condition::Payload(Some(2), [0x0a, 0xff].into()));
    assert_eq!(conditions[2], Condition::Time(Nanos::from_secs(1), Nanos::from_secs(2)));
}

#[test]
fn the_timeline_changes_the_network() {
    let scenario = parse(
        r#"
        [link]
        delay = "10ms"
        [[timeline]]
        at = "8s"
        rebind = true
        [[timeline]]
        at = "2s"
        outage = { for = "500ms", direction = "up" }
        down = { loss = "100%" }
        [[timeline]]
        at = "4s"
        link = { delay = "50ms" }
        down = { loss = "0%" }
        rebind = 3
        "#,
    )
    .unwrap();
    let times: Vec<u64> =
        scenario.timeline.changes().map(|(at, _)| at.as_nanos() / 1_000_000_000).collect();
    assert_eq!(times, [2, 4, 4, 4, 8]);
    let mut sim: Simulator<[u8; 1]> = Simulator::of_scenario(&scenario, Seed(7));
    let flow = FlowOrdinal(0);
    let (mut arrivals, mut rebinds) = (Vec::new(), Vec::new());
    for tick in 0..20u64 {
        // Ten times a second and a half.
        let now = Nanos::from_millis(500 * tick);
        while let Some(arrival) = sim.advance(now) {
            arrivals.push((arrival.direction, arrival.payload[0], arrival.time));
        }
        rebinds.extend(std::iter::from_fn(|| sim.poll_rebind()));
        for direction in Direction::BOTH {
            sim.send(direction, flow, [tick as u8]);
        }
    }
    while let Some(arrival) = sim.advance(Nanos::MAX) {
        arrivals.push((arrival.direction, arrival.payload[0], arrival.time));
    }
    let seconds = Nanos::from_secs;
    assert_eq!(rebinds, [(seconds(4), Some(FlowOrdinal(3))), (seconds(8), None)]);
    let (up, down) = (sim.stats(Direction::Up), sim.stats(Direction::Down));
    assert_eq!((up.dropped(DropReason::Blackhole), up.dropped_total()), (1, 1), "at 2 s only");
    assert_eq!(down.dropped(DropReason::Loss), 4, "from 2 s to before 4 s");
    let delay = |tick: u8| {
        let up =
            |arrival: &&(Direction, u8, Nanos)| (arrival.0, arrival.1) == (Direction::Up, tick);
        arrivals.iter().find(up).unwrap().2 - Nanos::from_millis(500 * u64::from(tick))
    };
    assert_eq!((delay(7), delay(8)), (Nanos::from_millis(10), Nanos::from_millis(50)));
}

#[test]
fn changes_keep_what_holds_from_the_start() {
    let scenario = parse(
        "[[rule]]\npackets = \"1\"\naction = \"drop\"\n\
         [[timeline]]\nat = \"1s\"\nup = { loss = \"5%\" }\noutage = \"1s\"\n",
    )
    .unwrap();
    let Some((_, Change::Configure(Direction::Up, config))) = scenario.timeline.changes().next()
    else {
        panic!("{:?}", scenario.timeline)
    };
    assert_eq!(config.rules, scenario.up.rules);
    assert_eq!(config.blackhole, scenario.up.blackhole);
    assert!(config.blackhole.is_down(Nanos::from_millis(1500)));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, message) in [
        ("[up]\nlsos = \"1%\"", "s.toml:2:1: unknown key \"lsos\" (did you mean \"loss\"?)"),
        ("[upp]", "s.toml:1:2: unknown key \"upp\" (did you mean \"up\"?)"),
        ("  [link]\n  loss = \"120%\"", "s.toml:2:10: loss: 120% is out of range"),
        ("[link]\nloss = 0.1", "s.toml:2:8: loss: expected a string"),
        ("[link\n", "s.toml:1:6: not TOML: "),
        ("version = 2", "s.toml:1:11: version: expected 1"),
        ("seed = -1", "s.toml:1:8: seed: expected a number"),
        (
            "[up]\nprofile = \"wify\"",
            "s.toml:2:11: unknown profile \"wify\" (did you mean \"wifi\"?)",
        ),
        ("[up]\ntc = \"dealy 1ms\"", "s.toml:2:6: tc: column 1: unknown option \"dealy\""),
        ("[up]\ntc = \"loss 1%\"\nloss = \"1%\"", "s.toml:3:8: tc says all about a direction"),
        ("[up]\ntc = \"loss 1% seed 3\"", "s.toml:2:6: the seed is for both directions"),
        ("[up]\nqueue = \"codel\"", "s.toml:2:9: queue: it waits in front of a limited rate"),
        ("[up]\nreorder = \"5% ahead\"", "s.toml:2:11: reorder: to go ahead of delayed packets"),
        ("[up]\necn = \"on-loss\"", "s.toml:2:7: ecn: it marks what would be lost"),
        ("[up]\ndelay = \"5ms\"\njitter = \"6ms\"", "s.toml:3:10: jitter: jitter 6ms is more than"),
        ("[up]\ndelay = \"5ms\"\ndistribution = \"normal\"", "distribution: it shapes the jitter"),
        ("[up]\nloss = \"gemodel 0% 0%\"", "s.toml:2:8: loss: gemodel 0% 0%: p and r are both"),
        ("[up]\nmtu = \"0B\"", "s.toml:2:7: mtu: no packet is that small"),
        ("[up]\nlimit = 0", "s.toml:2:9: limit: expected a number of packets"),
        ("[up]\ndelay = { trace = \"none\" }", "s.toml:2:19: cannot be read: none: no such file"),
        ("[up]\ndelay = { trace = \"rtt.txt\", time = \"1ms\" }", "a trace says every delay"),
        ("[up]\ndelay = { time = \"9ms\", table = \"bad.dist\" }", "unexpected word \"one\""),
        ("[up]\nloss = { tracee = \"x\" }", "s.toml:2:10: unknown key \"tracee\""),
        ("[up]\nrate = {}", "s.toml:2:8: the key \"mahimahi\" is missing here"),
        ("[[rule]]\npackets = \"3\"", "s.toml:1:1: the key \"action\" is missing here"),
        (
            "[[rule]]\naction = \"dorp\"",
            "s.toml:2:10: unknown key \"dorp\" (did you mean \"drop\"?)",
        ),
        ("[[rule]]\npackets = \"0\"\naction = \"drop\"", "s.toml:2:11: packets: unexpected word"),
        ("[[rule]]\noffset = 3\naction = \"drop\"", "s.toml:2:1: an offset says where"),
        ("[[rule]]\nhex = \"0\"\naction = \"drop\"", "s.toml:2:7: hex: expected pairs"),
        ("[[rule]]\ndirection = \"left\"\naction = \"drop\"", "s.toml:2:13: direction: expected"),
        ("[rule]\naction = \"drop\"", "rule: expected tables: write [[...]]"),
        ("[[timeline]]\nrebind = true", "s.toml:1:1: the key \"at\" is missing here"),
        ("[[timeline]]\nat = \"5\"", "s.toml:2:6: at: \"5\" has no unit"),
        ("[[timeline]]\nat = \"5s\"\noutage = {}", "s.toml:3:10: the key \"for\" is missing here"),
        ("[[timeline]]\nat = \"5s\"\nup = { los = \"1%\" }", "s.toml:3:8: unknown key \"los\""),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(message), "{text}\n{error}");
    }
}

#[test]
fn a_file_is_found_beside_the_scenario() {
    let folder = std::env::temp_dir().join(format!("netem-scenario-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("s.toml");
    std::fs::write(folder.join("t.txt"), "7ms\n").unwrap();
    std::fs::write(&path, "[up]\ndelay = { trace = \"t.txt\" }\n").unwrap();
    let scenario = Scenario::load(&path);
    let missing = Scenario::load(&folder.join("none.toml")).unwrap_err().to_string();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(scenario.unwrap().up.delay.to_string(), "trace of 1 packets");
    assert!(missing.contains("none.toml:1:1: cannot be read: "), "{missing}");
}

#[test]
fn faults_become_a_scenario_that_commits_them() {
    use netem::fault::{Fault, single_faults};
    let flow = FlowOrdinal(0);
    let drops = single_faults(Direction::Up, flow, Action::Drop, 5).filter(|f| f.ordinal.0 != 2);
    let doubles = single_faults(Direction::Down, flow, Action::Duplicate, 1);
    let faults: Vec<Fault> = drops.chain(doubles).collect();
    let text = of_faults(&faults, Seed(7), None);
    let scenario = parse(&text).unwrap();
    assert_eq!(scenario.seed, Some(Seed(7)));
    for direction in Direction::BOTH {
        let config = Fault::config(&faults, direction, &LinkConfig::default());
        assert_eq!(scenario.of(direction), &config);
    }
    assert!(text.contains("packets = \"1-2,4-5\""), "{text}");
}
