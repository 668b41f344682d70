//! Receives video frames from several senders: reassembly, order, and what became of each frame.
//!
//! A frame is handed out when it is complete, unless a newer one of the same sender was handed
//! out before: a picture from the past helps nobody. `P` is the sender's address.

use crate::flow::reassembly::{Piece, Reassembly, ReassemblyLimits, ReassemblyStats};
use crate::wire::video::VideoFragment;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

/// Counts of what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VideoStats {
    /// Frames handed out.
    pub frames: u64,
    /// Frames that were not, because a newer one was.
    pub outdated: u64,
    /// Datagrams that are no fragment.
    pub malformed: u64,
    /// What happened to fragments and incomplete frames.
    pub fragments: ReassemblyStats,
}

impl VideoStats {
    /// Frames of which fragments came, but not all.
    pub fn incomplete(&self) -> u64 {
        self.fragments.expired + self.fragments.evicted + self.fragments.overtaken
    }
}

/// The frames of all senders.
#[derive(Debug)]
pub struct VideoAssembler<P> {
    frames: Reassembly<(P, u32)>,
    /// The newest frame handed out of each sender, and when.
    newest: BTreeMap<P, (u32, Duration)>,
    stats: VideoStats,
}

impl<P: Ord + Clone> VideoAssembler<P> {
    /// Make an empty one.
    pub fn new(limits: ReassemblyLimits) -> Self {
        let (frames, newest) = (Reassembly::new(limits), BTreeMap::new());
        Self { frames, newest, stats: VideoStats::default() }
    }

    /// Take one datagram; returns the number and the bytes of the frame it completes.
    pub fn handle(&mut self, now: Duration, peer: &P, datagram: &[u8]) -> Option<(u32, Vec<u8>)> {
        let Ok(fragment) = VideoFragment::parse(datagram) else {
            self.stats.malformed += 1;
            return None;
        };
        let VideoFragment { frame, chunk, total, data } = fragment;
        let key = (peer.clone(), frame);
        let whole = self.frames.insert(now, &key, Piece { chunk, total, data })?;
        if self.newest.get(peer).is_some_and(|(newest, _)| frame < *newest) {
            self.stats.outdated += 1;
            return None;
        }
        let older = (Bound::Included((peer.clone(), 0)), Bound::Excluded(key));
        self.frames.overtake(older);
        self.newest.insert(peer.clone(), (frame, now));
        if self.newest.len() > SENDERS_MAX {
            let quiet = self.newest.iter().min_by_key(|(_, (_, at))| *at).map(|(p, _)| p.clone());
            quiet.map(|peer| self.newest.remove(&peer));
        }
        self.stats.frames += 1;
        Some((frame, whole))
    }

    /// Drop what has waited too long.
    pub fn expire(&mut self, now: Duration) {
        self.frames.expire(now);
    }

    /// What happened so far.
    pub fn stats(&self) -> VideoStats {
        VideoStats { fragments: self.frames.stats(), ..self.stats }
    }
}

/// Senders whose order is remembered.
const SENDERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::video::fragment;

    const AT: Duration = Duration::ZERO;

    fn assembler() -> VideoAssembler<u8> {
        VideoAssembler::new(ReassemblyLimits::default())
    }

    #[test]
    fn frames_of_two_senders_do_not_mix() {
        let mut video = assembler();
        let (a, b) = (fragment(1, b"aaaa", 10).unwrap(), fragment(1, b"bbbb", 10).unwrap());
        assert_eq!(video.handle(AT, &1, &a[0]), None);
        assert_eq!(video.handle(AT, &2, &b[1]), None);
        assert_eq!(video.handle(AT, &2, &b[0]), Some((1, b"bbbb".to_vec())));
        assert_eq!(video.handle(AT, &1, &a[1]), Some((1, b"aaaa".to_vec())));
    }

    #[test]
    fn a_newer_frame_overtakes_older_ones() {
        let mut video = assembler();
        let old = fragment(1, b"old!", 10).unwrap();
        let new = fragment(2, b"new!", 10).unwrap();
        video.handle(AT, &1, &old[0]);
        video.handle(AT, &1, &new[1]);
        assert!(video.handle(AT, &1, &new[0]).is_some());
        assert_eq!(video.handle(AT, &1, &old[1]), None);
        let stats = video.stats();
        assert_eq!((stats.frames, stats.incomplete(), stats.fragments.late), (1, 1, 1));
        assert_eq!(video.handle(AT, &1, b"garbage"), None);
        assert_eq!(video.stats().malformed, 1);
        let whole = fragment(0, b"past", 100).unwrap();
        assert_eq!(video.handle(AT, &1, &whole[0]), None);
        assert_eq!(video.stats().outdated, 1);
    }

    #[test]
    fn senders_are_bounded() {
        let mut video = assembler();
        for peer in 0..=255 {
            video.handle(
                Duration::from_secs(peer),
                &(peer as u8),
                &fragment(1, b"x", 9).unwrap()[0],
            );
        }
        assert_eq!(video.newest.len(), SENDERS_MAX);
    }
}
