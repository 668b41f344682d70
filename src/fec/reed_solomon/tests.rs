//! Any k of k + m chunks give the sources back, on every kernel, and the inverse is one.

use proptest::prelude::*;

use super::*;
use crate::fec::gf256::multiply;

/// Chunks whose bytes all differ from seed to seed.
fn chunks(count: usize, len: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut state = seed | 1;
    let mut byte = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..count).map(|_| (0..len).map(|_| byte()).collect()).collect()
}

fn views(chunks: &[Vec<u8>]) -> Vec<&[u8]> {
    chunks.iter().map(Vec::as_slice).collect()
}

/// Loses the chunks in `lost` (numbered over all), and expects the sources back.
fn survive(code: &ReedSolomon, sources: &[Vec<u8>], lost: &[usize]) {
    let repairs = code.encode(&views(sources)).unwrap();
    let there: Vec<Option<&[u8]>> =
        (0..code.k()).map(|i| (!lost.contains(&i)).then_some(sources[i].as_slice())).collect();
    let help: Vec<(usize, &[u8])> = (0..code.m())
        .filter(|i| !lost.contains(&(code.k() + i)))
        .map(|i| (i, repairs[i].as_slice()))
        .collect();
    let found = code.reconstruct(&there, &help).unwrap();
    let expected: Vec<_> =
        lost.iter().filter(|&&i| i < code.k()).map(|&i| (i, sources[i].clone())).collect();
    assert_eq!(found, expected, "lost {lost:?}");
}

#[test]
fn every_pattern_of_losses_of_a_small_code() {
    let (k, m) = (5, 4);
    let code = ReedSolomon::new(k, m).unwrap();
    let sources = chunks(k, 150, 1);
    for pattern in 0_u32..1 << (k + m) {
        if pattern.count_ones() as usize <= m {
            let lost: Vec<usize> = (0..k + m).filter(|i| pattern >> i & 1 == 1).collect();
            survive(&code, &sources, &lost);
        }
    }
}

#[test]
fn the_largest_codes_of_both_fields() {
    for (k, m) in [(1, 254), (254, 1), (128, 127), (250, 5), (200, 56), (1_000, 100), (3, 300)] {
        let code = ReedSolomon::new(k, m).unwrap();
        let lost: Vec<usize> = (0..k.min(m)).collect();
        survive(&code, &chunks(k, 66, 2), &lost);
    }
}

#[test]
fn a_repair_chunk_does_not_depend_on_the_others() {
    let sources = chunks(10, 40, 3);
    let few = ReedSolomon::new(10, 2).unwrap().encode(&views(&sources)).unwrap();
    let many = ReedSolomon::new(10, 200).unwrap().encode(&views(&sources)).unwrap();
    assert_eq!(few, many[..2]);
}

/// Pins the matrix: a change here breaks everybody who has encoded data.
#[test]
fn vector() {
    let code = ReedSolomon::new(3, 2).unwrap();
    let repairs = code.encode(&[&[1, 0, 0, 9], &[0, 1, 0, 8], &[0, 0, 1, 7]]).unwrap();
    // 1/255, 1/254, 1/253 and 1/254, 1/255, 1/252 in GF(2^8) over 0x11d, and a mixed column.
    let row = |x: u8| [inverse(x), inverse(x ^ 1), inverse(x ^ 2)];
    for (repair, [a, b, c]) in repairs.iter().zip([row(255), row(254)]) {
        let mixed = multiply(a, 9) ^ multiply(b, 8) ^ multiply(c, 7);
        assert_eq!(repair[..], [a, b, c, mixed]);
    }
    assert_eq!(repairs[0][..3], [253, 126, 255]);
}

#[test]
fn what_does_not_fit_is_refused_with_words() {
    assert!(ReedSolomon::new(0, 3).is_err());
    assert!(ReedSolomon::new(65_000, 600).is_err());
    let code = ReedSolomon::new(3, 1).unwrap();
    let error = code.encode(&[b"ab", b"cd"]).unwrap_err();
    assert_eq!(error.to_string(), "2 source chunks given, the code has 3");
    let error = code.encode(&[b"ab", b"cd", b"e"]).unwrap_err();
    assert_eq!(error.to_string(), "chunk 2 does not fit the others: 1 bytes");
    let error = code.reconstruct(&[None, None, Some(b"ab")], &[(0, b"xy")]).unwrap_err();
    assert_eq!(error.to_string(), "2 chunks given, at least 3 are needed");
    let error = code.reconstruct(&[None, Some(b"ab"), Some(b"ab")], &[(1, b"xy")]).unwrap_err();
    assert_eq!(error, CodeError::WrongIndex { index: 4, total: 4 });
    let error = code.reconstruct(&[None, Some(b"ab"), Some(b"a")], &[(0, b"xy")]).unwrap_err();
    assert_eq!(error, CodeError::WrongLength { index: 2, len: 1 });
}

proptest! {
    #[test]
    fn any_m_losses_are_repaired_on_every_kernel(
        k in 1_usize..60,
        m in 0_usize..40,
        len in 0_usize..300,
        seed: u64,
    ) {
        let mut order: Vec<usize> = (0..k + m).collect();
        let mut state = seed;
        for i in (1..order.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            order.swap(i, (state >> 33) as usize % (i + 1));
        }
        let mut lost = order[..m].to_vec();
        lost.sort_unstable();
        let sources = chunks(k, len, seed);
        for kernel in Kernel::available() {
            survive(&ReedSolomon::with_kernel(k, m, kernel).unwrap(), &sources, &lost);
        }
    }
}
