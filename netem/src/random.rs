//! Randomness as a function: the same question always gets the same answer.
//!
//! A draw depends on (seed, direction, flow ordinal, impairment, packet ordinal, draw index) and
//! on nothing else, so no impairment can shift the draws of another, and no flow those of another
//! flow. The generator is Philox4x32-10: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random
//! numbers: as easy as 1, 2, 3", SC11, 2011; checked by the known-answer vectors of Random123.
//!
//! Rule of this file: the counter layout is part of the log format ([`GENERATOR`]); it never
//! changes without a new name.

use std::fmt;

use crate::impair::Impairment;
use crate::packet::{Direction, FlowOrdinal, PacketOrdinal};

/// The name of the generator and its counter layout, as decision logs carry it.
pub const GENERATOR: &str = "philox4x32-10/v1";

const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// What makes a run repeatable: 64 bits, printed with every report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seed(pub u64);

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Four independent 32-bit words for each (key, counter).
///
/// ```
/// // The first known-answer vector of Random123.
/// let block = netem::random::philox4x32([0; 4], [0; 2]);
/// assert_eq!(block, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
#[inline]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut c0, mut c1, mut c2, mut c3], [mut k0, mut k1]) = (counter, key);
    for _ in 0..ROUNDS {
        let left = u64::from(MULTIPLIERS[0]) * u64::from(c0);
        let right = u64::from(MULTIPLIERS[1]) * u64::from(c2);
        let (next0, next2) = ((right >> 32) as u32 ^ c1 ^ k0, (left >> 32) as u32 ^ c3 ^ k1);
        (c0, c1, c2, c3) = (next0, right as u32, next2, left as u32);
        (k0, k1) = (k0.wrapping_add(WEYL[0]), k1.wrapping_add(WEYL[1]));
    }
    [c0, c1, c2, c3]
}

/// All draws that one packet may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Draws {
    key: [u32; 2],
    counter: [u32; 4],
}

impl Draws {
    /// The draws of packet `ordinal` of `flow` in `direction`.
    #[inline]
    pub fn new(
        seed: Seed,
        direction: Direction,
        flow: FlowOrdinal,
        ordinal: PacketOrdinal,
    ) -> Self {
        let key = [seed.0 as u32, (seed.0 >> 32) as u32];
        let way = u32::from(direction == Direction::Down) << 31;
        Self { key, counter: [ordinal.0 as u32, (ordinal.0 >> 32) as u32, flow.0, way] }
    }

    /// The packet's place in its flow.
    #[inline]
    pub(crate) const fn ordinal(&self) -> u64 {
        (self.counter[1] as u64) << 32 | self.counter[0] as u64
    }

    /// The first block of four words for `impairment`.
    #[inline]
    pub fn block(&self, impairment: Impairment) -> [u32; 4] {
        self.block_at(impairment, 0)
    }

    /// The block number `index` (its low 24 bits) for `impairment`.
    ///
    /// The last counter word is: bit 31 direction, bits 24–30 impairment, bits 0–23 index.
    #[inline]
    pub fn block_at(&self, impairment: Impairment, index: u32) -> [u32; 4] {
        let [low, high, flow, way] = self.counter;
        let word = way | (impairment as u32) << 24 | (index & 0x00FF_FFFF);
        philox4x32([low, high, flow, word], self.key)
    }
}

/// Two words as one 64-bit number, scaled to `0..bound` (multiply and take the high half: the bias
/// is below `bound / 2^64`).
#[inline]
pub(crate) fn below(words: [u32; 2], bound: u64) -> u64 {
    let draw = u64::from(words[0]) << 32 | u64::from(words[1]);
    ((u128::from(draw) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three vectors for philox4x32-10 in Random123's `kat_vectors`.
    #[test]
    fn known_answers() {
        let ones = 0xffff_ffff;
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        for (counter, key, answer) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([ones; 4], [ones; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (pi, [0xa409_3822, 0x299f_31d0], [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
        ] {
            assert_eq!(philox4x32(counter, key), answer);
        }
    }

    #[test]
    fn every_part_of_the_question_changes_the_answer() {
        use Direction::{Down, Up};
        let ask = |seed, way, flow, ordinal, impairment, index| {
            Draws::new(Seed(seed), way, FlowOrdinal(flow), PacketOrdinal(ordinal))
                .block_at(impairment, index)
        };
        let (loss, delay) = (Impairment::Loss, Impairment::Delay);
        let answers = [
            ask(7, Up, 0, 0, loss, 0),
            ask(8, Up, 0, 0, loss, 0),
            ask(7 << 32, Up, 0, 0, loss, 0),
            ask(7, Down, 0, 0, loss, 0),
            ask(7, Up, 1, 0, loss, 0),
            ask(7, Up, 0, 1, loss, 0),
            ask(7, Up, 0, 1 << 32, loss, 0),
            ask(7, Up, 0, 0, delay, 0),
            ask(7, Up, 0, 0, loss, 1),
        ];
        let distinct: std::collections::BTreeSet<_> = answers.iter().collect();
        assert_eq!(distinct.len(), answers.len());
    }

    #[test]
    fn scaled_draws_stay_below_the_bound() {
        assert_eq!(below([u32::MAX; 2], 10), 9);
        assert_eq!(below([0; 2], 10), 0);
        assert_eq!(below([1 << 31, 0], 10), 5);
    }
}
