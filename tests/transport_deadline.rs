//! Deadlines on a lossy path: with FEC nearly everything is in time, and nothing is ever late.

#[path = "support/transport/mod.rs"]
mod support;

use support::live::{Live, play};
use udpcore::transport::{Fec, Micros};

/// At least this share of the messages is on time with FEC at 5 % loss, in percent.
const ON_TIME_MIN: f64 = 97.0;

/// Message length, messages a second, round trip in ms: streams that a fair share carries. What
/// asks for more than the congestion window allows is late with and without repair.
const STREAMS: [(usize, u64, u64); 7] = [
    (200, 60, 50),
    (200, 40, 100),
    (200, 60, 100),
    (200, 20, 200),
    (200, 40, 200),
    (200, 60, 200),
    (3_000, 10, 20),
];

#[test]
fn with_fec_messages_are_on_time_where_a_retransmission_would_be_late() {
    let mut failures = Vec::new();
    for (len, per_second, rtt_ms) in STREAMS {
        let live = |fec| Live {
            len,
            per_second,
            fec,
            one_way: Micros::from_ms(rtt_ms / 2),
            deadline: Micros::from_ms(rtt_ms / 2 + 30),
            loss_percent: 5,
            span: Micros::from_secs(60),
        };
        let with = play(1, &live(Fec::Auto));
        let without = play(1, &live(Fec::Off));
        eprintln!(
            "{len} B at {per_second}/s, {rtt_ms} ms: on time {:.2} % with FEC ({:.2}x bytes), \
             {:.2} % without",
            with.on_time_percent(),
            with.bytes_sent as f64 / without.bytes_sent as f64,
            without.on_time_percent(),
        );
        assert_eq!((with.late, without.late), (0, 0), "delivered late");
        if with.on_time_percent() < ON_TIME_MIN || with.on_time < without.on_time {
            failures.push((len, per_second, rtt_ms));
        }
    }
    assert_eq!(failures, [], "too many late");
}

#[test]
fn what_cannot_arrive_in_time_is_not_sent() {
    let live = Live {
        len: 1000,
        per_second: 50,
        fec: Fec::Auto,
        one_way: Micros::from_ms(50),
        deadline: Micros::from_ms(40),
        loss_percent: 0,
        span: Micros::from_secs(10),
    };
    let outcome = play(1, &live);
    assert_eq!((outcome.sent, outcome.on_time, outcome.late), (500, 0, 0));
    // The handshake and the search for the datagram size, not half a megabyte.
    assert!(outcome.bytes_sent < 20_000, "{} bytes", outcome.bytes_sent);
}
