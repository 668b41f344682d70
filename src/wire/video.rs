//! Video fragments: `[frame u32][chunk u16][total u16][data]`, big-endian.
//!
//! Every fragment of a frame has the same 8-byte header; `chunk` counts from 0 to `total - 1`.
//! A tutorial's sender writes a 6-byte header without a total and puts a whole JPEG behind it:
//! chunk 0 with a JPEG start at offset 6 means that form, and it is accepted. The two cannot be
//! confused, because a total of 0xFFD8 fragments is above the limit.

/// Why a datagram is no video fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VideoError {
    /// Too short for a header and one byte of data.
    #[error("video: {0} bytes, more than {HEADER_BYTES} needed")]
    Truncated(usize),
    /// The total is 0 or above the limit.
    #[error("video: total {0} at offset 6, 1 to {CHUNKS_MAX} allowed")]
    Total(u16),
    /// The chunk's number is not below the total.
    #[error("video: chunk {chunk} at offset 4 of {total}")]
    Chunk {
        /// The number in the header.
        chunk: u16,
        /// The total in the header.
        total: u16,
    },
    /// The frame does not fit the most fragments a frame may have.
    #[error("video: a frame of {0} bytes: at most {CHUNKS_MAX} fragments, none of them empty")]
    Frame(usize),
}

/// One fragment of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoFragment<'a> {
    /// Counts frames.
    pub frame: u32,
    /// Counts fragments within the frame.
    pub chunk: u16,
    /// Fragments of the frame.
    pub total: u16,
    /// This fragment's part of the frame.
    pub data: &'a [u8],
}

impl<'a> VideoFragment<'a> {
    /// Parse a datagram in the 8-byte form, or in the tutorial's 6-byte form.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, VideoError> {
        if datagram.len() <= HEADER_BYTES {
            return Err(VideoError::Truncated(datagram.len()));
        }
        let frame = u32::from_be_bytes([datagram[0], datagram[1], datagram[2], datagram[3]]);
        let chunk = u16::from_be_bytes([datagram[4], datagram[5]]);
        if chunk == 0 && datagram[6..].starts_with(JPEG_START) {
            return Ok(Self { frame, chunk, total: 1, data: &datagram[6..] });
        }
        let total = u16::from_be_bytes([datagram[6], datagram[7]]);
        if total == 0 || total > CHUNKS_MAX {
            return Err(VideoError::Total(total));
        }
        if chunk >= total {
            return Err(VideoError::Chunk { chunk, total });
        }
        Ok(Self { frame, chunk, total, data: &datagram[HEADER_BYTES..] })
    }

    /// Compose the 8-byte form.
    pub fn compose(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES + self.data.len());
        out.extend(self.frame.to_be_bytes());
        out.extend(self.chunk.to_be_bytes());
        out.extend(self.total.to_be_bytes());
        out.extend(self.data);
        out
    }
}

/// Cut a frame into datagrams of at most `datagram_bytes`.
pub fn fragment(
    frame: u32,
    data: &[u8],
    datagram_bytes: usize,
) -> Result<Vec<Vec<u8>>, VideoError> {
    let chunk_bytes = datagram_bytes.saturating_sub(HEADER_BYTES).max(1);
    let total = data.len().div_ceil(chunk_bytes);
    let total = u16::try_from(total).ok().filter(|n| (1..=CHUNKS_MAX).contains(n));
    let total = total.ok_or(VideoError::Frame(data.len()))?;
    let fragments = data
        .chunks(chunk_bytes)
        .zip(0u16..)
        .map(|(data, chunk)| VideoFragment { frame, chunk, total, data }.compose());
    Ok(fragments.collect())
}

/// Bytes of the header.
pub const HEADER_BYTES: usize = 8;
/// The most fragments a frame may have.
pub const CHUNKS_MAX: u16 = 8192;
/// Start of image, and the first byte of the next marker.
const JPEG_START: &[u8] = &[0xFF, 0xD8, 0xFF];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_byte_by_byte() {
        let fragments = fragment(0x0102_0304, b"abcde", HEADER_BYTES + 2).unwrap();
        assert_eq!(fragments.len(), 3);
        assert_eq!(fragments[0], b"\x01\x02\x03\x04\x00\x00\x00\x03ab");
        assert_eq!(fragments[2], b"\x01\x02\x03\x04\x00\x02\x00\x03e");
    }

    #[test]
    fn the_tutorials_six_byte_form_is_a_whole_frame() {
        let datagram = b"\x00\x00\x00\x07\x00\x00\xFF\xD8\xFF\xE0rest";
        let fragment = VideoFragment::parse(datagram).unwrap();
        assert_eq!((fragment.frame, fragment.chunk, fragment.total), (7, 0, 1));
        assert_eq!(fragment.data, b"\xFF\xD8\xFF\xE0rest");
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(VideoFragment::parse(b"12345678"), Err(VideoError::Truncated(8)));
        assert_eq!(VideoFragment::parse(b"\0\0\0\0\0\0\0\0x"), Err(VideoError::Total(0)));
        let beyond = VideoFragment::parse(b"\0\0\0\0\0\x02\0\x02x");
        assert_eq!(beyond, Err(VideoError::Chunk { chunk: 2, total: 2 }));
        assert_eq!(fragment(0, b"", 100), Err(VideoError::Frame(0)));
    }

    proptest! {
        #[test]
        fn fragments_fit_and_put_together_are_the_frame(
            data in prop::collection::vec(any::<u8>(), 1..5000), size in 9usize..1400,
        ) {
            let mut whole: Vec<u8> = Vec::new();
            for (number, datagram) in fragment(9, &data, size).unwrap().iter().enumerate() {
                prop_assert!(datagram.len() <= size);
                // One byte of data cannot be told from the six-byte form; real ones are larger.
                let parsed = VideoFragment::parse(datagram).unwrap();
                prop_assert_eq!(usize::from(parsed.chunk), number);
                whole.extend(parsed.data);
            }
            prop_assert_eq!(whole, data);
        }
    }
}
