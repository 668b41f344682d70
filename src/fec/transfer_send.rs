//! One piece of data as source and repair datagrams (`wire::fec`).
//!
//! All chunks but the last have `chunk_size` bytes. The lengths need no protection of their own:
//! every repair chunk carries the length of the whole.

use thiserror::Error;

use crate::fec::error::CodeError;
use crate::fec::reed_solomon::{CHUNKS_MAX, ReedSolomon};
use crate::wire::crc32::crc32;
use crate::wire::fec::{FecChunk, FecDatagram, REPAIR_HEADER_LEN, Summary};

/// The longest chunk that fits into a datagram of UDP over IPv4 as a repair chunk.
pub const CHUNK_SIZE_MAX: usize = 65_506 - REPAIR_HEADER_LEN;

/// Why data cannot be sent so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TransferError {
    /// A chunk size out of range.
    #[error("chunk_size must be 1 to {CHUNK_SIZE_MAX}, not {0}")]
    ChunkSize(usize),
    /// More chunks than the format can number.
    #[error(
        "{len} bytes in chunks of {chunk_size} with their repair chunks are more than {CHUNKS_MAX} \
         datagrams: use larger chunks, or several transfers"
    )]
    TooLong {
        /// Bytes of the data.
        len: usize,
        /// Bytes of a chunk.
        chunk_size: usize,
    },
    /// The code refused.
    #[error(transparent)]
    Code(#[from] CodeError),
}

/// The datagrams that carry `data`, source chunks first; `repairs_for(k)` says how many repair
/// chunks `k` source chunks get.
///
/// # Errors
/// [`TransferError`].
///
/// ```
/// use udpcore::fec::transfer_send::datagrams;
/// let sent = datagrams(&[7; 2_500], 1_000, |k| k.div_ceil(3)).unwrap();
/// assert_eq!(sent.len(), 3 + 1);
/// assert_eq!(sent[2].len(), 4 + 500);
/// ```
pub fn datagrams(
    data: &[u8],
    chunk_size: usize,
    repairs_for: impl FnOnce(usize) -> usize,
) -> Result<Vec<Vec<u8>>, TransferError> {
    if chunk_size == 0 || chunk_size > CHUNK_SIZE_MAX {
        return Err(TransferError::ChunkSize(chunk_size));
    }
    let k = data.len().div_ceil(chunk_size).max(1);
    let m = repairs_for(k);
    let too_long = TransferError::TooLong { len: data.len(), chunk_size };
    let length = u32::try_from(data.len()).map_err(|_| too_long)?;
    if k.saturating_add(m) > CHUNKS_MAX {
        return Err(too_long);
    }
    let code = ReedSolomon::new(k, m)?;
    let mut chunks: Vec<&[u8]> = data.chunks(chunk_size).collect();
    if chunks.is_empty() {
        chunks.push(data);
    }
    let symbol_len = chunks[0].len().next_multiple_of(code.granularity());
    let padded: Vec<Vec<u8>> = chunks
        .iter()
        .filter(|chunk| chunk.len() != symbol_len)
        .map(|chunk| pad(chunk, symbol_len))
        .collect();
    let mut padded = padded.iter().map(Vec::as_slice);
    let whole = |chunk: &&'_ [u8]| chunk.len() == symbol_len;
    let symbols: Vec<&[u8]> = chunks
        .iter()
        .map(|chunk| if whole(chunk) { *chunk } else { padded.next().unwrap_or(chunk) })
        .collect();
    let repairs = code.encode(&symbols)?;
    let summary = Summary { m: m as u16, length, crc32: crc32(data) };
    let sources = chunks.into_iter().map(FecChunk::Source);
    let repairs = repairs.iter().map(|symbol| FecChunk::Repair(summary, symbol));
    let datagram = |(index, chunk)| FecDatagram { index: index as u16, k: k as u16, chunk };
    Ok(sources.chain(repairs).enumerate().map(datagram).map(|d| d.compose()).collect())
}

/// `chunk` with zeros up to `len`.
pub(super) fn pad(chunk: &[u8], len: usize) -> Vec<u8> {
    let mut padded = chunk.to_vec();
    padded.resize(len, 0);
    padded
}
