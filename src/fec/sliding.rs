//! Repair across messages, without blocks: random linear combinations of a sliding window
//! (RFC 8681, over GF(2^8)).
//!
//! Every repair symbol covers the last messages sent, whenever it is made: nothing waits for a
//! block to fill, and both ends need not agree on how often. The receiver is `sliding_decoder`.

use std::collections::VecDeque;

use thiserror::Error;

use crate::fec::kernel::{Kernel, Matrix, combine};
use crate::fec::tinymt::TinyMt32;
use crate::wire::rlc::{COUNT_MAX, DENSITY_MAX, RlcRepair};
use crate::wire::serial::Serial;

/// Bytes before the message in a source symbol: flow (always 0) and length (RFC 8681 §4.1.1).
pub const SYMBOL_HEADER_LEN: usize = 3;

/// The longest message.
pub const MESSAGE_MAX: usize = 65_000;

/// What cannot be made or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SlidingError {
    /// A window out of range.
    #[error("window must be 1 to {COUNT_MAX}, not {0}")]
    Window(usize),
    /// A density out of range.
    #[error("density must be 0 to {DENSITY_MAX}, not {0}")]
    Density(u8),
    /// A message too long.
    #[error("message of {0} bytes is too long: at most {MESSAGE_MAX}")]
    TooLong(usize),
}

/// The sender's half.
///
/// ```
/// use udpcore::fec::sliding::SlidingEncoder;
/// use udpcore::fec::sliding_decoder::SlidingDecoder;
/// let mut encoder = SlidingEncoder::new(16, 15).unwrap();
/// let mut decoder = SlidingDecoder::new(32).unwrap();
/// let first = encoder.push(b"arrives").unwrap();
/// encoder.push(b"is lost").unwrap();
/// let repair = encoder.repair().unwrap();
/// decoder.handle_source(first, b"arrives").unwrap();
/// let found = decoder.handle_repair(&repair).unwrap();
/// assert_eq!(found, [(first.next(), b"is lost".to_vec())]);
/// ```
#[derive(Debug, Clone)]
pub struct SlidingEncoder {
    window: usize,
    density: u8,
    next: Serial,
    key: u16,
    symbols: VecDeque<Vec<u8>>,
}

impl SlidingEncoder {
    /// An encoder whose repair symbols cover the last `window` messages. With a `density` of 15
    /// they cover all of them, below that each one with the probability (density + 1) / 16.
    ///
    /// # Errors
    /// [`SlidingError::Window`], [`SlidingError::Density`].
    pub fn new(window: usize, density: u8) -> Result<Self, SlidingError> {
        if window == 0 || window > usize::from(COUNT_MAX) {
            return Err(SlidingError::Window(window));
        }
        if density > DENSITY_MAX {
            return Err(SlidingError::Density(density));
        }
        Ok(Self { window, density, next: Serial::new(0), key: 0, symbols: VecDeque::new() })
    }

    /// Takes a message that is being sent; the number it is to be sent with.
    ///
    /// # Errors
    /// [`SlidingError::TooLong`].
    pub fn push(&mut self, message: &[u8]) -> Result<Serial, SlidingError> {
        if message.len() > MESSAGE_MAX {
            return Err(SlidingError::TooLong(message.len()));
        }
        if self.symbols.len() == self.window {
            self.symbols.pop_front();
        }
        self.symbols.push_back(compose_symbol(message));
        let seq = self.next;
        self.next = seq.next();
        Ok(seq)
    }

    /// A repair datagram for the messages in the window; `None` before the first message. Every
    /// call gives another combination.
    pub fn repair(&mut self) -> Option<Vec<u8>> {
        let len = self.symbols.iter().map(Vec::len).max()?;
        let count = self.symbols.len();
        self.key = self.key.wrapping_add(1);
        let coefficients = coefficients(self.key, self.density, count);
        let padded: Vec<Vec<u8>> = self
            .symbols
            .iter()
            .map(|symbol| {
                let mut padded = symbol.clone();
                padded.resize(len, 0);
                padded
            })
            .collect();
        let views: Vec<&[u8]> = padded.iter().map(Vec::as_slice).collect();
        let matrix = Matrix::new(1, count, |_, column| coefficients[column]);
        let mut symbol = vec![0; len];
        combine(Kernel::best(), &matrix, &views, &mut [&mut symbol]);
        let repair = RlcRepair {
            key: self.key,
            density: self.density,
            count: count as u16,
            first: self.next.plus((count as u32).wrapping_neg()),
            symbol: &symbol,
        };
        Some(repair.compose())
    }
}

/// The coefficients of `count` symbols that follow from a repair datagram (RFC 8681 §3.6).
pub(super) fn coefficients(key: u16, density: u8, count: usize) -> Vec<u8> {
    let mut generator = TinyMt32::new(key.into());
    let mut coefficient = || {
        // Below 15, four bits decide whether there is a coefficient at all.
        if density < DENSITY_MAX && generator.next_u32() & 15 > u32::from(density) {
            return 0;
        }
        loop {
            let byte = generator.next_u32() as u8;
            if byte != 0 {
                return byte;
            }
        }
    };
    (0..count).map(|_| coefficient()).collect()
}

/// A message as a source symbol: flow, length, message.
pub(super) fn compose_symbol(message: &[u8]) -> Vec<u8> {
    let [high, low] = (message.len() as u16).to_be_bytes();
    [&[0, high, low], message].concat()
}

/// The message in a source symbol with padding; `None` if it cannot be one.
pub(super) fn parse_symbol(symbol: &[u8]) -> Option<Vec<u8>> {
    let (&[flow, high, low], rest) = symbol.split_first_chunk::<SYMBOL_HEADER_LEN>()?;
    let (message, padding) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
    (flow == 0 && padding.iter().all(|&byte| byte == 0)).then(|| message.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_never_zero_at_full_density_and_sparse_below() {
        let full = coefficients(1, 15, 4_095);
        assert!(full.iter().all(|&c| c != 0));
        let sparse = coefficients(1, 3, 4_000).iter().filter(|&&c| c != 0).count();
        // A quarter of 4,000: standard deviation 27.
        assert!((880..1_120).contains(&sparse), "{sparse}");
        // The first draws of seed 1 are pinned by the generator's vector.
        assert_eq!(
            full[..3],
            [2_545_341_989_u32 as u8, 981_918_433_u32 as u8, 3_715_302_833_u32 as u8]
        );
    }

    #[test]
    fn limits_are_kept() {
        assert!(SlidingEncoder::new(0, 15).is_err() && SlidingEncoder::new(4_096, 15).is_err());
        assert!(SlidingEncoder::new(4, 16).is_err());
        let mut encoder = SlidingEncoder::new(4, 15).unwrap();
        assert_eq!(encoder.repair(), None);
        assert!(encoder.push(&[0; MESSAGE_MAX + 1]).is_err());
        for _ in 0..100 {
            encoder.push(b"x").unwrap();
        }
        assert_eq!(encoder.symbols.len(), 4);
        let repair = encoder.repair().unwrap();
        let repair = RlcRepair::parse(&repair).unwrap();
        assert_eq!((repair.first, repair.count), (Serial::new(96), 4));
    }

    #[test]
    fn symbols_that_cannot_be_are_no_messages() {
        assert_eq!(parse_symbol(&compose_symbol(b"abc")), Some(b"abc".to_vec()));
        assert_eq!(parse_symbol(b"\0\0\x02ab\0\0"), Some(b"ab".to_vec()));
        for symbol in [&b"\0\0"[..], b"\x01\0\0", b"\0\0\x02a", b"\0\0\x01ab"] {
            assert_eq!(parse_symbol(symbol), None);
        }
    }
}
