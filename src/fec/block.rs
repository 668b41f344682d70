//! Chunks of unequal length: a repair chunk carries four bytes more, which protect the lengths.
//!
//! A source chunk counts as padded with zeros to the longest one; a repair chunk is the code's
//! repair of the padded chunks, followed by its repair of their lengths as 32-bit big-endian
//! numbers. So a lost chunk comes back with its own length, and nothing needs to be sent beside.

mod recovery;

pub use recovery::Recovery;

use crate::fec::error::CodeError;
use crate::fec::gf256::multiply;
use crate::fec::reed_solomon::{ReedSolomon, SMALL_CHUNKS_MAX, coefficient};

/// Bytes a repair chunk is longer than the longest source chunk.
pub const LENGTH_BYTES: usize = 4;

/// A code over chunks of any lengths.
///
/// ```
/// use udpcore::fec::block::BlockCode;
/// let code = BlockCode::new(3, 1).unwrap();
/// let repairs = code.encode(&[b"one", b"", b"fourteen bytes"]).unwrap();
/// let chunks = code.decode(&[(0, b"one"), (1, b""), (3, &repairs[0])]).unwrap();
/// assert_eq!(chunks[2], b"fourteen bytes");
/// ```
#[derive(Debug, Clone)]
pub struct BlockCode {
    code: ReedSolomon,
    /// For equal lengths: the sum of each row's coefficients.
    row_sums: Vec<u8>,
}

impl BlockCode {
    /// The code of `k` source and `m` repair chunks.
    ///
    /// # Errors
    /// [`CodeError::NoSuchCode`].
    pub fn new(k: usize, m: usize) -> Result<Self, CodeError> {
        let code = ReedSolomon::new(k, m)?;
        let small = k + m <= SMALL_CHUNKS_MAX;
        let sum = |row| (0..k).fold(0, |sum, column| sum ^ coefficient(row, column));
        let row_sums = if small { (0..m).map(sum).collect() } else { Vec::new() };
        Ok(Self { code, row_sums })
    }

    /// Source chunks.
    pub fn k(&self) -> usize {
        self.code.k()
    }

    /// Repair chunks.
    pub fn m(&self) -> usize {
        self.code.m()
    }

    /// The length of the repair chunks of `sources`.
    pub fn repair_len(&self, sources: &[&[u8]]) -> usize {
        let longest = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        longest.next_multiple_of(self.code.granularity()) + LENGTH_BYTES
    }

    /// The repair chunks of `sources`.
    ///
    /// # Errors
    /// [`CodeError::WrongCount`]; [`CodeError::WrongLength`] for a chunk of 4 GiB.
    pub fn encode(&self, sources: &[&[u8]]) -> Result<Vec<Vec<u8>>, CodeError> {
        let mut repairs = vec![vec![0; self.repair_len(sources)]; self.m()];
        let mut views: Vec<&mut [u8]> = repairs.iter_mut().map(Vec::as_mut_slice).collect();
        self.encode_into(sources, &mut views)?;
        Ok(repairs)
    }

    /// As [`Self::encode`], into buffers of [`Self::repair_len`] bytes, one per repair chunk.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_into(
        &self,
        sources: &[&[u8]],
        repairs: &mut [&mut [u8]],
    ) -> Result<(), CodeError> {
        let len = self.repair_len(sources) - LENGTH_BYTES;
        let equal = sources.iter().all(|source| source.len() == len);
        if equal && !self.row_sums.is_empty() {
            let length = length_symbol(0, sources[0])?;
            for (repair, &sum) in repairs.iter_mut().zip(&self.row_sums) {
                repair[len..].copy_from_slice(&equal_length_repair(length, sum));
            }
            let mut data: Vec<&mut [u8]> =
                repairs.iter_mut().map(|repair| &mut repair[..len]).collect();
            return self.code.encode_into(sources, &mut data);
        }
        let (mut data, mut tails): (Vec<&mut [u8]>, Vec<&mut [u8]>) =
            repairs.iter_mut().map(|repair| repair.split_at_mut(len)).unzip();
        let lengths = sources.iter().enumerate().map(|(i, source)| length_symbol(i, source));
        let lengths = lengths.collect::<Result<Vec<_>, _>>()?;
        let padded = Padded::new(sources, len);
        self.code.encode_into(&padded.views(sources), &mut data)?;
        self.code.encode_into(&lengths.iter().map(|l| &l[..]).collect::<Vec<_>>(), &mut tails)
    }

    /// All source chunks, from any `k` chunks with their numbers (repair chunks count from `k`).
    /// Of more than `k`, source chunks are preferred.
    ///
    /// # Errors
    /// [`CodeError`] when there are too few, or they cannot belong together.
    pub fn decode(&self, chunks: &[(usize, &[u8])]) -> Result<Vec<Vec<u8>>, CodeError> {
        let recovery = self.recovery(chunks.to_vec())?;
        let mut whole = vec![Vec::new(); self.k()];
        for &(index, chunk) in chunks.iter().filter(|(index, _)| *index < self.k()) {
            whole[index] = chunk.to_vec();
        }
        let mut found = vec![vec![0; recovery.room()]; recovery.lost().len()];
        recovery.run(&mut found.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>())?;
        for ((index, len), mut chunk) in recovery.lost().zip(found) {
            chunk.truncate(len);
            whole[index] = chunk;
        }
        Ok(whole)
    }
}

/// Copies of those chunks that are shorter than the rest, padded.
struct Padded {
    len: usize,
    copies: Vec<Vec<u8>>,
}

impl Padded {
    fn new(chunks: &[&[u8]], len: usize) -> Self {
        let short = chunks.iter().filter(|chunk| chunk.len() != len);
        let copies = short
            .map(|chunk| {
                let mut copy = chunk.to_vec();
                copy.resize(len, 0);
                copy
            })
            .collect();
        Self { len, copies }
    }

    fn views<'a>(&'a self, chunks: &[&'a [u8]]) -> Vec<&'a [u8]> {
        let mut copies = self.copies.iter();
        let whole = |chunk: &&'a [u8]| {
            if chunk.len() == self.len {
                return *chunk;
            }
            copies.next().map_or(*chunk, Vec::as_slice)
        };
        chunks.iter().map(whole).collect()
    }
}

fn length_symbol(index: usize, chunk: &[u8]) -> Result<[u8; LENGTH_BYTES], CodeError> {
    let len = u32::try_from(chunk.len());
    Ok(len.map_err(|_| CodeError::WrongLength { index, len: chunk.len() })?.to_be_bytes())
}

/// The repair of lengths that are all the same: the length times the sum of the coefficients.
fn equal_length_repair(length: [u8; LENGTH_BYTES], sum: u8) -> [u8; LENGTH_BYTES] {
    length.map(|byte| multiply(byte, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_lengths_take_the_short_way_to_the_same_bytes() {
        let code = BlockCode::new(4, 3).unwrap();
        let sources = [&[1_u8; 100][..], &[2; 100], &[3; 100], &[4; 100]];
        let repairs = code.encode(&sources).unwrap();
        let lengths = [100_u32.to_be_bytes(); 4];
        let lengths: Vec<&[u8]> = lengths.iter().map(|l| &l[..]).collect();
        let by_the_code = code.code.encode(&lengths).unwrap();
        for (repair, tail) in repairs.iter().zip(by_the_code) {
            assert_eq!(repair[100..], tail);
        }
    }

    #[test]
    fn chunks_that_cannot_belong_together_are_refused() {
        let code = BlockCode::new(2, 1).unwrap();
        let long = code.decode(&[(0, b"longer than the repair"), (2, b"repair")]).unwrap_err();
        assert_eq!(long, CodeError::WrongLength { index: 0, len: 22 });
        let short = code.decode(&[(0, b""), (2, b"abc")]).unwrap_err();
        assert_eq!(short, CodeError::WrongLength { index: 2, len: 3 });
        assert!(code.decode(&[(0, b"a"), (2, b"\xff\xff\xff\xff\xff")]).is_err());
        assert_eq!(code.decode(&[(0, b"a")]), Err(CodeError::TooFew { given: 1, k: 2 }));
        assert_eq!(code.decode(&[(3, b"a")]), Err(CodeError::WrongIndex { index: 3, total: 3 }));
        // The same chunk twice is one chunk.
        assert!(code.decode(&[(2, b"abcdef"), (2, b"abcdef")]).is_err());
    }

    proptest! {
        #[test]
        fn every_chunk_comes_back_with_its_own_length(
            sources in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..30),
            m in 1_usize..12,
            large: bool,
            seed: usize,
        ) {
            let k = sources.len();
            // The large field from 256 chunks on.
            let m = if large { m + 256 } else { m };
            let code = BlockCode::new(k, m).unwrap();
            let views: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
            let repairs = code.encode(&views).unwrap();
            let all: Vec<(usize, &[u8])> =
                views.into_iter().chain(repairs.iter().map(Vec::as_slice)).enumerate().collect();
            // k of them, from anywhere, in any order.
            let start = seed % all.len();
            let chosen: Vec<_> = (0..k).map(|i| all[(start + i * 7) % all.len()]).collect();
            let distinct: std::collections::BTreeSet<_> = chosen.iter().map(|c| c.0).collect();
            prop_assume!(distinct.len() == k);
            prop_assert_eq!(code.decode(&chosen).unwrap(), sources);
        }
    }
}
