//! What the drivers call: a datagram or a frame came in, or left, or was dropped on the way.

use std::net::SocketAddr;
use std::path::Path;

use super::headers::{port_unreachable, udp_headers};
use super::pcapng::LinkType;
use super::writer::{About, Appearance, Capture};
use super::{CaptureError, CaptureStats};
use crate::packet::{Direction, FlowOrdinal};
use crate::random::Seed;
use crate::units::Nanos;
use crate::verdict::{DropReason, Effects, Verdict};

/// A packet that is seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// When, on the clock of the run.
    pub(crate) now: Nanos,
    pub(crate) direction: Direction,
    pub(crate) flow: FlowOrdinal,
    /// What [`UdpTap::next_id`] gave for it when it came in; a copy has the same. 0: not known.
    pub(crate) id: u64,
    /// The TOS byte or traffic class of a datagram.
    pub(crate) tos: u8,
    /// The datagram; or the frame, behind its virtio header.
    pub(crate) bytes: &'a [u8],
}

/// Counts packets and writes comments; what is around the bytes is the concern of the two below.
#[derive(Debug)]
struct Tap {
    capture: Capture,
    next_id: u64,
}

impl Tap {
    fn create(path: &Path, about: &About) -> Result<Self, CaptureError> {
        Ok(Self { capture: Capture::create(path, about)?, next_id: 0 })
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn came_in(
        &self,
        seen: &Seen<'_>,
        verdict: &Verdict,
        checksum: Option<(usize, usize)>,
        parts: &[&[u8]],
    ) {
        let Seen { now, direction, flow, id, .. } = *seen;
        let record = |comment: Option<std::fmt::Arguments<'_>>| {
            let appearance = Appearance { now, direction, is_inbound: true, id, comment, checksum };
            self.capture.record(&appearance, parts);
        };
        let (ordinal, effects) = (verdict.ordinal, verdict.effects);
        match verdict.dropped {
            Some(reason) => record(Some(format_args!(
                "drop: {reason} ({direction} flow {flow} packet {ordinal})"
            ))),
            None if effects != Effects::NONE => {
                record(Some(format_args!("{effects} ({direction} flow {flow} packet {ordinal})")));
            }
            None => record(None),
        }
    }

    fn left(
        &self,
        seen: &Seen<'_>,
        dropped: Option<DropReason>,
        checksum: Option<(usize, usize)>,
        parts: &[&[u8]],
    ) {
        let Seen { now, direction, flow, id, .. } = *seen;
        let record = |comment: Option<std::fmt::Arguments<'_>>| {
            let appearance =
                Appearance { now, direction, is_inbound: false, id, comment, checksum };
            self.capture.record(&appearance, parts);
        };
        match dropped {
            Some(reason) => {
                record(Some(format_args!("not sent: {reason} ({direction} flow {flow})")));
            }
            None => record(None),
        }
    }
}

/// Captures datagrams, with the headers they had.
#[derive(Debug)]
pub(crate) struct UdpTap {
    tap: Tap,
    listen: SocketAddr,
    upstream: SocketAddr,
}

impl UdpTap {
    pub(crate) fn create(
        path: &Path,
        listen: SocketAddr,
        upstream: SocketAddr,
        seed: Seed,
    ) -> Result<Self, CaptureError> {
        let side = |name: &str, what: String| (name.to_owned(), what);
        let about = About {
            link: LinkType::Raw,
            sides: [
                side("client", format!("between the clients and the relay at {listen}")),
                side("server", format!("between the relay and the server at {upstream}")),
            ],
            comment: format!(
                "netem relay {listen} -> {upstream}, seed {seed}. IP and UDP headers are rebuilt."
            ),
        };
        Ok(Self { tap: Tap::create(path, &about)?, listen, upstream })
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        self.tap.next_id()
    }

    /// A datagram came in, from or for the client at `client`, whose datagrams the server sees
    /// coming from `outside`.
    pub(crate) fn came_in(
        &self,
        seen: &Seen<'_>,
        verdict: &Verdict,
        client: SocketAddr,
        outside: SocketAddr,
    ) {
        let (source, destination) = match seen.direction {
            Direction::Up => (client, self.listen),
            Direction::Down => (self.upstream, outside),
        };
        let headers = udp_headers(source, destination, seen.tos, seen.bytes);
        self.tap.came_in(seen, verdict, None, &[headers.as_bytes(), seen.bytes]);
    }

    /// A datagram left, or was dropped after it had been let in.
    pub(crate) fn left(
        &self,
        seen: &Seen<'_>,
        dropped: Option<DropReason>,
        client: SocketAddr,
        outside: SocketAddr,
    ) {
        let (source, destination) = match seen.direction {
            Direction::Up => (outside, self.upstream),
            Direction::Down => (self.listen, client),
        };
        let headers = udp_headers(source, destination, seen.tos, seen.bytes);
        self.tap.left(seen, dropped, None, &[headers.as_bytes(), seen.bytes]);
    }

    /// The system said that a datagram of `size_bytes` sent from `outside` found nobody at the
    /// server: the message that said so.
    pub(crate) fn unreachable(
        &self,
        now: Nanos,
        flow: FlowOrdinal,
        outside: SocketAddr,
        size_bytes: u32,
    ) {
        let message = port_unreachable(outside, self.upstream, size_bytes);
        self.tap.capture.record(
            &Appearance {
                now,
                direction: Direction::Down,
                is_inbound: true,
                id: 0,
                comment: Some(format_args!("drop: refused (up flow {flow}), nobody is there")),
                checksum: None,
            },
            &[&message],
        );
    }

    pub(crate) fn stats(&self) -> CaptureStats {
        self.tap.capture.stats()
    }

    pub(crate) fn finish(&mut self) {
        self.tap.capture.finish();
    }
}

/// Captures frames as they are, with the checksums that were left to the hardware finished.
#[cfg(all(target_os = "linux", feature = "raw"))]
#[derive(Debug)]
pub(crate) struct FrameTap(Tap);

#[cfg(all(target_os = "linux", feature = "raw"))]
impl FrameTap {
    pub(crate) fn create(
        path: &Path,
        left: &str,
        right: &str,
        seed: Seed,
    ) -> Result<Self, CaptureError> {
        let side = |name: &str, what: &str| (name.to_owned(), what.to_owned());
        let about = About {
            link: LinkType::Ethernet,
            sides: [side(left, "left side of the bridge"), side(right, "right side")],
            comment: format!("netem bridge {left} -> {right}, seed {seed}"),
        };
        Ok(Self(Tap::create(path, &about)?))
    }

    /// A frame came in.
    pub(crate) fn came_in(&self, seen: &Seen<'_>, verdict: &Verdict) {
        let (checksum, frame) = apart(seen.bytes);
        self.0.came_in(seen, verdict, checksum, &[frame]);
    }

    /// A frame left, or was dropped after it had been let in.
    pub(crate) fn left(&self, seen: &Seen<'_>, dropped: Option<DropReason>) {
        let (checksum, frame) = apart(seen.bytes);
        self.0.left(seen, dropped, checksum, &[frame]);
    }

    pub(crate) fn stats(&self) -> CaptureStats {
        self.0.capture.stats()
    }

    pub(crate) fn finish(&mut self) {
        self.0.capture.finish();
    }
}

/// The frame behind its `virtio_net_hdr` (virtio 1.2, section 5.1.6), and which checksum of it is
/// still to be computed: where it begins, and how far behind that it stands.
#[cfg(all(target_os = "linux", feature = "raw"))]
fn apart(bytes: &[u8]) -> (Option<(usize, usize)>, &[u8]) {
    const HEADER_BYTES: usize = 10;
    const NEEDS_CSUM: u8 = 1;
    let Some((header, frame)) = bytes.split_at_checked(HEADER_BYTES) else { return (None, bytes) };
    let word = |at: usize| usize::from(u16::from_ne_bytes([header[at], header[at + 1]]));
    let is_open = header[0] & NEEDS_CSUM != 0;
    (is_open.then(|| (word(6), word(8))), frame)
}
