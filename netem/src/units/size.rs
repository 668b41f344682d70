//! [`Bytes`]: the size of a packet or of a queue.

use std::fmt;
use std::str::FromStr;

use super::{UnitError, decimal};

const KNOWN: &str = "B, kB, MB (thousands), or KiB, MiB (1024s)";
const EXAMPLE: &str = "1400B";
const RANGE: &str = "0B to 4294967295B";

/// A number of bytes, 0 to 2^32 - 1. Written `1400B`, `64kB`, `64KiB`.
///
/// ```
/// use netem::Bytes;
/// let size: Bytes = "64KiB".parse()?;
/// assert_eq!(size, Bytes::new(65_536));
/// assert_eq!(size.to_string(), "64KiB");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(u32);

impl Bytes {
    /// `bytes` bytes.
    pub const fn new(bytes: u32) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = decimal::split(text, EXAMPLE)?;
        let value = || text.trim().to_owned();
        let factor = match unit {
            "B" => 1u128,
            "kB" => 1_000,
            "MB" => 1_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "" => return Err(UnitError::NoUnit { value: value(), example: value() + "B" }),
            unit => {
                let unit = unit.to_owned();
                return Err(UnitError::UnknownUnit { value: value(), unit, known: KNOWN });
            }
        };
        let bytes = number.times(factor).and_then(|bytes| u32::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| UnitError::OutOfRange { value: value(), range: RANGE })
    }
}

/// The coarsest unit that keeps the value exact; parses back to the same value.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => write!(f, "0B"),
            n if n % 1_000_000 == 0 => write!(f, "{}MB", n / 1_000_000),
            n if n % 1_000 == 0 => write!(f, "{}kB", n / 1_000),
            n if n % 1_024 == 0 => write!(f, "{}KiB", n / 1_024),
            n => write!(f, "{n}B"),
        }
    }
}
