//! Random losses with random repairs: what is found is right, and all that can be found is.

use proptest::prelude::*;

use super::*;
use crate::fec::sliding::SlidingEncoder;

fn message(n: usize) -> Vec<u8> {
    (0..n * 7 % 90).map(|at| (at * 31 + n * 17) as u8).collect()
}

#[test]
fn as_many_repairs_as_losses_find_everything() {
    let mut encoder = SlidingEncoder::new(64, 15).unwrap();
    let mut decoder = SlidingDecoder::new(128).unwrap();
    for n in 0..40 {
        let seq = encoder.push(&message(n)).unwrap();
        if n % 4 != 0 {
            assert!(decoder.handle_source(seq, &message(n)).unwrap().is_empty());
        }
    }
    let mut found = Vec::new();
    for _ in 0..10 {
        found.extend(decoder.handle_repair(&encoder.repair().unwrap()).unwrap());
    }
    let expected: Found = (0..40).step_by(4).map(|n| (Serial::new(n as u32), message(n))).collect();
    assert_eq!(found, expected);
    assert_eq!(decoder.remembered(), (40, 0));
}

#[test]
fn a_late_message_solves_the_others() {
    let mut encoder = SlidingEncoder::new(8, 15).unwrap();
    let mut decoder = SlidingDecoder::new(16).unwrap();
    let seqs: Vec<_> = (0..3).map(|n| encoder.push(&message(n + 5)).unwrap()).collect();
    for _ in 0..2 {
        assert!(decoder.handle_repair(&encoder.repair().unwrap()).unwrap().is_empty());
    }
    let found = decoder.handle_source(seqs[1], &message(6)).unwrap();
    assert_eq!(found, [(seqs[0], message(5)), (seqs[2], message(7))]);
}

#[test]
fn a_great_gap_and_a_restart_heal() {
    let mut encoder = SlidingEncoder::new(8, 15).unwrap();
    let mut decoder = SlidingDecoder::new(16).unwrap();
    for n in 0..5_000 {
        let seq = encoder.push(&message(n)).unwrap();
        let is_gap = (100..4_000).contains(&n) || n == 4_990;
        if !is_gap {
            decoder.handle_source(seq, &message(n)).unwrap();
        }
    }
    let found = decoder.handle_repair(&encoder.repair().unwrap()).unwrap();
    assert!(found.is_empty(), "4,990 is out of the encoder's window");
    let mut encoder = SlidingEncoder::new(8, 15).unwrap();
    let first = encoder.push(b"second life").unwrap();
    assert!(decoder.handle_source(first, b"second life").unwrap().is_empty());
    let lost = encoder.push(b"found again").unwrap();
    let found = decoder.handle_repair(&encoder.repair().unwrap()).unwrap();
    assert_eq!(found, [(lost, b"found again".to_vec())]);
}

#[test]
fn numbers_wrap_around() {
    let mut decoder = SlidingDecoder::new(16).unwrap();
    let last = Serial::new(u32::MAX);
    decoder.handle_source(last, b"last").unwrap();
    let symbols = [compose_symbol(b"last"), compose_symbol(b"zero")];
    let drawn = coefficients(9, 15, 2);
    let mut row = Row { coefficients: BTreeMap::new(), symbol: Vec::new() };
    row.add(drawn[0], &symbols[0]);
    row.add(drawn[1], &symbols[1]);
    let repair = RlcRepair { key: 9, density: 15, count: 2, first: last, symbol: &row.symbol };
    let found = decoder.handle_repair(&repair.compose()).unwrap();
    assert_eq!(found, [(Serial::new(0), b"zero".to_vec())]);
}

#[test]
fn a_wrong_repair_does_not_stay() {
    let mut encoder = SlidingEncoder::new(4, 15).unwrap();
    let mut decoder = SlidingDecoder::new(8).unwrap();
    encoder.push(b"message").unwrap();
    let mut wrong = encoder.repair().unwrap();
    wrong[8] ^= 0x55;
    assert!(decoder.handle_repair(&wrong).unwrap().is_empty());
    let right = encoder.repair().unwrap();
    assert_eq!(decoder.handle_repair(&right).unwrap()[0].1, b"message");
}

proptest! {
    #[test]
    fn what_is_found_is_right_and_memory_is_bounded(
        fates in prop::collection::vec((0_u8..10, 0_u8..4), 1..300),
        window in 1_usize..40,
        density in 2_u8..=15,
    ) {
        let mut encoder = SlidingEncoder::new(window, density).unwrap();
        let mut decoder = SlidingDecoder::new(window * 2).unwrap();
        let mut have = std::collections::BTreeSet::new();
        for (n, &(fate, repair)) in fates.iter().enumerate() {
            let seq = encoder.push(&message(n)).unwrap();
            let mut found = Vec::new();
            if fate > 1 {
                prop_assert!(have.insert(n));
                found.extend(decoder.handle_source(seq, &message(n)).unwrap());
            }
            if repair == 0 {
                found.extend(decoder.handle_repair(&encoder.repair().unwrap()).unwrap());
            }
            for (seq, whole) in found {
                let number = seq.get() as usize;
                prop_assert_eq!(&whole, &message(number));
                prop_assert!(have.insert(number), "{} found twice", number);
            }
            let (known, rows) = decoder.remembered();
            prop_assert!(known <= window * 2 && rows <= window * 2);
        }
    }
}
