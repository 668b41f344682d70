//! The queue in front of a limited rate: how long it may be, and who is dropped.
//!
//! Drop-tail refuses the packet that comes when it is full; drop-head makes room by dropping the
//! oldest; CoDel (see `codel.rs`) drops from the head what keeps waiting too long, and refuses at
//! the tail when it is full all the same.

use std::fmt;
use std::str::FromStr;

use crate::units::{Bytes, Nanos, UnitError, Words};

/// How many packets wait at most unless said otherwise: tc-netem's limit.
pub const QUEUE_LIMIT_DEFAULT: u32 = 1000;
/// CoDel's target and interval unless said otherwise (RFC 8289, sections 4.3 and 4.4).
pub const CODEL_TARGET_DEFAULT: Nanos = Nanos::from_millis(5);
/// See [`CODEL_TARGET_DEFAULT`].
pub const CODEL_INTERVAL_DEFAULT: Nanos = Nanos::from_millis(100);

const EXAMPLE: &str = "droptail 64KiB\" or \"codel limit 1000 target 5ms interval 100ms ecn";

/// Who waits for the wire. Written `droptail 1000`, `drophead 64KiB`, or
/// `codel limit 1000 target 5ms interval 100ms ecn`.
///
/// ```
/// let queue: netem::impair::Queue = "codel target 10ms".parse()?;
/// assert_eq!(queue.to_string(), "codel limit 1000 target 10ms interval 100ms");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Queue {
    /// Who is dropped.
    pub discipline: Discipline,
    /// How much may wait.
    pub limit: QueueLimit,
}

/// Who is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Discipline {
    /// The packet that finds the queue full.
    #[default]
    DropTail,
    /// The packet that has waited longest.
    DropHead,
    /// What waits too long for too long.
    CoDel(CoDel),
}

/// The settings of CoDel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoDel {
    /// How long a packet may wait.
    pub target: Nanos,
    /// For how long all may wait longer before the first is dropped.
    pub interval: Nanos,
    /// Whether packets that understand ECN are marked instead.
    pub ecn: bool,
}

impl Default for CoDel {
    fn default() -> Self {
        let (target, interval) = (CODEL_TARGET_DEFAULT, CODEL_INTERVAL_DEFAULT);
        Self { target, interval, ecn: false }
    }
}

/// How much may wait, not counting the packet on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueLimit {
    /// So many packets.
    Packets(u32),
    /// So many bytes.
    Bytes(Bytes),
}

impl Default for QueueLimit {
    fn default() -> Self {
        Self::Packets(QUEUE_LIMIT_DEFAULT)
    }
}

impl QueueLimit {
    /// Whether `packets` of `bytes` together and one more of `size_bytes` fit.
    #[inline]
    pub(crate) fn has_room(self, packets: usize, bytes: u64, size_bytes: u32) -> bool {
        match self {
            Self::Packets(limit) => packets < limit as usize,
            Self::Bytes(limit) => bytes + u64::from(size_bytes) <= u64::from(limit.get()),
        }
    }

    fn read(words: &mut Words<'_>) -> Result<Self, UnitError> {
        let word = words.next().unwrap_or_default();
        if let Ok(packets) = word.parse() {
            return Ok(Self::Packets(packets));
        }
        word.parse().map(Self::Bytes)
    }
}

impl FromStr for Queue {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, EXAMPLE);
        let mut queue = Self::default();
        let word = words.next().unwrap_or_default();
        let is_codel = word == "codel";
        match word {
            "droptail" => queue.limit = QueueLimit::read(&mut words)?,
            "drophead" => {
                queue =
                    Self { discipline: Discipline::DropHead, limit: QueueLimit::read(&mut words)? };
            }
            "codel" => {}
            word => return Err(words.unexpected(word)),
        }
        let mut codel = CoDel::default();
        while let Some(word) = words.next() {
            match word {
                "limit" if is_codel => queue.limit = QueueLimit::read(&mut words)?,
                "target" if is_codel => codel.target = words.quantity()?,
                "interval" if is_codel => codel.interval = words.quantity()?,
                "ecn" if is_codel => codel.ecn = true,
                word => return Err(words.unexpected(word)),
            }
        }
        if is_codel {
            queue.discipline = Discipline::CoDel(codel);
        }
        Ok(queue)
    }
}

impl fmt::Display for QueueLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packets(packets) => packets.fmt(f),
            Self::Bytes(bytes) => bytes.fmt(f),
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.discipline {
            Discipline::DropTail => write!(f, "droptail {}", self.limit),
            Discipline::DropHead => write!(f, "drophead {}", self.limit),
            Discipline::CoDel(CoDel { target, interval, ecn }) => {
                write!(f, "codel limit {} target {target} interval {interval}", self.limit)?;
                f.write_str(if ecn { " ecn" } else { "" })
            }
        }
    }
}
