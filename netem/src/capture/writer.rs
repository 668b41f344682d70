//! The file and the thread that writes it.
//!
//! Engines compose blocks into a buffer in memory; the thread swaps the buffer for an empty one
//! and writes. The buffer is bounded: what does not fit is counted, and the next packet of that
//! side says in the file how many are missing before it.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use super::headers::finish_checksum;
use super::pcapng::{
    EpochNanos, LinkType, PacketHead, write_interface, write_packet, write_section,
    write_statistics,
};
use super::{CaptureError, CaptureStats};
use crate::packet::Direction;
use crate::units::Nanos;

/// What waits for the disk at most. The buffer that is being written may be as large again.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// Room for what a block has around the packet.
const BLOCK_BYTES: usize = 256;

/// What the file says about the run and its two sides.
#[derive(Debug)]
pub(super) struct About {
    pub(super) link: LinkType,
    /// Name and description: the side that `up` comes from, then the other.
    pub(super) sides: [(String, String); 2],
    pub(super) comment: String,
}

/// One appearance of a packet on one side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Appearance<'a> {
    /// When, on the clock of the run.
    pub(super) now: Nanos,
    pub(super) direction: Direction,
    /// It comes in on the side its direction begins at; otherwise it leaves on the other.
    pub(super) is_inbound: bool,
    pub(super) id: u64,
    pub(super) comment: Option<fmt::Arguments<'a>>,
    /// Where a checksum that was left to the hardware begins, and how far behind it stands.
    pub(super) checksum: Option<(usize, usize)>,
}

/// A capture that is being written; dropping it finishes the file.
#[derive(Debug)]
pub(super) struct Capture {
    start: EpochNanos,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// The side of `up`, the other side: packets that appeared, that are missing in the file, and
    /// of those the ones that the file does not tell of yet.
    seen: [u64; 2],
    missing: [u64; 2],
    untold: [u64; 2],
    last: Nanos,
    is_ending: bool,
    failure: Option<io::Error>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Capture {
    /// Creates the file and starts its thread. The clock of the run starts now.
    pub(super) fn create(path: &Path, about: &About) -> Result<Self, CaptureError> {
        let failed = |source| CaptureError { path: path.to_owned(), source };
        let mut file = File::create(path).map_err(failed)?;
        let mut head = Vec::new();
        write_section(&mut head, concat!("netem ", env!("CARGO_PKG_VERSION")), &about.comment);
        for (name, description) in &about.sides {
            write_interface(&mut head, about.link, name, description);
        }
        file.write_all(&head).map_err(failed)?;
        Self::start(file).map_err(|source| CaptureError { path: PathBuf::from(path), source })
    }

    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = EpochNanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let work = move || write_until_end(&for_thread, out, start);
        let thread = std::thread::Builder::new().name("netem-capture".to_owned()).spawn(work)?;
        Ok(Self { start, shared, thread: Some(thread) })
    }

    /// Takes note of a packet; `parts` are its bytes. Never waits for the disk.
    pub(super) fn record(&self, seen: &Appearance<'_>, parts: &[&[u8]]) {
        let side = (seen.direction as usize) ^ usize::from(!seen.is_inbound);
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let mut waiting = self.shared.lock();
        waiting.seen[side] += 1;
        waiting.last = waiting.last.max(seen.now);
        let is_full = waiting.bytes.len() + size + BLOCK_BYTES > WAITING_BYTES_MAX;
        if is_full || waiting.failure.is_some() {
            waiting.missing[side] += 1;
            waiting.untold[side] += 1;
            return;
        }
        let missing = std::mem::take(&mut waiting.untold[side]);
        let head = PacketHead {
            interface: side as u32,
            time: self.start.plus(seen.now),
            is_inbound: seen.is_inbound,
            id: seen.id,
            missing,
            comment: seen.comment,
        };
        let was_empty = waiting.bytes.is_empty();
        let at = write_packet(&mut waiting.bytes, &head, parts);
        if let Some((start, offset)) = seen.checksum {
            finish_checksum(&mut waiting.bytes[at..at + size], start, offset);
        }
        drop(waiting);
        if was_empty {
            self.shared.changed.notify_one();
        }
    }

    pub(super) fn stats(&self) -> CaptureStats {
        let waiting = self.shared.lock();
        let omitted = waiting.missing.iter().sum();
        let captured = waiting.seen.iter().sum::<u64>() - omitted;
        let failure = waiting.failure.as_ref().map(ToString::to_string);
        CaptureStats { captured, omitted, failure }
    }

    /// Writes what waits, and the end of the file; twice is harmless.
    pub(super) fn finish(&mut self) {
        self.shared.lock().is_ending = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported on standard error already.
            let _ = thread.join();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The thread's work: write what waits until the end, then the statistics.
fn write_until_end(shared: &Shared, mut out: impl Write, start: EpochNanos) {
    let mut taken = Vec::new();
    loop {
        let mut waiting = shared.lock();
        while waiting.bytes.is_empty() && !waiting.is_ending {
            waiting = shared.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let is_last = waiting.bytes.is_empty();
        if is_last {
            let times = (start, start.plus(waiting.last));
            for side in 0..2 {
                let (seen, missing) = (waiting.seen[side], waiting.missing[side]);
                write_statistics(&mut taken, side as u32, times, seen, missing);
            }
        } else {
            std::mem::swap(&mut taken, &mut waiting.bytes);
        }
        let has_failed = waiting.failure.is_some();
        drop(waiting);
        if !has_failed && let Err(error) = out.write_all(&taken).and_then(|()| out.flush()) {
            let mut waiting = shared.lock();
            waiting.failure = Some(error);
            // Unwritten, but counted as captured: nobody knows how much of it is in the file.
            waiting.bytes = Vec::new();
        }
        if is_last {
            return;
        }
        taken.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A disk that takes its time: each write waits for a permission.
    struct Slow {
        permission: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.permission.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no space left"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const SEEN: Appearance<'static> = Appearance {
        now: Nanos::ZERO,
        direction: Direction::Up,
        is_inbound: true,
        id: 0,
        comment: None,
        checksum: None,
    };

    #[test]
    fn a_slow_disk_costs_packets_in_the_file_and_says_so() {
        let (allow, permission) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow { permission, written: Arc::clone(&written) };
        let mut capture = Capture::start(slow).unwrap();
        let packet = vec![0; 60_000];
        for _ in 0..2000 {
            capture.record(&SEEN, &[&packet]);
        }
        let stats = capture.stats();
        // The buffer that waits, and perhaps the one that is being written.
        let held = WAITING_BYTES_MAX / 60_000;
        assert!((held as u64 - 2..=2 * held as u64).contains(&stats.captured), "{stats:?}");
        assert_eq!(stats.captured + stats.omitted, 2000);
        assert!(stats.warning().unwrap().contains("did not keep up"));
        drop(allow);
        capture.finish();
        let written = written.lock().unwrap();
        let statistics = &written[written.len() - 2 * 76..];
        assert_eq!(statistics[..4], 5u32.to_le_bytes(), "the file ends with both statistics");
    }

    #[test]
    fn a_broken_disk_is_said_and_ends_nothing_else() {
        let mut capture = Capture::start(Broken).unwrap();
        capture.record(&SEEN, &[b"first"]);
        while capture.stats().failure.is_none() {
            std::thread::yield_now();
        }
        capture.record(&SEEN, &[b"second"]);
        let stats = capture.stats();
        assert_eq!(stats.omitted, 1);
        assert_eq!(stats.failure.as_deref(), Some("no space left"));
        assert!(stats.warning().unwrap().ends_with("no space left"));
        capture.finish();
        capture.finish();
    }
}
