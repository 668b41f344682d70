//! How fast packets leave: a window over a round trip, in bounded bursts; NewReno from slow start
//! through one reduction a round; few acknowledgements for large windows, no loss noticed later.

#[path = "support/transport/mod.rs"]
mod support;

use netem::LinkConfig;
use support::bulk::link;
use support::pipe::Pipe;
use udpcore::transport::{Config, Congestion, Micros, SendOptions, Time, TraceEvent};

const BATCH: u64 = 200;

/// A busy sender for a span; the trace of the client.
fn busy(pipe: &mut Pipe, span: Micros) -> Vec<(Time, TraceEvent)> {
    let (end, mut trace) = (pipe.now() + span, Vec::new());
    while pipe.now() < end {
        while pipe.stats().messages_pending < BATCH
            && pipe.send(vec![0; 16_384], SendOptions::default()).is_ok()
        {}
        pipe.step(end);
        while pipe.recv().is_some() {}
        trace.extend(pipe.take_trace());
    }
    trace
}

fn traced(congestion: Congestion) -> Config {
    Config { congestion, trace: true, ..Config::default() }
}

#[test]
fn bursts_are_bounded_and_the_rate_is_five_quarters_of_a_window_a_round_trip() {
    // A path so long that a window is sent in a small part of the round trip, were it not paced.
    let link = LinkConfig { delay: "100ms".parse().expect("a delay"), ..LinkConfig::default() };
    let mut pipe = Pipe::new(1, &link, &traced(Congestion::NewReno));
    let trace = busy(&mut pipe, Micros::from_secs(3));
    let (mut srtt, mut slow_start, mut cwnd) = (Micros::from_ms(200), true, 0);
    // In any 20 ms: one burst, and what the rate yields; twice the window a round in slow start.
    let span = Micros::from_ms(20);
    let mut recent: Vec<(Time, u64)> = Vec::new();
    let mut checked = 0;
    for (at, event) in trace {
        match event {
            TraceEvent::Metrics { srtt: now, ssthresh, .. } => {
                srtt = now;
                slow_start = ssthresh.is_none();
            }
            TraceEvent::Sent {
                size, cwnd: window, ack_eliciting: true, is_probe: false, ..
            } => {
                cwnd = window;
                recent.push((at, size.into()));
                recent.retain(|(sent, _)| at.since(*sent) < span);
                let bytes: u64 = recent.iter().map(|(_, size)| size).sum();
                let gain = if slow_start { 2.0 } else { 1.25 };
                let rate = cwnd as f64 * gain / srtt.as_secs_f64();
                let burst = (rate * 0.002).max(10.0 * 1452.0);
                let most = burst + rate * span.as_secs_f64() + 1452.0;
                assert!(bytes as f64 <= most, "{at:?}: {bytes} bytes in 20 ms, not {most}");
                checked += 1;
            }
            _ => {}
        }
    }
    assert!(checked > 1000 && cwnd > 200_000, "{checked} packets, window {cwnd}");
}

/// The window after each acknowledgement, with the losses between.
fn windows(trace: &[(Time, TraceEvent)]) -> Vec<(Time, u64)> {
    let metrics = trace.iter().filter_map(|(at, event)| match event {
        TraceEvent::Metrics { cwnd, .. } => Some((*at, *cwnd)),
        _ => None,
    });
    metrics.collect()
}

#[test]
fn new_reno_doubles_halves_once_a_round_and_grows_by_a_datagram_a_round() {
    let mut pipe = Pipe::new(3, &link(0, 50), &traced(Congestion::NewReno));
    let trace = busy(&mut pipe, Micros::from_secs(20));
    let steps: Vec<_> = windows(&trace).windows(2).map(|pair| (pair[0], pair[1])).collect();
    // Slow start: more than doubled in two round trips.
    let early = steps.iter().filter(|((at, _), _)| at.0 < 250_000).map(|(_, (_, cwnd))| *cwnd);
    assert!(early.max() >= Some(4 * 12_000), "no slow start");
    let falls: Vec<_> = steps.iter().filter(|((_, a), (_, b))| b < a).collect();
    assert!(falls.len() >= 3, "{} reductions", falls.len());
    for ((_, from), (_, to)) in &falls {
        // An acknowledgement, of a sixteenth, may let it grow before its losses are found.
        let half = *from as f64 / 2.0;
        let grown = half / 16.0 + 2.0 * 1452.0;
        assert!((half - 1.0..=half + grown).contains(&(*to as f64)), "{from} to {to}");
    }
    let apart = falls.windows(2).map(|pair| pair[1].1.0.since(pair[0].1.0));
    assert!(apart.min() >= Some(Micros::from_ms(50)), "two reductions within a round trip");
    // Between reductions: about one datagram a round trip, which the queue makes 50 to 100 ms long.
    let (first, last) = (falls[1].1, falls[2].0);
    let rounds = last.0.since(first.0).as_secs_f64() / 0.075;
    let grown = (last.1 - first.1) as f64 / 1452.0;
    assert!((0.5..2.0).contains(&(grown / rounds)), "{grown} datagrams in {rounds} rounds");
    assert_eq!(pipe.stats().congestion_events, falls.len() as u64);
}

#[test]
fn after_silence_the_window_begins_at_the_bottom() {
    for congestion in [Congestion::NewReno, Congestion::Cubic, Congestion::Bbr] {
        let mut pipe = Pipe::new(3, &link(0, 50), &traced(congestion));
        busy(&mut pipe, Micros::from_secs(5));
        let before = pipe.stats().cwnd;
        // Nothing passes for longer than three probe timeouts, then all does.
        pipe.limit_datagrams(0);
        busy(&mut pipe, Micros::from_secs(3));
        pipe.limit_datagrams(usize::MAX);
        let trace = busy(&mut pipe, Micros::from_secs(5));
        let least = windows(&trace).into_iter().map(|(_, cwnd)| cwnd).min();
        // RFC 9002 §7.6.2: kMinimumWindow is two datagrams.
        assert!(least <= Some(2 * 1452), "{congestion:?}: {least:?} from {before}");
        assert!(pipe.stats().cwnd > 10 * 1452, "{congestion:?}: it recovers");
    }
}

/// Acknowledgements of the server for each hundred packets of the client.
fn acks_percent(pipe: &Pipe) -> u64 {
    pipe.server_stats().datagrams_sent * 100 / pipe.stats().datagrams_sent
}

#[test]
fn large_windows_are_acknowledged_seldom_and_small_ones_as_ever() {
    let fast = LinkConfig {
        delay: "20ms".parse().expect("a delay"),
        rate: Some("200mbit".parse().expect("a rate")),
        queue: "droptail 700".parse().expect("a queue"),
        ..LinkConfig::default()
    };
    let mut large = Pipe::new(5, &fast, &Config::default());
    busy(&mut large, Micros::from_secs(5));
    let (stats, percent) = (large.stats(), acks_percent(&large));
    assert!(percent <= 8, "{percent} % at a window of {}", stats.cwnd);
    assert!(large.server_stats().messages_delivered * 16_384 * 8 / 5 > 150_000_000, "{stats:?}");
    let mut small = Pipe::new(5, &link(0, 1), &Config::default());
    busy(&mut small, Micros::from_secs(5));
    let percent = acks_percent(&small);
    assert!((45..=60).contains(&percent), "{percent} % at {}", small.stats().cwnd);
}

/// How long it takes from the loss of a packet to the notice, for flights of 60 packets that end in
/// silence, with losses; the longest of all.
fn slowest_notice(seed: u64) -> Micros {
    let path = LinkConfig {
        delay: "50ms".parse().expect("a delay"),
        loss: "2%".parse().expect("a loss"),
        ..LinkConfig::default()
    };
    let clean = LinkConfig { loss: "0%".parse().expect("a loss"), ..path.clone() };
    let mut pipe = Pipe::between(seed, [&path, &clean], &traced(Congestion::Cubic));
    let mut trace = Vec::new();
    for _ in 0..60 {
        pipe.send(vec![0; 60 * 1300], SendOptions::default()).expect("room");
        pipe.run(Micros::from_ms(700));
        while pipe.recv().is_some() {}
        trace.extend(pipe.take_trace());
    }
    let mut sent = std::collections::BTreeMap::new();
    let mut slowest = Micros::ZERO;
    for (at, event) in trace {
        match event {
            TraceEvent::Sent { number, .. } => drop(sent.insert(number, at)),
            TraceEvent::Lost { number } => slowest = slowest.max(at.since(sent[&number])),
            _ => {}
        }
    }
    slowest
}

#[test]
fn a_loss_is_noticed_as_soon_when_acknowledgements_are_few() {
    for seed in 0..5 {
        let slowest = slowest_notice(seed);
        // In the middle of a flight a round trip and an eighth, behind it a probe timeout later;
        // an acknowledgement held back would come on top of it.
        assert!(slowest > Micros::ZERO, "seed {seed}: nothing was lost");
        assert!(slowest < Micros::from_ms(100 * 17 / 8 + 60), "seed {seed}: {slowest:?}");
    }
}
