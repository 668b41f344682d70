//! What the detector says about every kind of arrival.

use proptest::prelude::*;

use super::*;

fn peer(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 1_000))
}

fn hear(detector: &mut SequenceDetector, from: u8, seq: u32, text: &str) -> Arrival {
    let datagram = SequencedText { seq: Serial::new(seq), text }.compose();
    detector.handle_datagram(Micros::ZERO, peer(from), &datagram).unwrap().1
}

#[test]
fn losses_late_ones_and_duplicates_are_told_apart() {
    let mut detector = SequenceDetector::new();
    let arrivals: Vec<_> = [0, 1, 4, 3, 3, 1, 5]
        .iter()
        .map(|&seq| hear(&mut detector, 1, seq, &seq.to_string()))
        .collect();
    use Arrival::{Duplicate, Gap, InOrder, Late};
    assert_eq!(arrivals, [InOrder, InOrder, Gap(2), Late, Duplicate, Duplicate, InOrder]);
    let stats = detector.stats();
    assert_eq!((stats.received, stats.lost, stats.late, stats.duplicates), (5, 1, 1, 2));
    assert_eq!(detector.expected(), Serial::new(6));
}

#[test]
fn a_lost_beginning_counts_but_joining_midway_does_not() {
    let mut detector = SequenceDetector::new();
    assert_eq!(hear(&mut detector, 1, 2, "x"), Arrival::Gap(2));
    assert_eq!(hear(&mut detector, 2, 1_000_000, "x"), Arrival::InOrder);
    assert_eq!(detector.stats().lost, 2);
}

#[test]
fn numbers_wrap_around() {
    let mut detector = SequenceDetector::new();
    let start = u32::MAX - 2;
    for step in [0, 1, 2, 4, 3, 5_u32] {
        hear(&mut detector, 1, start.wrapping_add(step), &step.to_string());
    }
    let stats = detector.stats();
    assert_eq!((stats.lost, stats.late, stats.restarts), (0, 1, 0));
    assert_eq!(detector.expected(), Serial::new(3));
}

#[test]
fn every_peer_has_its_own_stream() {
    let mut detector = SequenceDetector::new();
    for seq in 0..10 {
        assert_eq!(hear(&mut detector, 1, seq, "same"), Arrival::InOrder);
        assert_eq!(hear(&mut detector, 2, seq, "same"), Arrival::InOrder);
    }
    assert_eq!(detector.peers().count(), 2);
}

#[test]
fn a_restarted_peer_is_heard_and_counted_once() {
    let mut detector = SequenceDetector::new();
    for seq in 0..10 {
        hear(&mut detector, 1, seq, &format!("first life {seq}"));
    }
    for seq in 0..10 {
        let arrival = hear(&mut detector, 1, seq, &format!("second life {seq}"));
        let expected = if seq == 0 { Arrival::Restarted } else { Arrival::InOrder };
        assert_eq!(arrival, expected);
    }
    let stats = detector.stats();
    assert_eq!((stats.received, stats.restarts, stats.lost), (20, 1, 0));
}

#[test]
fn what_is_not_the_format_is_an_error_and_counted() {
    let mut detector = SequenceDetector::new();
    assert!(detector.handle_datagram(Micros::ZERO, peer(1), b"abc").is_err());
    assert!(detector.handle_datagram(Micros::ZERO, peer(1), b"\0\0\0\0\xff").is_err());
    assert_eq!((detector.malformed(), detector.peers().count()), (2, 0));
}

proptest! {
    /// Whatever is dropped, doubled and shuffled within a window: each message is delivered once,
    /// and in the end `lost` is what really did not come.
    #[test]
    fn the_books_balance(
        start: u32,
        fates in prop::collection::vec((0_usize..3, 0_usize..8), 1..200),
    ) {
        let mut wire: Vec<(usize, u32)> = Vec::new();
        for (n, &(copies, delay)) in fates.iter().enumerate() {
            wire.extend(std::iter::repeat_n((n + delay, n as u32), copies));
        }
        // The first message arrives first, so that the detector knows the start.
        wire.retain(|&(_, n)| n != 0);
        wire.push((0, 0));
        wire.sort_unstable();
        let start = start.max(MAX_DROPOUT + 1);
        let mut detector = SequenceDetector::new();
        for &(_, n) in &wire {
            hear(&mut detector, 1, start.wrapping_add(n), &n.to_string());
        }
        let mut arrived: Vec<u32> = wire.iter().map(|&(_, n)| n).collect();
        arrived.sort_unstable();
        arrived.dedup();
        let span = u64::from(*arrived.last().unwrap()) + 1;
        let stats = detector.stats();
        prop_assert_eq!(stats.received, arrived.len() as u64);
        prop_assert_eq!(stats.lost, span - stats.received);
        prop_assert_eq!(stats.duplicates, (wire.len() - arrived.len()) as u64);
        prop_assert_eq!(stats.restarts, 0);
    }
}
