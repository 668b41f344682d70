//! Multicast video: `[seq u32][chunk]`, big-endian; an empty chunk ends the stream.
//!
//! The number counts chunks and wraps. The end mark carries the number after the last chunk; a
//! plain receiver writes its nothing and is not disturbed. Repair chunks for the optional error
//! correction travel on the next port: `[first seq u32][k u16][index u16][repair]`, so that a
//! plain receiver never sees them.

/// Why a datagram does not belong to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Too short for its header.
    #[error("stream: {len} bytes, {needed} needed")]
    Truncated {
        /// Bytes there are.
        len: usize,
        /// Bytes a header has.
        needed: usize,
    },
    /// A repair chunk's index is not above its block's sources, or the block is empty or large.
    #[error("stream: repair index {index} of a block of {k}")]
    Block {
        /// Source chunks of the block.
        k: u16,
        /// Index of the repair chunk.
        index: u16,
    },
}

/// A source chunk: part of the file, or the end mark when empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamChunk<'a> {
    /// The chunk's number.
    pub sequence: u32,
    /// Bytes of the file.
    pub data: &'a [u8],
}

impl<'a> StreamChunk<'a> {
    /// Parse a datagram of the stream's own port.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, StreamError> {
        let (head, data) = datagram
            .split_first_chunk::<4>()
            .ok_or(StreamError::Truncated { len: datagram.len(), needed: 4 })?;
        Ok(Self { sequence: u32::from_be_bytes(*head), data })
    }

    /// Compose the datagram.
    pub fn compose(&self) -> Vec<u8> {
        [&self.sequence.to_be_bytes()[..], self.data].concat()
    }
}

/// A repair chunk for the block of `k` source chunks that begins at `first`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepairChunk<'a> {
    /// Number of the block's first source chunk.
    pub first: u32,
    /// Source chunks of the block.
    pub k: u16,
    /// `k` for the block's first repair chunk, counting on.
    pub index: u16,
    /// What the encoder made.
    pub data: &'a [u8],
}

impl<'a> RepairChunk<'a> {
    /// Parse a datagram of the repair port.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, StreamError> {
        let (head, data) = datagram
            .split_first_chunk::<8>()
            .ok_or(StreamError::Truncated { len: datagram.len(), needed: 8 })?;
        let first = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let k = u16::from_be_bytes([head[4], head[5]]);
        let index = u16::from_be_bytes([head[6], head[7]]);
        if k == 0 || k > BLOCK_CHUNKS_MAX || index < k || index > BLOCK_CHUNKS_MAX {
            return Err(StreamError::Block { k, index });
        }
        Ok(Self { first, k, index, data })
    }

    /// Compose the datagram.
    pub fn compose(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.data.len());
        out.extend(self.first.to_be_bytes());
        out.extend(self.k.to_be_bytes());
        out.extend(self.index.to_be_bytes());
        out.extend(self.data);
        out
    }
}

/// Source and repair chunks of one block together: the field of the code has 256 elements.
pub const BLOCK_CHUNKS_MAX: u16 = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        let chunk = StreamChunk { sequence: 0x0102_0304, data: b"ts" };
        assert_eq!(chunk.compose(), b"\x01\x02\x03\x04ts");
        assert_eq!(StreamChunk::parse(&chunk.compose()), Ok(chunk));
        let end = StreamChunk::parse(b"\0\0\0\x09").unwrap();
        assert_eq!((end.sequence, end.data.is_empty()), (9, true));
        let repair = RepairChunk { first: 20, k: 10, index: 11, data: b"r" };
        assert_eq!(repair.compose(), b"\0\0\0\x14\0\x0a\0\x0br");
        assert_eq!(RepairChunk::parse(&repair.compose()), Ok(repair));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let short = StreamError::Truncated { len: 3, needed: 4 };
        assert_eq!(StreamChunk::parse(b"abc"), Err(short));
        let source = RepairChunk::parse(b"\0\0\0\0\0\x0a\0\x09r");
        assert_eq!(source, Err(StreamError::Block { k: 10, index: 9 }));
        let none = RepairChunk::parse(b"\0\0\0\0\0\0\0\0");
        assert_eq!(none, Err(StreamError::Block { k: 0, index: 0 }));
    }
}
