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
        f.write_str(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
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
