//! An adaptive jitter buffer: frames come when the network likes, and leave at an even pace.
//!
//! The target delay is the 97th percentile of the jitter of the last packets plus one frame. The
//! buffer grows by asking for a concealed frame and shrinks by leaving one out, one at a time.
//! It knows timestamps and sequence numbers, not what is in a frame, and reads no clock.
//!
//! Rules: a frame is handed out at most once; the head never goes backwards; a gap in the
//! sequence numbers is loss, a gap in the timestamps alone is the sender's silence.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What the buffer gives for one frame of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Playout {
    /// Play this.
    Frame(Vec<u8>),
    /// The frame is missing: conceal it.
    Lost,
    /// Repeat a little while the delay grows: conceal, nothing is missing.
    Stretch,
    /// The sender is silent, or nothing has come yet.
    Silence,
}

/// Counts of what happened; frames unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Put in and kept.
    pub accepted: u64,
    /// Came after their time.
    pub late: u64,
    /// Came again.
    pub duplicate: u64,
    /// Pushed out because the buffer was full.
    pub overflow: u64,
    /// Handed out.
    pub played: u64,
    /// Asked to be concealed because missing.
    pub lost: u64,
    /// Concealed to let the delay grow.
    pub stretched: u64,
    /// Left out to let the delay shrink.
    pub skipped: u64,
    /// Times the sender began anew.
    pub restarts: u64,
}

/// Holds frames until their time. `rate_hz` counts timestamps, `frame_samples` a frame's length.
#[derive(Debug)]
pub struct JitterBuffer {
    rate_hz: u32,
    frame_samples: i64,
    delay_max: Duration,
    frames: BTreeMap<i64, Waiting>,
    /// The extended timestamp that plays next; `None` while the buffer fills.
    head: Option<i64>,
    played_sequence: Option<i64>,
    highest: Option<(i64, i64)>,
    transits: VecDeque<i64>,
    missing_in_a_row: u32,
    above: u32,
    since_stretch: u32,
    target: Duration,
    stats: JitterStats,
}

#[derive(Debug)]
struct Waiting {
    sequence: i64,
    arrived: Duration,
    payload: Vec<u8>,
}

impl JitterBuffer {
    /// Make an empty buffer that never delays by more than `delay_max`.
    pub fn new(rate_hz: u32, frame_samples: u32, delay_max: Duration) -> Self {
        let rate_hz = rate_hz.max(1);
        let frame_samples = i64::from(frame_samples.max(1));
        let mut new = Self {
            rate_hz,
            frame_samples,
            delay_max,
            frames: BTreeMap::new(),
            head: None,
            played_sequence: None,
            highest: None,
            transits: VecDeque::with_capacity(TRANSITS_MAX),
            missing_in_a_row: 0,
            above: 0,
            since_stretch: 0,
            target: Duration::ZERO,
            stats: JitterStats::default(),
        };
        // A first guess of two frames until the network has been seen.
        new.target = (new.frame_time() * 2).min(delay_max);
        new
    }

    /// Put in the frame of one packet.
    pub fn push(&mut self, now: Duration, sequence: u16, timestamp: u32, payload: &[u8]) {
        let (mut sequence, mut timestamp) = self.extend(sequence, timestamp);
        if self.highest.is_some_and(|(_, highest)| self.is_restart(timestamp, highest)) {
            self.restart();
            (sequence, timestamp) = (sequence & 0xFFFF, timestamp & 0xFFFF_FFFF);
        }
        if self.highest.is_none_or(|(highest, _)| sequence > highest) {
            self.highest = Some((sequence, timestamp));
        }
        self.observe(now, timestamp);
        if self.head.is_some_and(|head| timestamp < head) {
            self.stats.late += 1;
            return;
        }
        if self.frames.contains_key(&timestamp) {
            self.stats.duplicate += 1;
            return;
        }
        let waiting = Waiting { sequence, arrived: now, payload: payload.to_vec() };
        self.frames.insert(timestamp, waiting);
        self.stats.accepted += 1;
        if self.frames.len() > FRAMES_MAX {
            self.frames.pop_first();
            self.stats.overflow += 1;
        }
    }

    /// What to play for the next frame of time; to be called once a frame.
    pub fn pull(&mut self, now: Duration) -> Playout {
        let Some(head) = self.head.or_else(|| self.begin(now)) else { return Playout::Silence };
        self.head = Some(head);
        self.since_stretch = self.since_stretch.saturating_add(1);
        let head = match self.adjust(now, head) {
            Some(head) => head,
            None => {
                self.stats.stretched += 1;
                return Playout::Stretch;
            }
        };
        self.head = Some(head + self.frame_samples);
        // A peer may number its samples in steps that are not ours: take what begins in the span.
        let due = self.frames.range(..head + self.frame_samples).next().map(|(at, _)| *at);
        if let Some(waiting) = due.and_then(|at| self.frames.remove(&at)) {
            self.played_sequence = Some(waiting.sequence);
            self.missing_in_a_row = 0;
            self.stats.played += 1;
            return Playout::Frame(waiting.payload);
        }
        self.missing()
    }

    /// How long a frame waits at the moment, at least.
    pub fn target_delay(&self) -> Duration {
        self.target
    }

    /// What happened so far.
    pub fn stats(&self) -> JitterStats {
        self.stats
    }

    /// Forget the frames and the timing, as when another sender takes over.
    pub fn restart(&mut self) {
        self.frames.clear();
        self.head = None;
        self.played_sequence = None;
        self.highest = None;
        self.transits.clear();
        self.missing_in_a_row = 0;
        self.stats.restarts += 1;
    }

    fn missing(&mut self) -> Playout {
        self.missing_in_a_row += 1;
        match self.frames.first_key_value() {
            Some((_, next)) => {
                let silent = self.played_sequence.is_some_and(|last| next.sequence == last + 1);
                if silent {
                    return Playout::Silence;
                }
                self.stats.lost += 1;
                Playout::Lost
            }
            // Nothing at all waits: a lost frame at first, then a sender who went silent.
            None if self.missing_in_a_row <= MISSING_IN_A_ROW_MAX => {
                self.stats.lost += 1;
                Playout::Lost
            }
            None => {
                self.head = None;
                Playout::Silence
            }
        }
    }

    /// Begin to play when the first frame has waited for the target, or enough lie behind it.
    fn begin(&mut self, now: Duration) -> Option<i64> {
        let (first, waiting) = self.frames.first_key_value()?;
        let (last, _) = self.frames.last_key_value()?;
        let depth = self.time_of(last - first + self.frame_samples);
        let waited = now.saturating_sub(waiting.arrived);
        self.missing_in_a_row = 0;
        (waited >= self.target || depth > self.target).then_some(*first)
    }

    /// The head to play from: the next frame when the delay is too long, `None` to wait a frame.
    fn adjust(&mut self, now: Duration, head: i64) -> Option<i64> {
        let Some(fastest) = self.transits.iter().min() else { return Some(head) };
        let frame = self.frame_time().as_micros() as i64;
        let delay = now.as_micros() as i64 - self.micros_of(head) - fastest;
        let excess = delay - self.target.as_micros() as i64;
        self.above = if excess > frame + frame / 2 { self.above + 1 } else { 0 };
        if self.above >= ABOVE_FRAMES && self.frames.len() > 1 {
            self.above = 0;
            self.stats.skipped += 1;
            let behind = self.frames.split_off(&(head + self.frame_samples));
            self.frames = behind;
            return Some(head + self.frame_samples);
        }
        let short = excess < -frame && self.since_stretch >= STRETCH_FRAMES;
        if short {
            self.since_stretch = 0;
            return None;
        }
        Some(head)
    }

    fn observe(&mut self, now: Duration, timestamp: i64) {
        if self.transits.len() == TRANSITS_MAX {
            self.transits.pop_front();
        }
        self.transits.push_back(now.as_micros() as i64 - self.micros_of(timestamp));
        let mut sorted: Vec<i64> = self.transits.iter().copied().collect();
        let fastest = sorted.iter().min().copied().unwrap_or_default();
        let rank = (sorted.len() * TARGET_PERCENT / 100).min(sorted.len() - 1);
        let (_, slow, _) = sorted.select_nth_unstable(rank);
        let jitter = Duration::from_micros((*slow - fastest).max(0) as u64);
        let seen_enough = self.transits.len() >= TRANSITS_MIN;
        let floor = if seen_enough { Duration::ZERO } else { self.frame_time() };
        self.target = (jitter.max(floor) + self.frame_time()).min(self.delay_max);
    }

    /// Both numbers without their wrap, near the highest seen (RFC 3550 A.1).
    fn extend(&self, sequence: u16, timestamp: u32) -> (i64, i64) {
        let Some((high_sequence, high_timestamp)) = self.highest else {
            return (i64::from(sequence), i64::from(timestamp));
        };
        let step = i64::from(sequence.wrapping_sub(high_sequence as u16) as i16);
        let time_step = i64::from(timestamp.wrapping_sub(high_timestamp as u32) as i32);
        (high_sequence + step, high_timestamp + time_step)
    }

    fn is_restart(&self, timestamp: i64, highest: i64) -> bool {
        // Backwards by more than ever waits, or forwards by more than a pause in speech.
        let back = i64::from(self.rate_hz) * RESTART_BACK_S;
        let ahead = i64::from(self.rate_hz) * RESTART_AHEAD_S;
        timestamp < highest - back || timestamp > highest + ahead
    }

    fn frame_time(&self) -> Duration {
        self.time_of(self.frame_samples)
    }

    fn time_of(&self, samples: i64) -> Duration {
        Duration::from_micros(self.micros_of(samples.max(0)) as u64)
    }

    fn micros_of(&self, samples: i64) -> i64 {
        (i128::from(samples) * 1_000_000 / i128::from(self.rate_hz)) as i64
    }
}

/// Frames that wait at most; at 20 ms a frame, five seconds.
pub const FRAMES_MAX: usize = 256;
/// Packets whose jitter is remembered; at 20 ms a frame, ten seconds.
const TRANSITS_MAX: usize = 500;
/// Packets before the measured jitter alone decides.
const TRANSITS_MIN: usize = 50;
const TARGET_PERCENT: usize = 97;
/// Frames in a row that must lie above the target before one is left out.
const ABOVE_FRAMES: u32 = 25;
/// Frames between two stretches.
const STRETCH_FRAMES: u32 = 5;
/// Empty frames in a row that count as loss; more are silence.
const MISSING_IN_A_ROW_MAX: u32 = 5;
const RESTART_BACK_S: i64 = 5;
const RESTART_AHEAD_S: i64 = 600;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: u32 = 320;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn buffer() -> JitterBuffer {
        JitterBuffer::new(16_000, FRAME, ms(400))
    }

    /// Frame number `n`, sent at `20 n` ms, put in at `at` ms.
    fn push(buffer: &mut JitterBuffer, n: u16, at: u64) {
        buffer.push(ms(at), n, u32::from(n) * FRAME, &[n as u8]);
    }

    /// The numbers of the frames that play at 20 ms, 40 ms…; 255 for anything else.
    fn play(buffer: &mut JitterBuffer, from: u64, count: u64) -> Vec<u8> {
        let pull = |n| match buffer.pull(ms(from + 20 * n)) {
            Playout::Frame(payload) => payload[0],
            _ => 255,
        };
        (0..count).map(pull).collect()
    }

    #[test]
    fn an_even_stream_plays_whole_and_in_order() {
        let mut buffer = buffer();
        let mut heard = Vec::new();
        for n in 0..200u16 {
            push(&mut buffer, n, u64::from(n) * 20);
            heard.extend(play(&mut buffer, u64::from(n) * 20 + 1, 1));
        }
        let frames: Vec<u8> = heard.iter().copied().filter(|n| *n != 255).collect();
        assert!(frames.len() >= 195, "{heard:?}");
        assert!(frames.windows(2).all(|pair| pair[1] == pair[0] + 1 || pair[1] == pair[0] + 2));
        assert!(buffer.target_delay() <= ms(40), "{:?}", buffer.target_delay());
    }

    #[test]
    fn reordered_and_duplicated_frames_play_once_in_order() {
        let mut buffer = buffer();
        for (n, at) in [(0, 0), (2, 40), (1, 41), (1, 42), (3, 60), (5, 100), (4, 101)] {
            push(&mut buffer, n, at);
        }
        assert_eq!(play(&mut buffer, 60, 6), [0, 1, 2, 3, 4, 5]);
        assert_eq!(buffer.stats().duplicate, 1);
    }

    #[test]
    fn a_missing_frame_is_lost_and_a_late_one_counted() {
        let mut buffer = buffer();
        for n in [0, 1, 3] {
            push(&mut buffer, n, u64::from(n) * 20);
        }
        assert_eq!(play(&mut buffer, 60, 3), [0, 1, 255]);
        push(&mut buffer, 2, 101);
        assert_eq!(play(&mut buffer, 120, 1), [3]);
        let stats = buffer.stats();
        assert_eq!((stats.lost, stats.late, stats.played), (1, 1, 3));
    }

    #[test]
    fn a_gap_in_time_without_a_gap_in_numbers_is_silence() {
        let mut buffer = buffer();
        buffer.push(ms(0), 7, 0, b"a");
        buffer.push(ms(20), 8, FRAME, b"b");
        buffer.push(ms(80), 9, 4 * FRAME, b"c");
        let heard: Vec<_> = (0..5).map(|n| buffer.pull(ms(60 + 20 * n))).collect();
        assert_eq!(heard[2..4], [Playout::Silence, Playout::Silence]);
        assert_eq!(heard[4], Playout::Frame(b"c".to_vec()));
        assert_eq!(buffer.stats().lost, 0);
    }

    #[test]
    fn jitter_makes_it_wait_longer_and_calm_shorter_again() {
        let mut buffer = buffer();
        for n in 0..400u16 {
            let late = if n % 5 == 0 { 90 } else { 0 };
            push(&mut buffer, n, u64::from(n) * 20 + late);
            buffer.pull(ms(u64::from(n) * 20 + 95));
        }
        let nervous = buffer.target_delay();
        assert!(nervous >= ms(90), "{nervous:?}");
        for n in 400..1200u16 {
            push(&mut buffer, n, u64::from(n) * 20);
            buffer.pull(ms(u64::from(n) * 20 + 15));
        }
        assert!(buffer.target_delay() <= ms(40), "{:?}", buffer.target_delay());
        assert!(buffer.stats().skipped > 0);
    }

    #[test]
    fn a_sender_that_begins_anew_is_heard() {
        let mut buffer = buffer();
        buffer.push(ms(0), 60_000, 3_000_000_000, b"old");
        buffer.push(ms(20), 5, 77, b"new");
        assert_eq!(buffer.stats().restarts, 1);
        assert_eq!(buffer.pull(ms(60)), Playout::Frame(b"new".to_vec()));
    }

    #[test]
    fn numbers_wrap() {
        let mut buffer = buffer();
        let start = u32::MAX - FRAME + 1;
        for n in 0..4u16 {
            let timestamp = start.wrapping_add(u32::from(n) * FRAME);
            let at = ms(20 * u64::from(n));
            buffer.push(at, 65_534u16.wrapping_add(n), timestamp, &[n as u8]);
        }
        assert_eq!(play(&mut buffer, 60, 4), [0, 1, 2, 3]);
    }

    proptest! {
        /// Whatever comes: bounded memory, nothing played twice, never backwards.
        #[test]
        fn plays_nothing_twice_and_never_backwards(
            input in prop::collection::vec((any::<u16>(), 0u64..300), 1..300),
        ) {
            let mut buffer = buffer();
            let mut now = 0;
            let mut played = 0;
            for (n, wait) in &input {
                push(&mut buffer, *n % 1000, now);
                now += wait;
                if let Playout::Frame(_) = buffer.pull(ms(now)) {
                    played += 1;
                }
                prop_assert!(buffer.frames.len() <= FRAMES_MAX);
                prop_assert!(buffer.target_delay() <= ms(400));
            }
            let stats = buffer.stats();
            prop_assert_eq!(stats.played, played);
            let seen = stats.accepted + stats.late + stats.duplicate;
            prop_assert_eq!(seen, input.len() as u64);
            prop_assert!(stats.played + stats.overflow <= stats.accepted);
        }
    }
}
