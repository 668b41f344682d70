//! What a block code says to chunks it cannot take.

use thiserror::Error;

use crate::fec::reed_solomon::CHUNKS_MAX;

/// Why a code cannot be made or chunks cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodeError {
    /// No such code.
    #[error("no code of {k} source and {m} repair chunks: k >= 1, m >= 0, k + m <= {CHUNKS_MAX}")]
    NoSuchCode {
        /// Source chunks.
        k: usize,
        /// Repair chunks.
        m: usize,
    },
    /// Another number of source chunks than the code has.
    #[error("{given} source chunks given, the code has {k}")]
    WrongCount {
        /// How many were given.
        given: usize,
        /// How many the code has.
        k: usize,
    },
    /// A chunk number outside the code.
    #[error("chunk {index} is not among the {total} of this code")]
    WrongIndex {
        /// The number.
        index: usize,
        /// How many chunks the code has.
        total: usize,
    },
    /// Fewer chunks than source chunks.
    #[error("{given} chunks given, at least {k} are needed")]
    TooFew {
        /// How many were given.
        given: usize,
        /// How many are needed.
        k: usize,
    },
    /// Chunks that cannot belong together.
    #[error("chunk {index} does not fit the others: {len} bytes")]
    WrongLength {
        /// The number of the chunk.
        index: usize,
        /// Its length.
        len: usize,
    },
}
