//! Receives a numbered stream of chunks: puts them in order and reports the gaps.
//!
//! A chunk that is missing is waited for until the window behind it is full, so that late ones
//! and repaired ones find their place. The numbers wrap; a receiver may join in the middle.

use std::collections::BTreeMap;

/// What was received and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamReport {
    /// Chunks handed out, repaired ones included.
    pub received: u64,
    /// Chunks that never came and were not repaired.
    pub lost: u64,
    /// Chunks that error correction brought back.
    pub repaired: u64,
    /// Chunks that came again, or after they had been given up.
    pub duplicate_or_late: u64,
    /// Chunks that came after one with a higher number.
    pub reordered: u64,
    /// First and last number of every gap, up to [`GAPS_MAX`] of them.
    pub gaps: Vec<(u64, u64)>,
    /// Number of the first chunk: above 0 when the receiver joined in the middle.
    pub first: Option<u64>,
}

/// Chunks on their way into the file.
#[derive(Debug)]
pub struct StreamReceiver {
    window: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
    next: Option<u64>,
    highest: Option<u64>,
    /// The number that would confirm a jump.
    far: Option<u64>,
    report: StreamReport,
}

impl StreamReceiver {
    /// `window` is how many numbers may lie between a missing chunk and the newest.
    pub fn new(window: u64) -> Self {
        Self {
            window: window.clamp(1, WINDOW_MAX),
            waiting: BTreeMap::new(),
            next: None,
            highest: None,
            far: None,
            report: StreamReport::default(),
        }
    }

    /// The number without its wrap, near the highest seen.
    pub fn extend(&self, sequence: u32) -> u64 {
        // Start one lap up, so that what came before the first one heard is not below zero.
        let Some(highest) = self.highest else { return u64::from(sequence) };
        let step = i64::from(sequence.wrapping_sub(highest as u32) as i32);
        highest.checked_add_signed(step).unwrap_or(u64::from(sequence))
    }

    /// Put in a chunk; returns the bytes that are now in order.
    pub fn insert(&mut self, sequence: u32, data: &[u8], repaired: bool) -> Vec<u8> {
        let number = self.extend(sequence);
        let given_up = self.next.is_some_and(|next| number < next);
        if given_up || self.waiting.contains_key(&number) {
            self.report.duplicate_or_late += u64::from(!repaired);
            return Vec::new();
        }
        let too_far = |next| number > next + WINDOW_MAX;
        if self.next.is_some_and(too_far) && self.far.replace(number + 1) != Some(number) {
            // Believing one stray would give up everything in between: two in a row are believed.
            self.report.duplicate_or_late += 1;
            return Vec::new();
        }
        self.report.reordered += u64::from(!repaired && self.highest.is_some_and(|h| number < h));
        self.report.repaired += u64::from(repaired);
        self.highest = self.highest.max(Some(number));
        self.waiting.insert(number, data.to_vec());
        self.advance()
    }

    /// Is this chunk neither here nor given up?
    pub fn is_missing(&self, sequence: u32) -> bool {
        let number = self.extend(sequence);
        !self.waiting.contains_key(&number) && self.next.is_none_or(|next| number >= next)
    }

    /// The stream is over: `end` is the number after the last chunk, when it is known.
    pub fn finish(&mut self, end: Option<u32>) -> Vec<u8> {
        let end = end.map(|end| self.extend(end));
        let mut out = self.join();
        while let Some(first) = self.waiting.keys().next().copied() {
            self.give_up_before(first);
            out.extend(self.in_order());
        }
        // A late end mark of some other stream must not make a gap of millions.
        let near = |end: &u64, next: u64| *end > next && *end - next <= WINDOW_MAX;
        if let (Some(next), Some(end)) = (self.next, end)
            && near(&end, next)
        {
            self.give_up_before(end);
        }
        out
    }

    /// What was received and what was not; chunks that are waited for are in neither.
    pub fn report(&self) -> &StreamReport {
        &self.report
    }

    fn advance(&mut self) -> Vec<u8> {
        if self.next.is_none() {
            let first = self.waiting.keys().next().copied().unwrap_or_default();
            // Number 0 is the beginning; otherwise a few chunks show which one was first.
            if first != 0 && self.waiting.len() < JOIN_CHUNKS {
                return Vec::new();
            }
        }
        let mut out = self.join();
        while let (Some(next), Some(highest)) = (self.next, self.highest) {
            let Some(first) = self.waiting.keys().next().copied() else { break };
            if highest - next < self.window {
                break;
            }
            self.give_up_before(first);
            out.extend(self.in_order());
        }
        out
    }

    fn join(&mut self) -> Vec<u8> {
        if self.next.is_none() {
            self.next = self.waiting.keys().next().copied();
            self.report.first = self.next;
        }
        self.in_order()
    }

    fn in_order(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(next) = self.next {
            let Some(data) = self.waiting.remove(&next) else { break };
            out.extend(data);
            self.report.received += 1;
            self.next = Some(next + 1);
        }
        out
    }

    fn give_up_before(&mut self, number: u64) {
        let Some(next) = self.next.filter(|next| *next < number) else { return };
        self.report.lost += number - next;
        if self.report.gaps.len() < GAPS_MAX {
            self.report.gaps.push((next, number - 1));
        }
        self.next = Some(number);
    }
}

/// The widest window.
pub const WINDOW_MAX: u64 = 65_536;
/// Gaps that are listed one by one; the count of lost chunks goes on.
pub const GAPS_MAX: usize = 10_000;
/// Chunks that show where a receiver that joins late has joined.
const JOIN_CHUNKS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(stream: &mut StreamReceiver, numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|n| stream.insert(*n, &[*n as u8], false)).collect()
    }

    #[test]
    fn any_order_within_the_window() {
        let mut stream = StreamReceiver::new(8);
        assert_eq!(put(&mut stream, &[0, 2, 1, 1, 4, 3]), [0, 1, 2, 3, 4]);
        let report = stream.report();
        assert_eq!((report.received, report.lost, report.reordered), (5, 0, 2));
        assert_eq!(report.duplicate_or_late, 1);
    }

    #[test]
    fn a_full_window_gives_up_and_says_what() {
        let mut stream = StreamReceiver::new(4);
        assert_eq!(put(&mut stream, &[0, 3, 4, 5]), [0, 3, 4, 5]);
        assert!(put(&mut stream, &[1]).is_empty());
        assert_eq!(stream.report().gaps, [(1, 2)]);
        assert_eq!((stream.report().lost, stream.report().duplicate_or_late), (2, 1));
    }

    #[test]
    fn the_end_shows_what_is_missing_at_the_end() {
        let mut stream = StreamReceiver::new(100);
        assert_eq!(put(&mut stream, &[0, 1, 3]), [0, 1]);
        assert!(stream.is_missing(2) && !stream.is_missing(3));
        assert_eq!(stream.finish(Some(6)), [3]);
        assert_eq!(stream.report().gaps, [(2, 2), (4, 5)]);
    }

    #[test]
    fn joining_late_and_wrapping() {
        let mut stream = StreamReceiver::new(8);
        let start = u32::MAX - 9;
        let numbers: Vec<u32> = (0..20).map(|n| start.wrapping_add(n)).collect();
        let swapped: Vec<u32> = [&[numbers[1], numbers[0]], &numbers[2..]].concat();
        let out = put(&mut stream, &swapped);
        assert_eq!(out.len(), 20);
        assert_eq!(stream.report().first, Some(u64::from(start)));
        assert_eq!(stream.report().lost, 0);
    }

    #[test]
    fn one_stray_is_not_believed_and_two_in_a_row_are() {
        let mut stream = StreamReceiver::new(4);
        assert_eq!(put(&mut stream, &[0, 500_000, 1]), [0, 1]);
        assert_eq!(stream.insert(700_000, b"a", false), b"");
        assert_eq!(stream.insert(700_001, b"b", false), b"b");
        assert_eq!(stream.report().gaps, [(2, 700_000)]);
    }

    #[test]
    fn repaired_chunks_find_their_place() {
        let mut stream = StreamReceiver::new(64);
        put(&mut stream, &[0, 2]);
        assert_eq!(stream.insert(1, b"r", true), b"r\x02");
        assert_eq!(stream.insert(1, b"r", true), b"");
        assert_eq!((stream.report().repaired, stream.report().duplicate_or_late), (1, 0));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_handed_out_once_and_in_order(
            numbers in prop::collection::vec(0u32..200, 1..300), window in 1u64..50,
        ) {
            let mut stream = StreamReceiver::new(window);
            let mut out = put(&mut stream, &numbers);
            out.extend(stream.finish(None));
            prop_assert!(out.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(out.len() as u64, stream.report().received);
        }
    }
}
