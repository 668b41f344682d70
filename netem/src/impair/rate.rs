//! A limited rate: one packet after the other, each for as long as its bits take.
//!
//! A packet of n bytes occupies the wire for 8 n / rate seconds, counted exactly: fractions of a
//! nanosecond are carried over to the next packet, so the mean rate is exact over any time. With
//! `overhead` each packet counts as so many bytes more (or fewer); with `cell` its size is rounded
//! up to whole cells, each with its own overhead (ATM on ADSL: `cell 48 5`), as tc-netem does.
//!
//! Or the rate of a mahimahi trace: R. Netravali et al., "Mahimahi: accurate record-and-replay for
//! HTTP", USENIX ATC 2015. One line is one chance to send 1504 bytes at that millisecond (several
//! lines may name the same one); the trace repeats after its last line; a chance that nobody uses
//! is lost; a packet leaves with the chance that carries its last byte.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::units::{BitRate, Nanos, UnitError, Words};

const EXAMPLE: &str = "1mbit overhead 28 cell 48 5";
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// What mahimahi takes for one packet: its MTU of 1500 bytes and the TUN header of 4.
const CHANCE_BYTES: u32 = 1504;
/// More lines than an hour at 1 Gbit/s are refused.
const TRACE_LINES_MAX: usize = 1 << 29;

/// How fast packets leave. Written `10mbit`, or `1mbit overhead 28 cell 48 5`.
///
/// ```
/// let rate: netem::impair::Rate = "10mbit overhead 28".parse()?;
/// assert_eq!(rate.to_string(), "10mbit overhead 28");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    source: Source,
    overhead_bytes: i32,
    /// Payload and header of a cell.
    cell_bytes: Option<(u32, u32)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Fixed(BitRate),
    Trace(RateTrace),
}

/// How far the wire has got.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wire {
    /// When the last packet has left.
    pub(crate) free: Nanos,
    /// What the last packet took beyond whole nanoseconds, in 1/rate of a nanosecond.
    carry: u64,
    /// Which chance of a trace was used last, and how many bytes it has left.
    chance: Option<u64>,
    left: u32,
}

impl Rate {
    /// Always `rate`.
    pub const fn fixed(rate: BitRate) -> Self {
        Self { source: Source::Fixed(rate), overhead_bytes: 0, cell_bytes: None }
    }

    /// As `trace` says.
    pub const fn traced(trace: RateTrace) -> Self {
        Self { source: Source::Trace(trace), overhead_bytes: 0, cell_bytes: None }
    }

    /// The same, with each packet counted as `bytes` more.
    #[must_use]
    pub const fn with_overhead(mut self, bytes: i32) -> Self {
        self.overhead_bytes = bytes;
        self
    }

    /// The same, with each packet filled up to whole cells of `payload_bytes` (not zero) that take
    /// `header_bytes` more each.
    ///
    /// # Errors
    /// [`UnitError::OutOfRange`] for cells that hold nothing, or more than a packet.
    pub fn with_cells(mut self, payload_bytes: u32, header_bytes: u32) -> Result<Self, UnitError> {
        if !(1..=65_535).contains(&payload_bytes) || header_bytes > 65_535 {
            let value = format!("cell {payload_bytes} {header_bytes}");
            return Err(UnitError::OutOfRange { value, range: "1 to 65535 bytes" });
        }
        self.cell_bytes = Some((payload_bytes, header_bytes));
        Ok(self)
    }

    /// The fixed rate, if it is one.
    pub const fn bit_rate(&self) -> Option<BitRate> {
        match &self.source {
            Source::Fixed(rate) => Some(*rate),
            Source::Trace(_) => None,
        }
    }

    /// What a packet of `size_bytes` takes on the wire.
    pub fn wire_bytes(&self, size_bytes: u32) -> u64 {
        let bytes = (i64::from(size_bytes) + i64::from(self.overhead_bytes)).max(0) as u64;
        match self.cell_bytes {
            Some((cell, header)) => bytes.div_ceil(cell.into()) * u64::from(cell + header),
            None => bytes,
        }
    }

    /// When a packet that is ready at `ready` begins to leave.
    pub(crate) fn start(&self, wire: &Wire, ready: Nanos) -> Nanos {
        let at = ready.max(wire.free);
        match &self.source {
            Source::Fixed(_) => at,
            Source::Trace(trace) => trace.time(trace.usable(wire, ready).0),
        }
    }

    /// Sends a packet that is ready at `ready` and returns when it has left.
    pub(crate) fn send(&self, wire: &mut Wire, ready: Nanos, size_bytes: u32) -> Nanos {
        let bytes = self.wire_bytes(size_bytes);
        match &self.source {
            Source::Fixed(rate) => {
                if ready > wire.free {
                    (wire.free, wire.carry) = (ready, 0);
                }
                let rate = u128::from(rate.bits_per_second());
                let work = u128::from(bytes) * 8 * u128::from(NANOS_PER_SECOND);
                let work = work + u128::from(wire.carry);
                wire.carry = (work % rate) as u64;
                let nanos = u64::try_from(work / rate).unwrap_or(u64::MAX);
                wire.free = wire.free + Nanos::from_nanos(nanos);
            }
            Source::Trace(trace) => {
                let (chance, left) = trace.usable(wire, ready);
                let beyond = bytes.saturating_sub(left.into());
                let more = beyond.div_ceil(CHANCE_BYTES.into());
                let last = more * u64::from(CHANCE_BYTES);
                let chance = chance.saturating_add(more);
                wire.chance = Some(chance);
                wire.left = (u64::from(left) + last - bytes) as u32;
                wire.free = trace.time(chance);
            }
        }
        wire.free
    }
}

impl From<BitRate> for Rate {
    fn from(rate: BitRate) -> Self {
        Self::fixed(rate)
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, EXAMPLE);
        let mut rate = Self::fixed(words.quantity()?);
        if words.skip("overhead") {
            rate = rate.with_overhead(words.integer::<i16>()?.into());
        }
        if words.skip("cell") {
            let (payload, header) = (words.integer()?, words.integer()?);
            rate = rate.with_cells(payload, header)?;
        }
        words.end()?;
        Ok(rate)
    }
}

/// A trace has no words: it is shown, but not read back.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Fixed(rate) => rate.fmt(f)?,
            Source::Trace(trace) => write!(f, "trace of {} chances", trace.millis.len())?,
        }
        if self.overhead_bytes != 0 {
            write!(f, " overhead {}", self.overhead_bytes)?;
        }
        match self.cell_bytes {
            Some((cell, header)) => write!(f, " cell {cell} {header}"),
            None => Ok(()),
        }
    }
}

/// A mahimahi trace: the milliseconds at which a packet may leave, one a line.
///
/// ```
/// let trace: netem::impair::RateTrace = "0\n4\n4\n10\n".parse()?;
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateTrace {
    millis: Arc<[u64]>,
    period_ms: u64,
}

impl RateTrace {
    /// When chance number `chance` comes.
    fn time(&self, chance: u64) -> Nanos {
        let count = self.millis.len() as u64;
        let (rounds, place) = (chance / count, (chance % count) as usize);
        let millis = rounds.saturating_mul(self.period_ms).saturating_add(self.millis[place]);
        Nanos::from_millis(millis)
    }

    /// The first chance at or after `ready` that the wire can use, and its bytes.
    fn usable(&self, wire: &Wire, ready: Nanos) -> (u64, u32) {
        let next = match wire.chance {
            Some(chance) if wire.left > 0 && self.time(chance) >= ready => {
                return (chance, wire.left);
            }
            Some(chance) => chance.saturating_add(1),
            None => 0,
        };
        let ready_ms = ready.as_nanos().div_ceil(1_000_000);
        let (rounds, into) = (ready_ms / self.period_ms, ready_ms % self.period_ms);
        let place = self.millis.partition_point(|&millis| millis < into) as u64;
        let count = self.millis.len() as u64;
        // The end of a round and the start of the next are the same instant.
        let wrapped = into == 0 && rounds > 0;
        let ends = if wrapped { self.at_the_end() } else { 0 };
        let earliest = (rounds.saturating_mul(count)).saturating_add(place) - ends;
        (next.max(earliest), CHANCE_BYTES)
    }

    /// How many chances come at the very end of a round.
    fn at_the_end(&self) -> u64 {
        let before = self.millis.partition_point(|&millis| millis < self.period_ms);
        (self.millis.len() - before) as u64
    }
}

impl FromStr for RateTrace {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        const EXAMPLE: &str = "0\n4\n4\n10 (milliseconds, rising, the last above zero)";
        let refused = |word: &str| {
            let (value, word) = ("mahimahi trace".to_owned(), word.to_owned());
            UnitError::UnexpectedWord { value, word, example: EXAMPLE }
        };
        let mut millis: Vec<u64> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let milli = line.parse::<u32>().map_err(|_| refused(line))?;
            let rises = millis.last().is_none_or(|&before| before <= milli.into());
            if !rises || millis.len() >= TRACE_LINES_MAX {
                return Err(refused(line));
            }
            millis.push(milli.into());
        }
        let period_ms = millis.last().copied().unwrap_or_default();
        if period_ms == 0 {
            let value = "mahimahi trace".to_owned();
            return Err(UnitError::Incomplete { value, example: EXAMPLE });
        }
        Ok(Self { millis: millis.into(), period_ms })
    }
}
