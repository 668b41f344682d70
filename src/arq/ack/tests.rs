//! One or two endpoints on a bench: every datagram is handed over, or not, by the test.

use super::*;
use crate::arq::ack_sender::MAX_SPAN;

const MS: Duration = Duration::from_millis(1);

fn addr(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 1_000))
}

fn at(ms: u64) -> Micros {
    Micros::new(ms * 1_000)
}

fn endpoint(first_seq: u32) -> AckEndpoint {
    let first_seq = Serial::new(first_seq);
    AckEndpoint::new(AckConfig { first_seq, events: true, ..AckConfig::default() })
}

fn send(from: &mut AckEndpoint, now: Micros, to: u8, payload: &[u8]) -> Serial {
    from.send(now, addr(to), payload, SendPolicy::default()).unwrap()
}

/// Hands everything `from` has to transmit to `to`; returns how many datagrams that was.
fn deliver(now: Micros, from: &mut AckEndpoint, from_addr: u8, to: &mut AckEndpoint) -> usize {
    let mut count = 0;
    while let Some(transmit) = from.poll_transmit() {
        to.handle_datagram(now, addr(from_addr), transmit.contents.as_slice());
        count += 1;
    }
    count
}

/// Runs the clock to `until`, throwing every datagram away; returns when something was sent.
fn run_into_the_void(endpoint: &mut AckEndpoint, until: Micros) -> Vec<u64> {
    let mut times = Vec::new();
    while let Some(deadline) = endpoint.poll_timeout().filter(|&deadline| deadline <= until) {
        endpoint.handle_timeout(deadline);
        while endpoint.poll_transmit().is_some() {
            times.push(deadline.get() / 1_000);
        }
    }
    times
}

fn assert_balance(endpoint: &AckEndpoint) {
    let stats = endpoint.stats();
    assert_eq!(stats.sent, stats.acked + stats.failed + endpoint.pending().len() as u64);
}

#[test]
fn a_message_is_delivered_and_acknowledged() {
    let (mut a, mut b) = (endpoint(0), endpoint(0));
    let seq = send(&mut a, at(0), 2, b"hi");
    assert_eq!(a.status(seq), Status::Pending);
    deliver(at(10), &mut a, 1, &mut b);
    assert_eq!(b.receive().unwrap(), Received { from: addr(1), seq, payload: b"hi".to_vec() });
    deliver(at(20), &mut b, 2, &mut a);
    assert_eq!(a.status(seq), Status::Acked);
    assert_eq!(a.srtt(&addr(2)), Some(20 * MS));
    assert_eq!(a.poll_timeout(), None);
    assert_balance(&a);
}

#[test]
fn a_lost_ack_costs_a_repetition_but_no_second_delivery() {
    let (mut a, mut b) = (endpoint(0), endpoint(0));
    send(&mut a, at(0), 2, b"once");
    for round in 0..3 {
        let now = at(round * 1_000);
        a.handle_timeout(now);
        assert_eq!(deliver(now, &mut a, 1, &mut b), 1, "round {round}");
        while round < 2 && b.poll_transmit().is_some() {}
    }
    deliver(at(2_000), &mut b, 2, &mut a);
    assert_eq!(b.receive().unwrap().payload, b"once");
    assert_eq!(b.receive(), None);
    assert_eq!((b.stats().received, b.stats().duplicates, b.stats().acks_sent), (1, 2, 3));
    assert_eq!((a.stats().retransmissions, a.stats().acked), (2, 1));
    // Karn: the message was repeated, its round trip says nothing.
    assert_eq!(a.srtt(&addr(2)), None);
}

#[test]
fn nobody_there_fails_after_the_retries_and_says_so() {
    let mut a = endpoint(7);
    let seq = send(&mut a, at(0), 2, b"anyone?");
    a.poll_transmit();
    assert_eq!(run_into_the_void(&mut a, at(3_999)), [1_000, 2_000, 3_000]);
    assert_eq!(a.status(seq), Status::Pending);
    run_into_the_void(&mut a, at(4_000));
    let failure = Failure { to: addr(2), reason: FailReason::NoAck, retries: 3 };
    assert_eq!(a.status(seq), Status::Failed(failure));
    assert_eq!(a.failures().collect::<Vec<_>>(), [(Serial::new(7), &failure)]);
    assert_eq!(std::iter::from_fn(|| a.poll_event()).last(), Some(Event::Failed(seq, failure)));
    // An ACK that comes after the failure changes nothing.
    a.handle_datagram(at(4_001), addr(2), &compose_ack(seq));
    assert_eq!((a.stats().ack_again, a.stats().acked), (1, 0));
    assert_balance(&a);
}

#[test]
fn a_failure_taken_is_not_taken_for_an_ack_later() {
    let mut a = endpoint(0);
    let seq = send(&mut a, at(0), 2, b"lost");
    run_into_the_void(&mut a, at(10_000));
    assert_eq!(a.take_failures().len(), 1);
    assert_eq!(a.status(seq), Status::Unknown);
    assert_eq!(a.failures().len(), 0);
}

#[test]
fn acks_count_only_from_the_one_who_was_written_to() {
    let mut a = endpoint(0);
    let seq = send(&mut a, at(0), 2, b"x");
    a.handle_datagram(at(1), addr(3), &compose_ack(seq));
    assert_eq!((a.status(seq), a.stats().ack_wrong_peer), (Status::Pending, 1));
    a.handle_datagram(at(1), addr(2), &compose_ack(Serial::new(99)));
    assert_eq!(a.stats().ack_unknown, 1);
    a.handle_datagram(at(1), addr(2), &compose_ack(seq));
    a.handle_datagram(at(2), addr(2), &compose_ack(seq));
    assert_eq!((a.status(seq), a.stats().ack_again), (Status::Acked, 1));
    assert_eq!(a.stats().datagrams(), 4);
}

#[test]
fn garbage_is_counted_by_reason_and_changes_nothing() {
    let mut a = endpoint(0);
    for datagram in [&b""[..], b"\x01ab", b"abc", b"\x03\0\0\0\0", b"\x02\0\0\0\0data"] {
        a.handle_datagram(at(0), addr(9), datagram);
    }
    let stats = a.stats();
    assert_eq!((stats.truncated, stats.unknown_type, stats.ack_with_data), (2, 2, 1));
    assert_eq!((stats.datagrams(), stats.malformed()), (5, 5));
    assert!(a.poll_transmit().is_none() && a.receive().is_none());
}

#[test]
fn numbers_wrap_around_in_both_halves() {
    let (mut a, mut b) = (endpoint(u32::MAX - 2), endpoint(0));
    for n in 0..6_u32 {
        let seq = send(&mut a, at(0), 2, &n.to_be_bytes());
        assert_eq!(seq, Serial::new((u32::MAX - 2).wrapping_add(n)));
    }
    deliver(at(1), &mut a, 1, &mut b);
    deliver(at(2), &mut b, 2, &mut a);
    assert!(a.is_idle());
    assert_eq!((b.stats().received, b.stats().restarted), (6, 0));
    assert_eq!(a.status(Serial::new(u32::MAX - 2)), Status::Acked);
    assert_eq!(a.status(Serial::new(u32::MAX - 3)), Status::Unknown);
    assert_eq!(a.status(Serial::new(2)), Status::Acked);
    assert_eq!(a.status(Serial::new(3)), Status::Unknown);
}

#[test]
fn gaps_are_not_waited_for_and_peers_do_not_mix() {
    let (mut a, mut b, mut c) = (endpoint(0), endpoint(0), endpoint(0));
    for n in 0..10_u8 {
        send(&mut a, at(0), 2 + n % 2, b"same payload to everybody");
    }
    let mut to_b = 0;
    while let Some(transmit) = a.poll_transmit() {
        let target = if transmit.to == addr(2) { &mut b } else { &mut c };
        to_b += u32::from(transmit.to == addr(2));
        target.handle_datagram(at(1), addr(1), transmit.contents.as_slice());
    }
    assert_eq!((to_b, b.queued(), c.queued()), (5, 5, 5));
    // The same number and payload from another peer is another message.
    let datagram = AckDatagram::Data { seq: Serial::new(0), payload: b"x" }.compose();
    b.handle_datagram(at(1), addr(7), &datagram);
    b.handle_datagram(at(1), addr(8), &datagram);
    assert_eq!(b.queued(), 7);
}

#[test]
fn a_restarted_peer_is_delivered_and_counted() {
    let mut b = endpoint(0);
    for life in [b"first ", b"second"] {
        let datagram = AckDatagram::Data { seq: Serial::new(0), payload: life }.compose();
        b.handle_datagram(at(0), addr(1), &datagram);
        b.handle_datagram(at(0), addr(1), &datagram);
    }
    let stats = b.stats();
    assert_eq!((stats.received, stats.restarted, stats.duplicates), (2, 1, 2));
    assert_eq!(stats.acks_sent, 4);
}

#[test]
fn a_full_queue_takes_nothing_and_acknowledges_nothing() {
    let mut b = AckEndpoint::new(AckConfig { max_queued: 2, ..AckConfig::default() });
    let data = |n| AckDatagram::Data { seq: Serial::new(n), payload: b"x" }.compose();
    for n in 0..3 {
        b.handle_datagram(at(0), addr(1), &data(n));
    }
    assert_eq!((b.queued(), b.stats().queue_full, b.stats().acks_sent), (2, 1, 2));
    // What is queued already is acknowledged again even so.
    b.handle_datagram(at(1), addr(1), &data(0));
    assert_eq!((b.stats().duplicates, b.stats().acks_sent), (1, 3));
    b.receive();
    b.handle_datagram(at(2), addr(1), &data(2));
    assert_eq!((b.queued(), b.stats().acks_sent), (2, 4));
}

#[test]
fn the_window_is_bounded_in_messages_and_in_numbers() {
    let mut a = AckEndpoint::new(AckConfig { max_pending: 2, ..AckConfig::default() });
    let policy = SendPolicy::default();
    let first = a.send(at(0), addr(2), b"", policy).unwrap();
    for _ in 1..MAX_SPAN {
        let seq = a.send(at(0), addr(3), b"", policy).unwrap();
        a.poll_transmit();
        a.handle_datagram(at(0), addr(3), &compose_ack(seq));
    }
    assert_eq!(a.pending().len(), 1);
    // The oldest number is too far behind, although there is room for one more message.
    assert_eq!(a.send(at(0), addr(3), b"", policy), Err(SendError::WindowFull));
    a.handle_datagram(at(0), addr(2), &compose_ack(first));
    for _ in 0..2 {
        a.send(at(0), addr(3), b"", policy).unwrap();
    }
    assert_eq!(a.send(at(0), addr(3), b"", policy), Err(SendError::WindowFull));
    assert!(!a.has_room());
}

#[test]
fn a_message_longer_than_a_datagram_is_refused() {
    let mut a = endpoint(0);
    let error = a.send(at(0), addr(2), &[0; 65_503], SendPolicy::default()).unwrap_err();
    assert_eq!(error, SendError::TooLong { len: 65_503 });
    assert_eq!(send(&mut a, at(0), 2, &[0; 65_502]), Serial::new(0));
}

#[test]
fn closing_fails_what_is_pending_and_keeps_what_was_received() {
    let (mut a, mut b) = (endpoint(0), endpoint(0));
    let seq = send(&mut a, at(0), 2, b"x");
    deliver(at(0), &mut a, 1, &mut b);
    a.close();
    assert!(matches!(a.status(seq), Status::Failed(f) if f.reason == FailReason::Closed));
    assert_eq!(a.send(at(1), addr(2), b"", SendPolicy::default()), Err(SendError::Closed));
    deliver(at(1), &mut b, 2, &mut a);
    assert_eq!(a.stats().acked, 0);
    b.close();
    assert_eq!(b.receive().unwrap().payload, b"x");
    assert_balance(&a);
}

#[test]
fn a_measured_path_repeats_sooner() {
    let (mut a, mut b) = (endpoint(0), endpoint(0));
    send(&mut a, at(0), 2, b"measure");
    deliver(at(10), &mut a, 1, &mut b);
    deliver(at(20), &mut b, 2, &mut a);
    send(&mut a, at(100), 2, b"lost");
    a.poll_transmit();
    assert_eq!(run_into_the_void(&mut a, at(5_000)), [300, 2_100, 3_100]);
    assert_eq!(a.stats().failed, 1);
}
