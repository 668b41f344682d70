//! What is wrong with some bytes, and at which byte.

use thiserror::Error;

/// A datagram that does not follow its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{fault} (byte {offset})")]
pub struct WireError {
    /// Offset of the first byte that is wrong or missing.
    pub offset: usize,
    /// What is wrong there.
    pub fault: WireFault,
}

/// The ways in which bytes can break a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireFault {
    /// The datagram ends inside a field.
    #[error("truncated: {needed} bytes needed, {have} there")]
    Truncated {
        /// Bytes the format needs.
        needed: usize,
        /// Bytes the datagram has.
        have: usize,
    },
    /// The type byte names no message of this format.
    #[error("unknown message type {0}")]
    UnknownType(u8),
    /// Bytes follow where the format has none.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// A version this library does not speak.
    #[error("unknown version {0}")]
    UnknownVersion(u8),
    /// A field whose value the format forbids.
    #[error("impossible value {0}")]
    ImpossibleValue(u32),
    /// Text that is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
}

impl WireError {
    /// An error at `offset`.
    pub const fn new(offset: usize, fault: WireFault) -> Self {
        Self { offset, fault }
    }
}

/// The first `N` bytes of `datagram` and the rest.
///
/// # Errors
/// [`WireFault::Truncated`] at the first missing byte.
pub(crate) fn split_header<const N: usize>(
    datagram: &[u8],
) -> Result<(&[u8; N], &[u8]), WireError> {
    let have = datagram.len();
    datagram
        .split_first_chunk::<N>()
        .ok_or(WireError::new(have, WireFault::Truncated { needed: N, have }))
}
