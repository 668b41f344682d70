//! A set of packets by number: `3,7-9,20-`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::units::UnitError;

const EXAMPLE: &str = "3,7-9,20-";

/// Packets of a flow by number, the first being 1. Written `3,7-9,20-`: the third, the seventh to
/// ninth, and all from the twentieth on.
///
/// ```
/// use netem::impair::PacketSet;
/// let set: PacketSet = "3,7-9,20-".parse()?;
/// assert!(set.contains_ordinal(2), "the third packet has ordinal 2");
/// assert_eq!(set.to_string(), "3,7-9,20-");
/// # Ok::<(), netem::UnitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketSet {
    /// First and last ordinal (from 0), sorted, apart from each other.
    ranges: Arc<[(u64, u64)]>,
}

impl PacketSet {
    /// The packets with these ordinals, which count from 0 as the decision log does.
    pub fn from_ordinals(ordinals: impl IntoIterator<Item = u64>) -> Self {
        Self::from_ranges(ordinals.into_iter().map(|ordinal| (ordinal, ordinal)).collect())
    }

    fn from_ranges(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.sort_unstable();
        let mut apart: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match apart.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => apart.push((first, last)),
            }
        }
        Self { ranges: apart.into() }
    }

    /// Whether the packet with this ordinal (from 0) is in the set.
    #[inline]
    pub fn contains_ordinal(&self, ordinal: u64) -> bool {
        let place = self.ranges.partition_point(|&(_, last)| last < ordinal);
        self.ranges.get(place).is_some_and(|&(first, _)| first <= ordinal)
    }
}

impl FromStr for PacketSet {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let refused = |word: &str| {
            let (value, word) = (text.to_owned(), word.to_owned());
            UnitError::UnexpectedWord { value, word, example: EXAMPLE }
        };
        let number = |word: &str, digits: &str| {
            let number = digits.trim().parse::<u64>().ok().filter(|&number| number > 0);
            number.map(|number| number - 1).ok_or_else(|| refused(word))
        };
        let mut ranges = Vec::new();
        for word in text.split(',') {
            let range = match word.split_once('-') {
                None => (number(word, word)?, number(word, word)?),
                Some((first, "")) => (number(word, first)?, u64::MAX),
                Some((first, last)) => (number(word, first)?, number(word, last)?),
            };
            if range.0 > range.1 {
                return Err(refused(word));
            }
            ranges.push(range);
        }
        Ok(Self::from_ranges(ranges))
    }
}

impl fmt::Display for PacketSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, &(first, last)) in self.ranges.iter().enumerate() {
            let separator = if place == 0 { "" } else { "," };
            let first = first.saturating_add(1);
            match last {
                u64::MAX => write!(f, "{separator}{first}-")?,
                last if last + 1 == first => write!(f, "{separator}{first}")?,
                last => write!(f, "{separator}{first}-{}", last + 1)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_set_is_refused_with_the_word() {
        for (text, word) in [("3,x", "x"), ("0", "0"), ("", ""), ("9-7", "9-7"), ("1,,2", "")] {
            let error = text.parse::<PacketSet>().unwrap_err().to_string();
            assert!(error.contains(&format!("unexpected word {word:?}")), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_set_holds_what_it_was_made_of(ordinals in prop::collection::vec(0u64..100, 1..40)) {
            let set = PacketSet::from_ordinals(ordinals.iter().copied());
            for ordinal in 0..110 {
                prop_assert_eq!(set.contains_ordinal(ordinal), ordinals.contains(&ordinal));
            }
            prop_assert_eq!(set.to_string().parse::<PacketSet>(), Ok(set));
        }
    }
}
