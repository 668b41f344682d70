//! Transfers that lose, double, mix and follow each other.

use proptest::prelude::*;

use super::*;
use crate::fec::transfer_send::datagrams;

fn from(n: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], 1))
}

fn data(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8) ^ seed).collect()
}

fn third(k: usize) -> usize {
    k.div_ceil(3)
}

/// Feeds datagrams of one sender; returns what was completed.
fn feed<'a>(
    receiver: &mut TransferReceiver,
    sent: impl IntoIterator<Item = &'a Vec<u8>>,
) -> Vec<Vec<u8>> {
    sent.into_iter()
        .filter_map(|d| receiver.handle_datagram(Duration::ZERO, from(1), d).unwrap())
        .collect()
}

#[test]
fn nothing_lost_and_the_rest_are_stragglers() {
    let mut receiver = TransferReceiver::new();
    let whole = data(9_500, 1);
    let sent = datagrams(&whole, 1_000, third).unwrap();
    assert_eq!(feed(&mut receiver, &sent), [whole]);
    assert_eq!((receiver.stats().completed, receiver.stats().duplicates), (1, 3));
    assert_eq!((receiver.bytes(), receiver.poll_timeout()), (0, None));
}

#[test]
fn any_m_losses_are_repaired_the_short_last_chunk_too() {
    let whole = data(9_500, 2);
    let sent = datagrams(&whole, 1_000, third).unwrap();
    for first in 0..sent.len() {
        let mut receiver = TransferReceiver::new();
        let lost = |i: usize| (0..4).any(|step| (first + step * 3) % sent.len() == i);
        let there = sent.iter().enumerate().filter(|(i, _)| !lost(*i)).map(|(_, d)| d);
        assert_eq!(feed(&mut receiver, there), std::slice::from_ref(&whole), "from {first}");
        assert_eq!(receiver.stats().corrupt, 0);
    }
}

#[test]
fn empty_tiny_and_odd_data() {
    for len in [0, 1, 2, 999, 1_000, 1_001] {
        let whole = data(len, 3);
        let sent = datagrams(&whole, 1_000, third).unwrap();
        assert_eq!(feed(&mut TransferReceiver::new(), &sent), std::slice::from_ref(&whole));
        // The last datagrams alone: as many as there are source chunks.
        let k = sent.len() - third(len.div_ceil(1_000).max(1));
        let tail = &sent[sent.len() - k..];
        assert_eq!(feed(&mut TransferReceiver::new(), tail), [whole], "{len}");
    }
}

#[test]
fn many_chunks_of_odd_length_over_the_large_field() {
    let whole = data(300 * 33 + 5, 4);
    let sent = datagrams(&whole, 33, third).unwrap();
    let there = sent.iter().skip(100);
    let mut receiver = TransferReceiver::new();
    assert_eq!(feed(&mut receiver, there), [whole]);
    assert_eq!(receiver.stats().repaired, 100);
}

#[test]
fn the_same_data_again_and_other_data_after_it() {
    let mut receiver = TransferReceiver::new();
    let (one, two) = (data(5_000, 1), data(5_000, 2));
    for whole in [&one, &one, &two, &one, &two] {
        let sent = datagrams(whole, 1_000, third).unwrap();
        assert_eq!(feed(&mut receiver, &sent), std::slice::from_ref(whole));
    }
    assert_eq!((receiver.stats().corrupt, receiver.stats().abandoned), (0, 0));
}

#[test]
fn copies_of_the_last_transfer_do_not_spoil_the_next() {
    let (one, two) = (data(5_000, 1), data(5_000, 2));
    let first = datagrams(&one, 1_000, third).unwrap();
    let second = datagrams(&two, 1_000, third).unwrap();
    for copy in 0..first.len() {
        for lost in 0..second.len() {
            let mut receiver = TransferReceiver::new();
            assert_eq!(feed(&mut receiver, &first), std::slice::from_ref(&one));
            assert!(feed(&mut receiver, [&first[copy]]).is_empty());
            // The copy stands where the chunk that is lost should be, too.
            let rest = second.iter().enumerate().filter(|(i, _)| *i != lost).map(|(_, d)| d);
            assert!(feed(&mut receiver, rest) == [two.clone()], "copy {copy} lost {lost}");
        }
    }
}

#[test]
fn a_transfer_that_never_ends_makes_way() {
    let (one, two) = (data(5_000, 1), data(7_000, 2));
    let mut receiver = TransferReceiver::new();
    let first = datagrams(&one, 1_000, third).unwrap();
    assert!(feed(&mut receiver, first.iter().take(3)).is_empty());
    assert_eq!(feed(&mut receiver, &datagrams(&two, 1_000, third).unwrap()), [two]);
    assert_eq!(receiver.stats().abandoned, 1);
}

#[test]
fn a_plain_sender_is_believed_after_a_silence() {
    let mut receiver = TransferReceiver::new();
    let whole = data(2_500, 1);
    let plain = datagrams(&whole, 1_000, |_| 0).unwrap();
    assert!(feed(&mut receiver, plain.iter().rev()).is_empty());
    assert_eq!(receiver.poll_timeout(), Some(QUIET));
    assert_eq!(receiver.handle_timeout(QUIET / 2), None);
    assert_eq!(receiver.handle_timeout(QUIET), Some((from(1), whole)));
    assert_eq!((receiver.poll_timeout(), receiver.bytes()), (None, 0));
}

#[test]
fn data_with_a_wrong_crc_is_never_returned() {
    let whole = data(5_000, 1);
    let mut sent = datagrams(&whole, 1_000, third).unwrap();
    sent[2][100] ^= 1;
    let mut receiver = TransferReceiver::new();
    assert!(feed(&mut receiver, &sent[..6]).is_empty());
    assert_eq!(receiver.stats().corrupt, 1);
}

#[test]
fn memory_is_bounded_by_senders() {
    let mut receiver = TransferReceiver::new();
    let sent = datagrams(&data(5_000, 1), 1_000, third).unwrap();
    for n in 0..2_000_u32 {
        let address = SocketAddr::from((n.to_be_bytes(), 1));
        let now = Duration::from_millis(n.into());
        receiver.handle_datagram(now, address, &sent[0]).unwrap();
        assert!(receiver.senders.len() <= SENDERS_MAX);
    }
    let held: usize =
        receiver.senders.values().filter_map(|s| s.current.as_ref()).map(|t| t.bytes).sum();
    assert_eq!(receiver.bytes(), held);
    assert_eq!(receiver.stats().abandoned as usize, 2_000 - SENDERS_MAX);
}

#[test]
fn what_cannot_be_sent_is_refused_with_words() {
    let error = datagrams(b"x", 0, third).unwrap_err();
    assert_eq!(error.to_string(), "chunk_size must be 1 to 65491, not 0");
    let error = datagrams(&[0; 70_000], 1, third).unwrap_err();
    assert!(error.to_string().contains("use larger chunks"), "{error}");
}

proptest! {
    #[test]
    fn interleaved_senders_do_not_mix(
        lens in prop::collection::vec(0_usize..4_000, 1..6),
        order in prop::collection::vec(any::<u16>(), 200),
        chunk_size in 1_usize..600,
    ) {
        let mut receiver = TransferReceiver::new();
        let wholes: Vec<Vec<u8>> =
            lens.iter().enumerate().map(|(n, &len)| data(len, n as u8)).collect();
        let mut queues: Vec<Vec<Vec<u8>>> = wholes
            .iter()
            .map(|whole| datagrams(whole, chunk_size, third).unwrap())
            .collect();
        let mut done: Vec<Vec<u8>> = vec![Vec::new(); lens.len()];
        let mut turns = order.into_iter().cycle();
        while queues.iter().any(|queue| !queue.is_empty()) {
            let n = usize::from(turns.next().unwrap()) % queues.len();
            let n = (n..queues.len()).chain(0..n).find(|&n| !queues[n].is_empty()).unwrap();
            let datagram = queues[n].remove(0);
            if let Some(whole) =
                receiver.handle_datagram(Duration::ZERO, from(n as u8), &datagram).unwrap()
            {
                done[n] = whole;
            }
        }
        prop_assert_eq!(done, wholes);
        prop_assert_eq!(receiver.stats().completed as usize, lens.len());
    }
}
