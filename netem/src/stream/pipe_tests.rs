//! Tests of one direction of a stream, in virtual time.

use super::*;
use crate::impair::Delay;
use proptest::prelude::*;

const IDENTITY: Identity =
    Identity { seed: Seed(7), direction: Direction::Up, flow: FlowOrdinal(0) };

/// Feeds `chunks` at time zero and drains; returns (time, bytes) of each piece.
fn pieces(shape: &StreamShape, chunks: &[&[u8]]) -> Vec<(Nanos, Vec<u8>)> {
    let (mut pipe, mut stats, mut out) = (Pipe::new(IDENTITY), LinkStats::default(), Vec::new());
    for chunk in chunks {
        pipe.input(Nanos::ZERO, shape, chunk, &mut stats);
    }
    while let Some(now) = pipe.next_deadline() {
        let piece = pipe.due(now)[0].to_vec();
        pipe.consume(piece.len(), &mut stats);
        out.push((now, piece));
    }
    assert!(stats.is_balanced() && stats.queued == 0, "{stats:?}");
    out
}

#[test]
fn a_rate_is_kept_and_a_slice_waits() {
    let rate = StreamShape { rate: Some("8mbit".parse().unwrap()), ..StreamShape::default() };
    let last = pieces(&rate, &[&[0; 100_000]]).pop().unwrap().0;
    assert_eq!(last, Nanos::from_millis(100));

    let slice = StreamShape { slice: Some("100B 5ms".parse().unwrap()), ..StreamShape::default() };
    let pieces = pieces(&slice, &[&[0; 250]]);
    let sizes: Vec<_> =
        pieces.iter().map(|(time, bytes)| (time.as_micros(), bytes.len())).collect();
    assert_eq!(sizes, [(0, 100), (5_000, 100), (10_000, 50)]);
    assert!("0B".parse::<super::super::Slice>().is_err());
}

#[test]
fn the_end_comes_after_the_last_byte_and_later_if_slow() {
    let delay = Delay::constant(Nanos::from_millis(20));
    let slow_close = Nanos::from_millis(100);
    let shape = StreamShape { delay, slow_close, ..StreamShape::default() };
    let (mut pipe, mut stats) = (Pipe::new(IDENTITY), LinkStats::default());
    pipe.input(Nanos::ZERO, &shape, b"bye", &mut stats);
    pipe.finish(Nanos::from_millis(1), &shape);
    assert_eq!(pipe.room(&shape), 0);
    assert_eq!(pipe.next_deadline(), Some(Nanos::from_millis(20)));
    pipe.consume(3, &mut stats);
    assert!(!pipe.is_done(Nanos::from_millis(120)));
    assert_eq!(pipe.next_deadline(), Some(Nanos::from_millis(121)));
    assert!(pipe.is_done(Nanos::from_millis(121)));
}

#[test]
fn a_limit_and_a_timeout_let_nothing_more_pass() {
    let limit = StreamShape { limit: Some("10B".parse().unwrap()), ..StreamShape::default() };
    let (mut pipe, mut stats) = (Pipe::new(IDENTITY), LinkStats::default());
    assert_eq!(pipe.room(&limit), 10);
    pipe.input(Nanos::ZERO, &limit, &[0; 10], &mut stats);
    assert!(pipe.is_at_limit(&limit) && pipe.room(&limit) == 0);

    let timeout = StreamShape { timeout: Some(Nanos::ZERO), ..StreamShape::default() };
    assert_eq!(pieces(&timeout, &[b"lost"]), []);
}

#[test]
fn a_pipe_of_tiny_pieces_is_bounded_and_a_break_comes_in_its_turn() {
    let shape = StreamShape {
        delay: Delay::constant(Nanos::from_secs(1)),
        slice: Some("1B".parse().unwrap()),
        ..StreamShape::default()
    };
    let (mut pipe, mut stats) = (Pipe::new(IDENTITY), LinkStats::default());
    while pipe.room(&shape) > 0 {
        let room = pipe.room(&shape).min(50_000);
        pipe.input(Nanos::ZERO, &shape, &vec![0; room], &mut stats);
    }
    assert!(stats.queued <= PIPE_PIECES_MAX as u64, "{stats:?}");
    pipe.break_off(Nanos::ZERO);
    assert!(!pipe.is_reset(Nanos::from_secs(1)), "the bytes come first");
    while !pipe.is_empty() {
        let count = pipe.due(Nanos::from_secs(1)).len();
        pipe.consume(count, &mut stats);
    }
    assert!(pipe.is_reset(Nanos::from_secs(1)) && stats.is_balanced());
}

proptest! {
    /// However the system cuts a stream, the pieces are due at the same times.
    #[test]
    fn times_do_not_depend_on_how_bytes_come_in(
        length in 1usize..6000, cuts in prop::collection::vec(0usize..6000, 0..6),
    ) {
        let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let shape = StreamShape {
            delay: "50ms 20ms".parse().unwrap(),
            rate: Some("100mbit".parse().unwrap()),
            slice: Some("700B 1ms".parse().unwrap()),
            ..StreamShape::default()
        };
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(length)).collect();
        cuts.extend([0, length]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
        let (whole, parts) = (pieces(&shape, &[&bytes]), pieces(&shape, &chunks));
        let join = |pieces: &[(Nanos, Vec<u8>)]| {
            pieces.iter().flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<u8>>()
        };
        prop_assert_eq!(join(&whole), bytes.clone());
        prop_assert_eq!(join(&parts), bytes);
        prop_assert_eq!(whole.last().map(|last| last.0), parts.last().map(|last| last.0));
    }
}
