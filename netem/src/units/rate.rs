//! [`BitRate`]: how many bits a second a link carries.

use std::fmt;
use std::str::FromStr;

use super::{UnitError, decimal};

const KNOWN: &str = "bit, kbit, mbit, gbit, tbit (thousands), or kibit, mibit, gibit (1024s)";
const EXAMPLE: &str = "10mbit";
const RANGE: &str = "1bit to 1000tbit a second";
const MAX: u64 = 1_000_000_000_000_000;

/// Bits a second, 1 to 10^15.
///
/// Written as tc writes rates: `10mbit`, `1.5gbit`, `500kbit`. `mbps` is refused, because tc means
/// bytes by it and everybody else bits.
///
/// ```
/// use netem::BitRate;
/// let rate: BitRate = "1.5mbit".parse()?;
/// assert_eq!(rate.bits_per_second(), 1_500_000);
/// assert_eq!(rate.to_string(), "1500kbit");
/// assert!("10mbps".parse::<BitRate>().is_err());
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BitRate(u64);

impl BitRate {
    /// `bits` a second.
    ///
    /// # Errors
    /// [`UnitError::OutOfRange`] for none at all, or more than 10^15.
    pub fn new(bits: u64) -> Result<Self, UnitError> {
        if !(1..=MAX).contains(&bits) {
            return Err(UnitError::OutOfRange { value: format!("{bits}bit"), range: RANGE });
        }
        Ok(Self(bits))
    }

    /// The number of bits a second.
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }
}

impl FromStr for BitRate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = decimal::split(text, EXAMPLE)?;
        let value = || text.trim().to_owned();
        let factor = match unit.to_ascii_lowercase().as_str() {
            "bit" => 1u128,
            "kbit" => 1_000,
            "mbit" => 1_000_000,
            "gbit" => 1_000_000_000,
            "tbit" => 1_000_000_000_000,
            "kibit" => 1 << 10,
            "mibit" => 1 << 20,
            "gibit" => 1 << 30,
            "" => return Err(UnitError::NoUnit { value: value(), example: value() + "mbit" }),
            _ => {
                let unit = unit.to_owned();
                return Err(UnitError::UnknownUnit { value: value(), unit, known: KNOWN });
            }
        };
        let bits = number.times(factor).and_then(|bits| u64::try_from(bits).ok());
        bits.and_then(|bits| Self::new(bits).ok())
            .ok_or_else(|| UnitError::OutOfRange { value: value(), range: RANGE })
    }
}

/// The coarsest unit that keeps the value exact; parses back to the same value.
impl fmt::Display for BitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n % 1_000_000_000 == 0 => write!(f, "{}gbit", n / 1_000_000_000),
            n if n % 1_000_000 == 0 => write!(f, "{}mbit", n / 1_000_000),
            n if n % 1_000 == 0 => write!(f, "{}kbit", n / 1_000),
            n => write!(f, "{n}bit"),
        }
    }
}
