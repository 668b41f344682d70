//! The size of datagrams: the search goes up to what the path carries, a black hole is left, and
//! the loss of a probe is no sign of congestion.

#[path = "support/transport/mod.rs"]
mod support;

use netem::LinkConfig;
use support::pipe::Pipe;
use udpcore::transport::{Config, Micros, SendOptions, TraceEvent};

fn pipe(datagram_len_max: usize) -> Pipe {
    let link = LinkConfig { delay: "20ms".parse().expect("a delay"), ..LinkConfig::default() };
    let mut pipe = Pipe::new(1, &link, &Config { trace: true, ..Config::default() });
    pipe.limit_datagrams(datagram_len_max);
    pipe
}

/// Something to send all the time, for a span; returns how many bytes arrived.
fn busy(pipe: &mut Pipe, span: Micros) -> usize {
    let (end, mut bytes) = (pipe.now() + span, 0);
    while pipe.now() < end {
        while pipe.stats().messages_pending < 20
            && pipe.send(vec![0; 16_000], SendOptions::default()).is_ok()
        {}
        pipe.step(end);
        bytes += std::iter::from_fn(|| pipe.recv()).map(|message| message.len()).sum::<usize>();
    }
    bytes
}

#[test]
fn the_search_finds_what_the_path_carries_and_its_losses_are_no_congestion() {
    for path in [1200, 1260, 1333, 1400, 1452] {
        let mut pipe = pipe(path);
        busy(&mut pipe, Micros::from_secs(5));
        let stats = pipe.stats();
        let found = usize::from(stats.mtu);
        assert!(found <= path && found + 16 >= path, "{found} of {path}");
        assert_eq!(stats.congestion_events, 0, "{path}: {stats:?}");
        assert_eq!((stats.bytes_retransmitted, stats.probes), (0, 0), "{path}: {stats:?}");
        assert_eq!(stats.packets_lost > 0, path < 1437, "only probes are lost: {stats:?}");
        let trace = pipe.take_trace();
        let windows = trace.iter().filter_map(|(_, event)| match event {
            TraceEvent::Metrics { cwnd, .. } => Some(*cwnd),
            _ => None,
        });
        assert!(windows.is_sorted(), "{path}: the window fell");
    }
}

#[test]
fn a_path_that_begins_to_swallow_long_datagrams_is_left_and_searched_again() {
    let mut pipe = pipe(1452);
    busy(&mut pipe, Micros::from_secs(3));
    assert_eq!(pipe.stats().mtu, 1452);
    pipe.limit_datagrams(1300);
    let before = pipe.take_trace().len();
    assert!(before > 0);
    let bytes = busy(&mut pipe, Micros::from_secs(20));
    let fell = pipe.take_trace().into_iter().find_map(|(at, event)| match event {
        TraceEvent::Mtu(1200) => Some(at),
        _ => None,
    });
    let fell = fell.expect("it falls back to what every path carries");
    assert!(fell.0 < 3_000_000 + 2_000_000, "only at {fell:?}");
    let found = pipe.stats().mtu;
    assert!((1284..=1300).contains(&found), "searched again: {found}");
    assert!(bytes > 1_000_000, "{bytes} bytes in 20 s");
}
