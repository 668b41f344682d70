//! Splits `12.5ms` into an exact decimal number and the text that follows it.

use super::UnitError;

/// More digits than this are refused: they could not be kept exactly.
const DIGITS_MAX: usize = 20;

/// A decimal number `digits * 10^-scale`, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) digits: u128,
    pub(super) scale: u32,
}

impl Decimal {
    /// `self * factor`, rounded half up.
    pub(super) fn times(self, factor: u128) -> Option<u128> {
        let power = 10u128.pow(self.scale);
        Some((self.digits.checked_mul(factor)?.checked_add(power / 2)?) / power)
    }
}

/// Splits `text` into its number and its unit (which may be empty).
pub(super) fn split<'a>(
    text: &'a str,
    example: &'static str,
) -> Result<(Decimal, &'a str), UnitError> {
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let refused = || UnitError::NotANumber { value: text.to_owned(), example };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let count = whole.len() + fraction.len();
    if number.is_empty() || number == "." || fraction.contains('.') || count > DIGITS_MAX {
        return Err(refused());
    }
    let digits = whole.bytes().chain(fraction.bytes());
    let digits = digits.fold(0u128, |sum, byte| sum * 10 + u128::from(byte - b'0'));
    Ok((Decimal { digits, scale: fraction.len() as u32 }, unit.trim_start()))
}
