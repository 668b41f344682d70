//! The format of `ReliableUDPSender` and `ReliableUDPReceiver`: `[seq u32][utf-8 text]`,
//! big-endian. No state: whether a number was expected is the business of `arq::sequence`.

use crate::wire::error::{WireError, WireFault, split_header};
use crate::wire::serial::Serial;

/// Bytes before the text.
pub const HEADER_LEN: usize = 4;

/// A numbered text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequencedText<'a> {
    /// The number.
    pub seq: Serial,
    /// The text, possibly empty.
    pub text: &'a str,
}

impl<'a> SequencedText<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`WireFault::Truncated`] below four bytes, [`WireFault::NotUtf8`] at the first bad byte.
    ///
    /// ```
    /// use udpcore::wire::sequence::SequencedText;
    /// let message = SequencedText::parse(b"\0\0\0\x07salut").unwrap();
    /// assert_eq!((message.seq.get(), message.text), (7, "salut"));
    /// assert_eq!(SequencedText::parse(b"\0\0\0").unwrap_err().offset, 3);
    /// ```
    pub fn parse(datagram: &'a [u8]) -> Result<Self, WireError> {
        let (header, rest) = split_header::<HEADER_LEN>(datagram)?;
        let text = std::str::from_utf8(rest)
            .map_err(|e| WireError::new(HEADER_LEN + e.valid_up_to(), WireFault::NotUtf8))?;
        Ok(Self { seq: Serial::new(u32::from_be_bytes(*header)), text })
    }

    /// Writes the datagram.
    pub fn compose(&self) -> Vec<u8> {
        [&self.seq.get().to_be_bytes()[..], self.text.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors() {
        for (seq, text, datagram) in [
            (0, "", &b"\0\0\0\0"[..]),
            (1, "Bonjour", b"\0\0\0\x01Bonjour"),
            (0x0102_0304, "é", b"\x01\x02\x03\x04\xc3\xa9"),
            (u32::MAX, "\0", b"\xff\xff\xff\xff\0"),
        ] {
            let message = SequencedText { seq: Serial::new(seq), text };
            assert_eq!(message.compose(), datagram);
            assert_eq!(SequencedText::parse(datagram), Ok(message));
        }
    }

    #[test]
    fn errors_name_the_byte() {
        let error = SequencedText::parse(b"\0\0").unwrap_err();
        assert_eq!(error.to_string(), "truncated: 4 bytes needed, 2 there (byte 2)");
        let error = SequencedText::parse(b"\0\0\0\0ok\xff").unwrap_err();
        assert_eq!(error, WireError::new(6, WireFault::NotUtf8));
    }
}
