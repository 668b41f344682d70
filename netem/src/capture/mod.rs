//! What passes, written to a pcapng file: both sides of the network, and why a packet was dropped.
//!
//! Each side is an interface of the file. A packet that comes in is seen on its side with the
//! verdict as comment (`drop: loss (up flow 0 packet 17)`); what leaves is seen on the other side
//! with the same packet number (`epb_packetid`). A packet that was let in and dropped later (by a
//! queue, by the system, because the run ended) is seen on the other side with a comment that
//! begins with `not sent:`. The relay has no headers, so it writes those that the datagrams had.
//!
//! Rule of this folder: an engine never waits for the disk. What the writer cannot keep up with
//! is counted and said: in the file, in [`CaptureStats`], on the command line.

mod headers;
mod pcapng;
mod tap;
mod writer;

use std::io;
use std::path::PathBuf;

#[cfg(all(target_os = "linux", feature = "raw"))]
pub(crate) use tap::FrameTap;
pub(crate) use tap::{Seen, UdpTap};

/// A capture could not be begun, or the disk failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the capture {}: {source}", path.display())]
pub struct CaptureError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// What has been captured so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaptureStats {
    /// Packets in the file, both sides.
    pub captured: u64,
    /// Packets left out, because the disk did not keep up or failed.
    pub omitted: u64,
    /// What the disk said, if it failed; nothing is written after that.
    pub failure: Option<String>,
}

impl CaptureStats {
    /// What the reader of a file that is not whole must know.
    pub fn warning(&self) -> Option<String> {
        let why = match &self.failure {
            None if self.omitted == 0 => return None,
            None => "the disk did not keep up",
            Some(failure) => failure.as_str(),
        };
        let Self { captured, omitted, .. } = self;
        Some(format!("the capture has {captured} packets and lacks {omitted}: {why}"))
    }
}
