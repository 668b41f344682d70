//! What travels: a packet, its direction, its flow, and its place in that flow.

use std::fmt;

/// Which way a packet travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Client to server; in a bridge, left to right.
    Up,
    /// Server to client; in a bridge, right to left.
    Down,
}

impl Direction {
    /// Both directions, up first.
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];

    /// The word for it: `up` or `down`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The other way.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// `up` or `down`.
impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A flow, numbered by first arrival: 0, 1, 2… Ports and addresses differ from run to run,
/// ordinals do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FlowOrdinal(pub u32);

impl FlowOrdinal {
    /// The one flow of everything that a driver does not tell apart: in a bridge ARP, neighbour
    /// discovery and the like, whose comings and goings must not change the other ordinals.
    pub const OTHER: Self = Self(u32::MAX);
}

/// The number, or `other`.
impl fmt::Display for FlowOrdinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::OTHER => f.write_str("other"),
            Self(ordinal) => ordinal.fmt(f),
        }
    }
}

/// A packet's place in its flow and direction, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PacketOrdinal(pub u64);

impl fmt::Display for PacketOrdinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One packet on its way through a [`Link`](crate::Link).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet<P> {
    /// The flow it belongs to.
    pub flow: FlowOrdinal,
    /// Its size in bytes, as the statistics and the log count it.
    pub size_bytes: u32,
    /// What the driver wants back when the packet comes out.
    pub payload: P,
}

/// A payload whose content an impairment may look at and change.
///
/// A link for any `P: Clone` decides about packets; only one that was told how
/// ([`Link::with_bytes`](crate::Link::with_bytes)) also flips bits, cuts packets off, marks them,
/// and lets rules look at their content.
pub trait PayloadMut {
    /// The content.
    fn bytes(&self) -> &[u8];
    /// The content, to be changed.
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Keeps the first `length` bytes, if there are more.
    fn truncate(&mut self, length: usize);
    /// Whether the packet says that its transport understands ECN (RFC 3168, section 5).
    fn is_ecn_capable(&self) -> bool {
        false
    }
    /// Sets "congestion experienced". Called only for what is ECN capable.
    fn mark_congestion(&mut self) {}
}

impl PayloadMut for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }
    fn truncate(&mut self, length: usize) {
        Self::truncate(self, length);
    }
}

/// [`PayloadMut`] as plain functions, so that a link of opaque payloads needs no bound.
#[derive(Debug)]
pub(crate) struct Access<P> {
    pub(crate) bytes: fn(&P) -> &[u8],
    pub(crate) bytes_mut: fn(&mut P) -> &mut [u8],
    pub(crate) truncate: fn(&mut P, usize),
    pub(crate) is_ecn_capable: fn(&P) -> bool,
    pub(crate) mark_congestion: fn(&mut P),
}

impl<P: PayloadMut> Access<P> {
    pub(crate) fn of_payload() -> Self {
        Self {
            bytes: P::bytes,
            bytes_mut: P::bytes_mut,
            truncate: P::truncate,
            is_ecn_capable: P::is_ecn_capable,
            mark_congestion: P::mark_congestion,
        }
    }
}
