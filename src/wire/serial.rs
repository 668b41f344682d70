//! Sequence numbers that wrap around: serial-number arithmetic over 32 bits (RFC 1982).
//!
//! There is deliberately no `Ord`: "before" is not transitive on a circle. Two numbers exactly
//! 2^31 apart are unordered (RFC 1982 §3.2).

use std::fmt;

/// A sequence number of 32 bits; after 4,294,967,295 comes 0.
///
/// ```
/// use udpcore::wire::serial::Serial;
/// let last = Serial::new(u32::MAX);
/// assert_eq!(last.next(), Serial::new(0));
/// assert!(last.precedes(last.next()));
/// assert_eq!(last.distance_to(Serial::new(4)), 5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Serial(u32);

impl Serial {
    /// The number `value`.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number as an integer.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number after this one.
    pub const fn next(self) -> Self {
        self.plus(1)
    }

    /// The number `steps` after this one (RFC 1982 §3.1, modulo 2^32).
    pub const fn plus(self, steps: u32) -> Self {
        Self(self.0.wrapping_add(steps))
    }

    /// The signed number of steps to `other`: positive when `other` comes later.
    /// Exactly half the circle away gives `i32::MIN`.
    pub const fn distance_to(self, other: Self) -> i32 {
        other.0.wrapping_sub(self.0).cast_signed()
    }

    /// Whether `other` comes later (RFC 1982 §3.2); false when 2^31 apart.
    pub const fn precedes(self, other: Self) -> bool {
        self.distance_to(other) > 0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Serial;
    use proptest::prelude::*;

    #[test]
    fn rfc_1982_comparisons_hold_around_the_wrap() {
        let n = Serial::new;
        assert!(n(0).precedes(n(1)));
        assert!(n(u32::MAX).precedes(n(0)));
        assert!(n(100).precedes(n(100 + (1 << 31) - 1)));
        assert!(!n(5).precedes(n(5)));
        // Half the circle: neither comes first.
        assert!(!n(0).precedes(n(1 << 31)));
        assert!(!n(1 << 31).precedes(n(0)));
    }

    proptest! {
        #[test]
        fn plus_and_distance_are_inverse(start: u32, steps in 0..=i32::MAX) {
            let from = Serial::new(start);
            prop_assert_eq!(from.distance_to(from.plus(steps.cast_unsigned())), steps);
        }

        #[test]
        fn of_two_numbers_at_most_one_precedes(a: u32, b: u32) {
            let (a, b) = (Serial::new(a), Serial::new(b));
            prop_assert!(!(a.precedes(b) && b.precedes(a)));
        }
    }
}
