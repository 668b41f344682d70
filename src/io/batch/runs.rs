//! Which datagrams go out as one, and where one that came in is cut.
//!
//! Arithmetic only: no socket, no memory. The limits are the kernel's (net/ipv4/udp.c).

/// Datagrams in one run: `UDP_MAX_SEGMENTS` of the kernels that have the least.
pub const SEGMENTS_MAX: usize = 64;
/// Bytes in one run: an IPv4 packet of 65,535 without its headers.
pub const RUN_BYTES_MAX: usize = 65_507;

/// How many datagrams from the beginning of `lens` may go out as one run, at least 1.
///
/// In a run all have one length but the last, which may be shorter; none is empty, because the
/// kernel would send nothing for it. `segment_max` is the longest the socket's route takes that
/// way, 0 for none. The caller cuts `lens` where the address changes.
#[must_use]
pub fn run_len(lens: impl IntoIterator<Item = usize>, segment_max: usize) -> usize {
    let mut lens = lens.into_iter();
    let Some(segment) = lens.next().filter(|&len| len > 0 && len <= segment_max) else { return 1 };
    let (mut count, mut bytes) = (1, segment);
    for len in lens {
        bytes += len;
        if count == SEGMENTS_MAX || len == 0 || len > segment || bytes > RUN_BYTES_MAX {
            break;
        }
        count += 1;
        if len < segment {
            break;
        }
    }
    count
}

/// One datagram within what the kernel handed over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Where it begins.
    pub offset: usize,
    /// How long it is.
    pub len: usize,
}

/// The datagrams in a message of `len` bytes that was coalesced from pieces of `segment` bytes.
#[derive(Clone, Debug)]
pub struct Pieces {
    offset: usize,
    len: usize,
    segment: usize,
    first: bool,
}

/// Cuts a message; `segment` 0 means that it was not coalesced. An empty message is one datagram.
#[must_use]
pub fn pieces(len: usize, segment: usize) -> Pieces {
    let segment = if segment == 0 { len.max(1) } else { segment };
    Pieces { offset: 0, len, segment, first: true }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.offset >= self.len && !self.first {
            return None;
        }
        self.first = false;
        let len = self.segment.min(self.len - self.offset);
        let piece = Piece { offset: self.offset, len };
        self.offset += len;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_run_ends_where_the_kernel_would_refuse() {
        let count = |lens: &[usize]| run_len(lens.iter().copied(), RUN_BYTES_MAX);
        assert_eq!(count(&[100, 100, 100]), 3);
        assert_eq!(count(&[100, 100, 50, 100]), 3, "the last may be shorter");
        assert_eq!(count(&[100, 101]), 1, "but not longer");
        assert_eq!(count(&[100, 0]), 1, "nothing would be sent for an empty one");
        assert_eq!(count(&[0, 0]), 1);
        assert_eq!(count(&[1; 100]), SEGMENTS_MAX);
        assert_eq!(count(&[1472; 64]), RUN_BYTES_MAX / 1472);
        assert_eq!(count(&[70_000, 1]), 1);
        assert_eq!(count(&[]), 1);
        assert_eq!(run_len([100, 100], 99), 1, "the route takes no such segment");
        assert_eq!(run_len([100, 100], 0), 1);
    }

    #[test]
    fn a_message_is_cut_at_its_segments() {
        let cut = |len, segment| pieces(len, segment).map(|p| p.len).collect::<Vec<_>>();
        assert_eq!(cut(0, 0), [0]);
        assert_eq!(cut(0, 100), [0]);
        assert_eq!(cut(250, 0), [250]);
        assert_eq!(cut(250, 100), [100, 100, 50]);
        assert_eq!(cut(200, 100), [100, 100]);
        assert_eq!(cut(50, 100), [50]);
    }

    proptest! {
        #[test]
        fn what_goes_out_as_one_is_cut_to_the_same(
            lens in proptest::collection::vec(0_usize..2000, 1..200),
            segment_max in 0_usize..2000,
        ) {
            let mut begin = 0;
            while begin < lens.len() {
                let count = run_len(lens[begin..].iter().copied(), segment_max);
                prop_assert!((1..=SEGMENTS_MAX).contains(&count));
                let run = &lens[begin..begin + count];
                let total: usize = run.iter().sum();
                let segment = if count == 1 { 0 } else { run[0] };
                prop_assert!(segment <= segment_max);
                let cut: Vec<usize> = pieces(total, segment).map(|p| p.len).collect();
                prop_assert_eq!(cut, run);
                begin += count;
            }
        }

        #[test]
        fn pieces_cover_a_message_once(len in 0_usize..70_000, segment in 0_usize..70_000) {
            let mut end = 0;
            for piece in pieces(len, segment) {
                prop_assert_eq!(piece.offset, end);
                end += piece.len;
            }
            prop_assert_eq!(end, len);
        }
    }
}
