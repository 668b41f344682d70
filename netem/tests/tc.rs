//! tc-netem option strings: read as tc reads them, refused with the column.

use netem::impair::{Delay, Loss};
use netem::link::Semantics;
use netem::tc::parse;
use netem::{LinkConfig, Nanos, Seed};

fn config(text: &str) -> LinkConfig {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).config
}

#[test]
fn the_examples_of_the_manual_are_read() {
    for text in [
        "delay 100ms",
        "delay 100ms 10ms",
        "delay 100ms 10ms 25%",
        "delay 100ms 20ms distribution normal",
        "loss 0.1%",
        "loss random 0.3% 25%",
        "loss gemodel 1% 10% 70% 0.1%",
        "loss state 1% 30% 5% 50% 0.1% ecn",
        "duplicate 1%",
        "corrupt 0.1% 10%",
        "gap 5 delay 10ms",
        "delay 10ms reorder 25% 50%",
        "delay 10ms reorder 25% 50% gap 5",
        "rate 5kbit 20 100 5",
        "rate 1gbit -14",
        "limit 50 delay 1s loss 5 seed 77",
        "tc qdisc add dev eth0 root netem delay 100ms 20ms distribution paretonormal",
        "sudo tc qdisc change dev eth0 root handle 1: netem loss 10%",
    ] {
        config(text);
    }
}

#[test]
fn words_mean_what_they_mean_to_tc() {
    assert_eq!(config("delay 1500").delay, Delay::constant(Nanos::from_micros(1500)));
    assert_eq!(config("delay 2sec").delay.time(), Nanos::from_secs(2));
    assert_eq!(config("delay 20usecs").delay.time(), Nanos::from_micros(20));
    assert_eq!(config("loss 5").loss, "5%".parse().unwrap());
    assert_eq!(config("loss gemodel 10%").loss, "gemodel 10% 90% 100% 0%".parse().unwrap());
    assert_eq!(config("loss state 10%").loss, "state 10% 90% 0% 100% 0%".parse().unwrap());
    assert_eq!(config("drop random 1% 25%").loss, "1% 25%".parse::<Loss>().unwrap());
    let bits =
        |text: &str| config(text).rate.and_then(|rate| rate.bit_rate()).unwrap().bits_per_second();
    assert_eq!(bits("rate 1Mbit"), 1_000_000);
    assert_eq!(bits("rate 1mbps"), 8_000_000, "bytes");
    assert_eq!(bits("rate 9600"), 9600);
    assert_eq!(
        config("rate 1mbit 10 48 5").rate,
        Some("1mbit overhead 10 cell 48 5".parse().unwrap())
    );
    let tc = parse("delay 10ms 2ms seed 7").unwrap();
    assert_eq!(tc.seed, Some(Seed(7)));
    assert_eq!((tc.config.limit_packets, tc.config.semantics), (1000, Semantics::TcNetem));
    assert!(tc.config.delay.is_unordered(), "jitter reorders in tc-netem");
    assert_eq!(config("delay 1ms 5ms").delay.jitter(), Nanos::from_millis(5), "tc allows it");
    assert_eq!(config("gap 5 delay 10ms").reorder.to_string(), "100% gap 5 ahead");
    assert_eq!(config("delay 1ms reorder 25% 50%").reorder.to_string(), "25% 50% ahead");
    assert!(config("loss 1% ecn").ecn.on_loss);
    assert_eq!(
        config(""),
        LinkConfig { limit_packets: 1000, semantics: Semantics::TcNetem, ..LinkConfig::default() }
    );
}

#[test]
fn what_is_wrong_is_said_with_its_column() {
    for (text, message) in [
        ("delay", "column 6: delay needs a time"),
        ("delay fast", "column 7: delay: \"fast\" is not a number with a unit"),
        ("delay 10ms lsos 1%", "column 12: unknown option \"lsos\" (did you mean \"loss\"?)"),
        ("loss 120%", "column 6: loss: 120% is out of range"),
        ("loss 1% loss 2%", "loss: it is there twice: leave one out"),
        ("loss gemodel 0 0", "p and r are both zero"),
        ("delay 10ms distribution normal", "distribution: it shapes the jitter"),
        ("delay 10ms 1ms distribution bell", "column 29: distribution: unexpected word \"bell\""),
        ("reorder 25%", "reorder: it lets packets go ahead of delayed ones"),
        ("ecn", "ecn: it marks what would be lost"),
        ("slot 10ms", "slot: slots are not emulated"),
        ("rate 0bit", "column 6: rate: 0bit is out of range"),
        ("rate 1mbit 0 -5", "column 14: rate: cell"),
        ("limit many", "column 7: limit: \"many\" is not a number"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}
