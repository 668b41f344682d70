//! What happened to a packet, and why.

use std::fmt;

use crate::packet::PacketOrdinal;
use crate::units::Nanos;

/// Why a packet was dropped. Every drop has exactly one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DropReason {
    /// The loss model chose it.
    Loss,
    /// A rule chose it.
    Rule,
    /// It came during an outage.
    Blackhole,
    /// It is larger than the link's mtu.
    Mtu,
    /// It found the queue of a limited rate full.
    TailDrop,
    /// It was the oldest in the queue of a limited rate, and gave way to a new one.
    HeadDrop,
    /// It waited too long in the queue of a limited rate.
    CoDel,
    /// The link already holds as many packets as its limit allows.
    QueueFull,
    /// The link follows as many flows as it can.
    FlowsFull,
    /// The driver could not send it: the peer is not there (ECONNREFUSED).
    Refused,
    /// The driver could not send it: the system's send buffer is full.
    SendBufferFull,
    /// The driver could not send it: any other error of the operating system.
    SendFailed,
    /// The driver itself was too slow: the system dropped the packet before it was taken in. Not
    /// emulated.
    RelayOverrun,
    /// The driver was closed while the packet was on its way.
    Closed,
}

impl DropReason {
    /// All reasons, in the order statistics list them.
    pub const ALL: [Self; 14] = [
        Self::Loss,
        Self::Rule,
        Self::Blackhole,
        Self::Mtu,
        Self::TailDrop,
        Self::HeadDrop,
        Self::CoDel,
        Self::QueueFull,
        Self::FlowsFull,
        Self::Refused,
        Self::SendBufferFull,
        Self::SendFailed,
        Self::RelayOverrun,
        Self::Closed,
    ];

    /// The word for it in logs and statistics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Rule => "rule",
            Self::Blackhole => "blackhole",
            Self::Mtu => "mtu",
            Self::TailDrop => "tail-drop",
            Self::HeadDrop => "head-drop",
            Self::CoDel => "codel",
            Self::QueueFull => "queue-full",
            Self::FlowsFull => "flows-full",
            Self::Refused => "refused",
            Self::SendBufferFull => "send-buffer-full",
            Self::SendFailed => "send-failed",
            Self::RelayOverrun => "relay-overrun",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What else was done to a packet: a small set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Effects(u16);

impl Effects {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A second copy was made.
    pub const DUPLICATE: Self = Self(1);
    /// A second copy was made and dropped at once, because the queue was full.
    pub const DUPLICATE_DROPPED: Self = Self(1 << 1);
    /// It was held back, so that later packets overtake it.
    pub const REORDER: Self = Self(1 << 2);

    /// It leaves at once, ahead of those that wait for their delay.
    pub const AHEAD: Self = Self(1 << 3);
    /// Some of its bits were flipped.
    pub const CORRUPT: Self = Self(1 << 4);
    /// It was cut off.
    pub const TRUNCATE: Self = Self(1 << 5);
    /// It was marked "congestion experienced".
    pub const MARK: Self = Self(1 << 6);

    const WORDS: [(Self, &'static str); 7] = [
        (Self::DUPLICATE, "duplicate"),
        (Self::DUPLICATE_DROPPED, "duplicate-queue-full"),
        (Self::REORDER, "reorder"),
        (Self::AHEAD, "ahead"),
        (Self::CORRUPT, "corrupt"),
        (Self::TRUNCATE, "truncate"),
        (Self::MARK, "mark"),
    ];

    /// The set that [`Display`](fmt::Display) writes as `text`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == "-" {
            return Some(Self::NONE);
        }
        text.split('+').try_fold(Self::NONE, |set, word| {
            let (effect, _) = Self::WORDS.into_iter().find(|(_, known)| *known == word)?;
            Some(set.with(effect))
        })
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set with `other` added.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The words of the set joined by `+`, or `-` when it is empty.
impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (effect, word) in Self::WORDS {
            if self.contains(effect) {
                write!(f, "{separator}{word}")?;
                separator = "+";
            }
        }
        if separator.is_empty() { f.write_str("-") } else { Ok(()) }
    }
}

/// What the pipeline decided about one packet when it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The packet's place in its flow.
    pub ordinal: PacketOrdinal,
    /// Why it was dropped, or `None`: it will come out.
    pub dropped: Option<DropReason>,
    /// What was done to it.
    pub effects: Effects,
    /// The delay drawn for it; waiting behind other packets comes on top.
    pub delay: Nanos,
}

impl Verdict {
    /// For a packet that came in but can belong to no flow.
    pub(crate) const fn refused(reason: DropReason) -> Self {
        let (ordinal, effects, delay) = (PacketOrdinal(0), Effects::NONE, Nanos::ZERO);
        Self { ordinal, dropped: Some(reason), effects, delay }
    }

    /// Whether the packet will come out.
    pub const fn is_delivered(&self) -> bool {
        self.dropped.is_none()
    }
}
