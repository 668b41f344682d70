//! The field GF(2^8) with the polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d), generator 2.
//!
//! Addition is XOR. Tables are computed at compile time; whole chunks are the business of
//! `kernel`.

use std::iter::Product;
use std::ops::{Div, Mul};

/// The polynomial, without its highest bit.
const POLYNOMIAL: u8 = 0x1d;

/// The powers of 2: `EXP[i] = 2^i`, twice over, so that a sum of two logarithms is an index.
const EXP: [u8; 512] = powers();

/// `LOG[EXP[i]] = i`; the logarithm of 0 does not exist: its place holds that of 1.
const LOG: [u8; 256] = logarithms();

/// The product of `a` and `b`.
///
/// ```
/// use udpcore::fec::gf256::{inverse, multiply};
/// assert_eq!(multiply(2, 0x80), 0x1d);
/// assert_eq!(multiply(77, inverse(77)), 1);
/// ```
pub const fn multiply(a: u8, b: u8) -> u8 {
    if a == 0 || b == 0 {
        return 0;
    }
    EXP[LOG[a as usize] as usize + LOG[b as usize] as usize]
}

/// The number whose product with `a` is 1.
///
/// # Panics
/// Zero has none: asking for it is a bug in the caller.
pub const fn inverse(a: u8) -> u8 {
    assert!(a != 0, "zero has no inverse");
    EXP[255 - LOG[a as usize] as usize]
}

/// A number other than zero by its logarithm, from 0 to 254.
///
/// ```
/// use udpcore::fec::gf256::{Log, inverse, multiply};
/// let quotient = Log::of(7) * Log::of(9) / Log::of(5);
/// assert_eq!(quotient.number(), multiply(multiply(7, 9), inverse(5)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log(u8);

/// 2^255 = 1: logarithms repeat after so many.
const ORDER: u16 = 255;

impl Log {
    /// The logarithm of `a`.
    ///
    /// # Panics
    /// Zero has none: asking for it is a bug in the caller.
    pub fn of(a: u8) -> Self {
        assert!(a != 0, "zero has no logarithm");
        Self::of_factor(a)
    }

    /// As [`Self::of`], and of zero as if it were one: a factor that is left out.
    pub fn of_factor(a: u8) -> Self {
        Self(LOG[usize::from(a)])
    }

    /// The number it stands for.
    pub fn number(self) -> u8 {
        EXP[usize::from(self.0)]
    }

    /// From a sum of two.
    fn reduced(sum: u16) -> Self {
        Self(if sum < ORDER { sum } else { sum - ORDER } as u8)
    }
}

impl Mul for Log {
    type Output = Self;

    #[allow(clippy::suspicious_arithmetic_impl, reason = "the sum of logarithms is the product")]
    fn mul(self, other: Self) -> Self {
        Self::reduced(u16::from(self.0) + u16::from(other.0))
    }
}

impl Div for Log {
    type Output = Self;

    #[allow(clippy::suspicious_arithmetic_impl, reason = "and their difference the quotient")]
    fn div(self, other: Self) -> Self {
        Self::reduced(u16::from(self.0) + ORDER - u16::from(other.0))
    }
}

impl Product for Log {
    /// Of 258 factors at most, as many as fit into the sum.
    fn product<I: Iterator<Item = Self>>(factors: I) -> Self {
        Self((factors.map(|factor| u16::from(factor.0)).sum::<u16>() % ORDER) as u8)
    }
}

const fn times_two(a: u8) -> u8 {
    (a << 1) ^ if a & 0x80 == 0 { 0 } else { POLYNOMIAL }
}

const fn powers() -> [u8; 512] {
    let mut table = [0; 512];
    let (mut i, mut power) = (0, 1);
    while i < 512 {
        table[i] = power;
        power = times_two(power);
        i += 1;
    }
    table
}

const fn logarithms() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 255 {
        table[EXP[i] as usize] = i as u8;
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiplication by the book: shift and add.
    fn by_the_book(a: u8, b: u8) -> u8 {
        (0..8)
            .filter(|bit| b >> bit & 1 == 1)
            .fold(0, |sum, bit| sum ^ (0..bit).fold(a, |power, _| times_two(power)))
    }

    #[test]
    fn every_product_is_right() {
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), by_the_book(a, b), "{a} * {b}");
            }
        }
    }

    #[test]
    fn every_inverse_is_right() {
        assert!((1..=255).all(|a| multiply(a, inverse(a)) == 1));
    }
}
