//! Bytes and text from outside: a committed corpus, and seeded mutations of it.

mod support;

use std::fmt::Display;
use std::str::FromStr;

use netem::impair::{
    Blackhole, Chance, Corrupt, Delay, DelayTable, DelayTrace, Duplicate, EcnMarking, Loss,
    LossTrace, PacketSet, Queue, Rate, RateTrace, Reorder, Truncate,
};
use netem::log::parse_log;
use netem::scenario::Scenario;
use netem::{BitRate, Bytes, Direction, FlowOrdinal, Link, LinkConfig, Nanos, Packet, Probability};
use netem::{Seed, tc};
use support::fuzz::corpus_and_mutations;

/// Whatever parses is written so that it parses to the same value.
fn check_text(bytes: &[u8]) {
    fn round_trip<T: FromStr + Display + PartialEq>(text: &str) {
        if let Ok(value) = text.parse::<T>() {
            let again = value.to_string().parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{text:?} became {value}");
        }
    }
    let text = String::from_utf8_lossy(bytes);
    round_trip::<Nanos>(&text);
    round_trip::<Probability>(&text);
    round_trip::<Loss>(&text);
    round_trip::<Duplicate>(&text);
    round_trip::<Delay>(&text);
    round_trip::<Reorder>(&text);
    round_trip::<BitRate>(&text);
    round_trip::<Bytes>(&text);
    round_trip::<Blackhole>(&text);
    round_trip::<Chance>(&text);
    round_trip::<Corrupt>(&text);
    round_trip::<EcnMarking>(&text);
    round_trip::<PacketSet>(&text);
    round_trip::<Queue>(&text);
    round_trip::<Rate>(&text);
    round_trip::<Truncate>(&text);
}

/// What a text configures can be used: packets come out, and all are accounted for.
fn check_link(config: LinkConfig) {
    let mut link = Link::new(Direction::Up, config, Seed(7)).with_bytes();
    for number in 0..20u64 {
        let payload = vec![number as u8; 50 * number as usize];
        let size_bytes = payload.len() as u32;
        let now = Nanos::from_micros(700 * number);
        link.input(now, Packet { flow: FlowOrdinal(0), size_bytes, payload });
        while link.poll(now).is_some() {}
    }
    while link.poll(Nanos::MAX).is_some() {}
    assert!(link.stats().is_balanced() && link.stats().queued == 0, "{:?}", link.stats());
}

fn check_tc(bytes: &[u8]) {
    if let Ok(tc) = tc::parse(&String::from_utf8_lossy(bytes)) {
        check_link(tc.config);
    }
}

fn check_scenario(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut open = |name: &str| match name {
        "t" => Ok("1ms\n2ms\n".to_owned()),
        _ => Err("no such file".to_owned()),
    };
    match Scenario::parse(&text, "s.toml", &mut open) {
        Ok(scenario) => {
            check_link(scenario.up);
            check_link(scenario.down);
        }
        Err(error) => {
            let lines = text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&error.line), "{error}");
        }
    }
}

/// What is read as a log is written as a log that reads the same.
fn check_log(bytes: &[u8]) {
    if let Ok(log) = parse_log(&String::from_utf8_lossy(bytes)) {
        let text = log.to_text();
        assert_eq!(parse_log(&text).map(|again| again.to_text()), Ok(text));
    }
}

fn check_trace(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(trace) = text.parse::<RateTrace>() {
        check_link(LinkConfig { rate: Some(Rate::traced(trace)), ..LinkConfig::default() });
    }
    if let Ok(trace) = text.parse::<DelayTrace>() {
        check_link(LinkConfig { delay: Delay::traced(trace), ..LinkConfig::default() });
    }
    if let Ok(trace) = text.parse::<LossTrace>() {
        check_link(LinkConfig { loss: Loss::Trace(trace), ..LinkConfig::default() });
    }
}

fn check_dist(bytes: &[u8]) {
    if let Ok(table) = String::from_utf8_lossy(bytes).parse::<DelayTable>() {
        assert!(!table.entries().is_empty());
    }
}

#[test]
fn quantities_and_impairments() {
    corpus_and_mutations("netem_text", check_text);
}

#[test]
fn tc_strings() {
    corpus_and_mutations("netem_tc", check_tc);
}

#[test]
fn scenarios() {
    corpus_and_mutations("netem_scenario", check_scenario);
}

#[test]
fn logs() {
    corpus_and_mutations("netem_log", check_log);
}

#[test]
fn traces() {
    corpus_and_mutations("netem_trace", check_trace);
}

#[test]
fn tables() {
    corpus_and_mutations("netem_dist", check_dist);
}

#[cfg(all(target_os = "linux", feature = "raw"))]
#[test]
fn frames() {
    corpus_and_mutations("netem_frame", netem::bridge::check_frame);
}
