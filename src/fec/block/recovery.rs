//! What a block code can recover, decided before anything is computed: so the caller can make the
//! room for it where it wants it.

use super::{BlockCode, LENGTH_BYTES, Padded, equal_length_repair, length_symbol};
use crate::fec::error::CodeError;
use crate::fec::reed_solomon::ReedSolomon;

/// What is lost of a block, and what it is computed from.
#[derive(Debug)]
pub struct Recovery<'a> {
    code: &'a ReedSolomon,
    /// Those to compute from; repairs without their lengths.
    chunks: Vec<(usize, &'a [u8])>,
    lost: Vec<usize>,
    /// The longest chunk's length.
    len: usize,
    /// The lengths of the lost, unless all have the longest one's.
    lengths: Option<Vec<usize>>,
}

impl Recovery<'_> {
    /// The numbers and the lengths of the lost source chunks.
    pub fn lost(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        let len = |i: usize| self.lengths.as_ref().map_or(self.len, |lengths| lengths[i]);
        self.lost.iter().enumerate().map(move |(i, &index)| (index, len(i)))
    }

    /// The length of the buffers to compute into.
    pub fn room(&self) -> usize {
        self.len
    }

    /// Writes each lost chunk to the beginning of one of `outputs`, which are [`Self::room`] long.
    ///
    /// # Errors
    /// [`CodeError`], when the chunks do not fit after all.
    pub fn run(&self, outputs: &mut [&mut [u8]]) -> Result<(), CodeError> {
        if self.lengths.is_none() {
            return self.code.recover_into(&self.chunks, &self.lost, outputs);
        }
        let chunks: Vec<&[u8]> = self.chunks.iter().map(|&(_, chunk)| chunk).collect();
        let padded = Padded::new(&chunks, self.len);
        let numbers = self.chunks.iter().map(|&(index, _)| index);
        let chunks: Vec<_> = numbers.zip(padded.views(&chunks)).collect();
        self.code.recover_into(&chunks, &self.lost, outputs)
    }
}

impl BlockCode {
    /// What of a block is lost when `chunks` are there, and how to compute it.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn recovery<'a>(
        &'a self,
        chunks: Vec<(usize, &'a [u8])>,
    ) -> Result<Recovery<'a>, CodeError> {
        let mut chunks = self.code.choose(chunks)?;
        let lost = self.code.lost(&chunks);
        let (sources, repairs) = chunks.split_at_mut(self.k() - lost.len());
        let Some(&(first, repair)) = repairs.first() else {
            return Ok(Recovery { code: &self.code, chunks, lost, len: 0, lengths: None });
        };
        let wrong = |index, len| CodeError::WrongLength { index, len };
        let len = repair.len().checked_sub(LENGTH_BYTES).ok_or(wrong(first, repair.len()))?;
        let mut tails: Vec<(usize, &[u8])> = Vec::with_capacity(repairs.len());
        for (index, repair) in repairs {
            if repair.len() != len + LENGTH_BYTES {
                return Err(wrong(*index, repair.len()));
            }
            let (data, tail) = repair.split_at(len);
            tails.push((*index, tail));
            *repair = data;
        }
        let lengths = match self.are_equal(sources, &tails, len) {
            true => None,
            false => Some(self.lengths(sources, &tails, &lost, len)?),
        };
        Ok(Recovery { code: &self.code, chunks, lost, len, lengths })
    }

    /// Whether all chunks, lost ones included, have the length `len`. The code is linear and its
    /// solution unique: if the rest and the repaired lengths say so, the lost ones are as long.
    fn are_equal(&self, sources: &[(usize, &[u8])], tails: &[(usize, &[u8])], len: usize) -> bool {
        let length = (len as u32).to_be_bytes();
        sources.iter().all(|(_, source)| source.len() == len)
            && tails.iter().all(|&(index, tail)| {
                let sum = self.row_sums.get(index - self.k());
                sum.is_some_and(|&sum| equal_length_repair(length, sum) == tail)
            })
    }

    /// The lengths of the lost chunks, none above `len`.
    fn lengths(
        &self,
        sources: &[(usize, &[u8])],
        tails: &[(usize, &[u8])],
        lost: &[usize],
        len: usize,
    ) -> Result<Vec<usize>, CodeError> {
        if let Some(&(index, source)) = sources.iter().find(|(_, source)| source.len() > len) {
            return Err(CodeError::WrongLength { index, len: source.len() });
        }
        let symbols: Vec<(usize, [u8; LENGTH_BYTES])> = sources
            .iter()
            .map(|&(index, source)| Ok((index, length_symbol(index, source)?)))
            .collect::<Result<_, _>>()?;
        let symbols = symbols.iter().map(|(index, symbol)| (*index, &symbol[..]));
        let chunks: Vec<_> = symbols.chain(tails.iter().copied()).collect();
        let mut found = vec![[0; LENGTH_BYTES]; lost.len()];
        let mut outputs: Vec<&mut [u8]> = found.iter_mut().map(|f| &mut f[..]).collect();
        self.code.recover_into(&chunks, lost, &mut outputs)?;
        let number = |(&index, bytes): (&usize, [u8; LENGTH_BYTES])| {
            let length = u32::from_be_bytes(bytes) as usize;
            let fits = length <= len;
            fits.then_some(length).ok_or(CodeError::WrongLength { index, len: length })
        };
        lost.iter().zip(found).map(number).collect()
    }
}
