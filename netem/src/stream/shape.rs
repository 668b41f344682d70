//! What a TCP stream can suffer, as values: delay, rate, slices, limit, timeout, slow close, reset.
//!
//! No loss, no duplicates, no reordering: TCP repairs them before an application sees anything, so
//! a relay between two TCP connections cannot show them. The bridge can, for TCP as for the rest.

use std::fmt;
use std::str::FromStr;

use crate::impair::{Delay, Rate};
use crate::link::LinkConfig;
use crate::units::{Bytes, Nanos, UnitError, Words};

/// Where a stream is cut unless `slice` says otherwise: what a packet of Ethernet carries.
const PIECE_BYTES: usize = 1448;

/// Why an impairment of packets is refused for a stream.
pub const PACKETS_ONLY: &str = "happens to packets, and TCP repairs it before anybody sees it: \
    between two interfaces, `netem bridge` does it to TCP too; on a stream use delay, rate, slice, \
    limit, timeout, slow-close or reset";

/// What one direction of every connection suffers. The default does nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamShape {
    /// How long bytes are delayed; the order is kept whatever the jitter.
    pub delay: Delay,
    /// How fast bytes flow.
    pub rate: Option<Rate>,
    /// How bytes are cut apart.
    pub slice: Option<Slice>,
    /// The connection ends, both ways, when so many bytes have passed.
    pub limit: Option<Bytes>,
    /// Nothing passes; the connection ends when it is so old. Zero: it never ends.
    pub timeout: Option<Nanos>,
    /// The end of the stream comes so much later than its last byte.
    pub slow_close: Nanos,
    /// The connection is reset (RST, both ways) when it is so old.
    pub reset: Option<Nanos>,
}

impl StreamShape {
    /// The settings that are not as by default, as [`set`](Self::set) takes them.
    ///
    /// ```
    /// let mut shape = netem::stream::StreamShape::default();
    /// shape.set("latency", "20ms")?;
    /// assert_eq!(shape.settings(), [("delay", "20ms".to_owned())]);
    /// # Ok::<(), netem::stream::StreamSettingError>(())
    /// ```
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = Vec::new();
        let mut say = |name, value: Option<&dyn fmt::Display>| {
            settings.extend(value.map(|value| (name, value.to_string())));
        };
        say("delay", (self.delay != Delay::default()).then_some(&self.delay));
        say("rate", self.rate.as_ref().map(|rate| rate as _));
        say("slice", self.slice.as_ref().map(|slice| slice as _));
        say("limit", self.limit.as_ref().map(|limit| limit as _));
        say("timeout", self.timeout.as_ref().map(|timeout| timeout as _));
        say("slow-close", (self.slow_close > Nanos::ZERO).then_some(&self.slow_close));
        say("reset", self.reset.as_ref().map(|reset| reset as _));
        settings
    }

    /// What contradicts itself, and what to do about it.
    pub fn contradiction(&self) -> Option<&'static str> {
        let (delay, rate) = (self.delay.clone(), self.rate.clone());
        LinkConfig { delay, rate, ..LinkConfig::default() }.contradiction()
    }

    /// The size of the pieces that a stream is cut into, when it is cut.
    pub(super) fn piece_bytes(&self) -> usize {
        self.slice.map_or(PIECE_BYTES, |slice| slice.bytes() as usize)
    }
}

/// Slices of a size, each so much later than the one before. Written `100B`, or `100B 5ms`.
///
/// ```
/// let slice: netem::stream::Slice = "100B 5ms".parse()?;
/// assert_eq!(slice.to_string(), "100B 5ms");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    bytes: Bytes,
    pause: Nanos,
}

impl Slice {
    /// Slices of `bytes`, `pause` apart.
    ///
    /// # Errors
    /// [`UnitError::OutOfRange`] for slices of nothing.
    pub fn new(bytes: Bytes, pause: Nanos) -> Result<Self, UnitError> {
        if bytes.get() == 0 {
            let value = bytes.to_string();
            return Err(UnitError::OutOfRange { value, range: "1B up" });
        }
        Ok(Self { bytes, pause })
    }

    /// The size of a slice.
    pub const fn bytes(self) -> u32 {
        self.bytes.get()
    }

    /// The time between two slices.
    pub const fn pause(self) -> Nanos {
        self.pause
    }
}

impl FromStr for Slice {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut words = Words::new(text, "100B 5ms");
        let bytes = words.quantity()?;
        let pause = words.number()?.unwrap_or_default();
        words.end()?;
        Self::new(bytes, pause)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pause {
            Nanos::ZERO => self.bytes.fmt(f),
            pause => write!(f, "{} {pause}", self.bytes),
        }
    }
}
