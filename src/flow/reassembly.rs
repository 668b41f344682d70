//! Puts the fragments of many frames together, within limits.
//!
//! A frame is complete when all its fragments came, in any order. Incomplete ones are dropped
//! when their time is over, when newer ones need the room, or when the user has gone on; each
//! drop is counted by reason. What is in a fragment does not matter here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How much may wait, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct ReassemblyLimits {
    /// Frames under construction.
    pub frames_max: usize,
    /// Bytes of all frames under construction.
    pub bytes_max: usize,
    /// Time from a frame's first fragment to its last.
    pub wait_max: Duration,
}

impl Default for ReassemblyLimits {
    fn default() -> Self {
        Self { frames_max: 64, bytes_max: 64 << 20, wait_max: Duration::from_secs(2) }
    }
}

/// Counts of what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReassemblyStats {
    /// Frames that were put together.
    pub completed: u64,
    /// Incomplete frames whose time was over.
    pub expired: u64,
    /// Incomplete frames that made room for others.
    pub evicted: u64,
    /// Incomplete frames older than one that was taken.
    pub overtaken: u64,
    /// Fragments that came again.
    pub duplicate: u64,
    /// Fragments of frames that are finished or dropped.
    pub late: u64,
    /// Fragments that contradict the first one of their frame, or are too large.
    pub conflicting: u64,
}

/// One fragment, as its header says.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Which fragment, from 0.
    pub chunk: u16,
    /// Fragments of the frame.
    pub total: u16,
    /// The bytes.
    pub data: &'a [u8],
}

/// Frames under construction, by a key that sorts older frames first.
#[derive(Debug)]
pub struct Reassembly<K> {
    limits: ReassemblyLimits,
    frames: BTreeMap<K, Frame>,
    bytes: usize,
    done: VecDeque<K>,
    stats: ReassemblyStats,
}

#[derive(Debug)]
struct Frame {
    began: Duration,
    chunks: BTreeMap<u16, Vec<u8>>,
    total: u16,
    bytes: usize,
}

impl<K: Ord + Clone> Reassembly<K> {
    /// Make an empty one.
    pub fn new(limits: ReassemblyLimits) -> Self {
        Self {
            limits,
            frames: BTreeMap::new(),
            bytes: 0,
            done: VecDeque::new(),
            stats: ReassemblyStats::default(),
        }
    }

    /// Put in a fragment; returns the frame when it was the last one missing.
    pub fn insert(&mut self, now: Duration, key: &K, piece: Piece<'_>) -> Option<Vec<u8>> {
        self.expire(now);
        if self.done.contains(key) {
            self.stats.late += 1;
            return None;
        }
        let too_large = piece.data.len() > self.limits.bytes_max;
        if too_large || piece.total == 0 || piece.chunk >= piece.total {
            self.stats.conflicting += 1;
            return None;
        }
        let frame = self.frames.entry(key.clone()).or_insert_with(|| Frame {
            began: now,
            chunks: BTreeMap::new(),
            total: piece.total,
            bytes: 0,
        });
        if frame.total != piece.total {
            self.stats.conflicting += 1;
            return None;
        }
        if frame.chunks.contains_key(&piece.chunk) {
            self.stats.duplicate += 1;
            return None;
        }
        frame.bytes += piece.data.len();
        self.bytes += piece.data.len();
        frame.chunks.insert(piece.chunk, piece.data.to_vec());
        if frame.chunks.len() == usize::from(frame.total) {
            let frame = self.remove(key)?;
            self.finish(key.clone());
            self.stats.completed += 1;
            return Some(frame.chunks.into_values().flatten().collect());
        }
        self.make_room(key);
        None
    }

    /// Drop what has waited too long.
    pub fn expire(&mut self, now: Duration) {
        let wait_max = self.limits.wait_max;
        let over = |frame: &Frame| now.saturating_sub(frame.began) > wait_max;
        let keys: Vec<K> =
            self.frames.iter().filter(|(_, frame)| over(frame)).map(|(k, _)| k.clone()).collect();
        for key in keys {
            self.remove(&key);
            self.finish(key);
            self.stats.expired += 1;
        }
    }

    /// Drop the incomplete frames in `range`: the user has taken a newer one.
    pub fn overtake(&mut self, range: impl std::ops::RangeBounds<K>) {
        let keys: Vec<K> = self.frames.range(range).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.remove(&key);
            self.finish(key);
            self.stats.overtaken += 1;
        }
    }

    /// What happened so far.
    pub fn stats(&self) -> ReassemblyStats {
        self.stats
    }

    /// Frames and bytes under construction.
    pub fn waiting(&self) -> (usize, usize) {
        (self.frames.len(), self.bytes)
    }

    /// The frame that began first goes first, and the newest fragment's own frame last.
    fn make_room(&mut self, keep: &K) {
        while self.frames.len() > self.limits.frames_max || self.bytes > self.limits.bytes_max {
            let others = self.frames.iter().filter(|(key, _)| *key != keep);
            let oldest = others.min_by_key(|(_, frame)| frame.began).map(|(key, _)| key.clone());
            let key = oldest.unwrap_or_else(|| keep.clone());
            self.remove(&key);
            self.finish(key);
            self.stats.evicted += 1;
        }
    }

    fn remove(&mut self, key: &K) -> Option<Frame> {
        let frame = self.frames.remove(key)?;
        self.bytes -= frame.bytes;
        Some(frame)
    }

    /// Remember the key, so that a straggler does not begin the frame again.
    fn finish(&mut self, key: K) {
        if self.done.len() == DONE_MAX {
            self.done.pop_front();
        }
        self.done.push_back(key);
    }
}

/// Finished frames whose stragglers are recognised.
const DONE_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Duration = Duration::ZERO;

    fn piece(chunk: u16, total: u16, data: &[u8]) -> Piece<'_> {
        Piece { chunk, total, data }
    }

    #[test]
    fn any_order_duplicates_and_stragglers() {
        let mut frames = Reassembly::new(ReassemblyLimits::default());
        assert_eq!(frames.insert(AT, &1, piece(2, 3, b"c")), None);
        assert_eq!(frames.insert(AT, &1, piece(0, 3, b"a")), None);
        assert_eq!(frames.insert(AT, &1, piece(0, 3, b"a")), None);
        assert_eq!(frames.insert(AT, &1, piece(1, 3, b"b")), Some(b"abc".to_vec()));
        assert_eq!(frames.insert(AT, &1, piece(1, 3, b"b")), None);
        let stats = frames.stats();
        assert_eq!((stats.completed, stats.duplicate, stats.late), (1, 1, 1));
        assert_eq!(frames.waiting(), (0, 0));
    }

    #[test]
    fn time_room_and_contradictions() {
        let limits = ReassemblyLimits { frames_max: 2, bytes_max: 10, ..Default::default() };
        let mut frames = Reassembly::new(limits);
        frames.insert(AT, &1, piece(0, 2, b"1234"));
        assert_eq!(frames.insert(AT, &1, piece(1, 3, b"x")), None);
        assert_eq!(frames.stats().conflicting, 1);
        let later = Duration::from_millis(1);
        frames.insert(later, &2, piece(0, 2, b"1234"));
        frames.insert(later, &3, piece(0, 2, b"1234"));
        assert_eq!((frames.stats().evicted, frames.waiting()), (1, (2, 8)));
        frames.overtake(..3);
        assert_eq!((frames.stats().overtaken, frames.waiting()), (1, (1, 4)));
        frames.expire(Duration::from_secs(3));
        assert_eq!((frames.stats().expired, frames.waiting()), (1, (0, 0)));
        assert_eq!(frames.insert(AT, &9, piece(0, 2, b"12345678901")), None);
        assert_eq!(frames.stats().conflicting, 2);
    }

    proptest! {
        #[test]
        fn limits_hold_whatever_comes(
            input in prop::collection::vec((0u32..40, 0u16..6, 1u16..6, 0usize..50), 1..400),
        ) {
            let limits = ReassemblyLimits { frames_max: 8, bytes_max: 300, ..Default::default() };
            let mut frames = Reassembly::new(limits);
            for (key, chunk, total, size) in input {
                frames.insert(AT, &key, piece(chunk, total, &vec![7; size]));
                let (count, bytes) = frames.waiting();
                prop_assert!(count <= 8 && bytes <= 300);
                let held: usize = frames.frames.values().map(|frame| frame.bytes).sum();
                prop_assert_eq!(held, bytes);
            }
        }
    }
}
