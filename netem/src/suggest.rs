//! "Did you mean": the known word that is closest to an unknown one.

/// More edits than this are no slip of the finger.
const EDITS_MAX: usize = 2;

/// ` (did you mean "loss"?)`, or nothing when no known word is close.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    let distance = |known: &&&str| edits(word, known);
    match known.iter().min_by_key(distance) {
        Some(closest) if edits(word, closest) <= EDITS_MAX.min(closest.len() / 2) => {
            format!(" (did you mean {closest:?}?)")
        }
        _ => format!(" (known: {})", known.join(", ")),
    }
}

/// How many letters are inserted, left out, replaced or swapped with their neighbour.
fn edits(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len() > 64 {
        return usize::MAX;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            let is_swap =
                i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
            if is_swap {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_word_is_offered() {
        assert_eq!(did_you_mean("lsos", &["loss", "delay"]), " (did you mean \"loss\"?)");
        assert_eq!(did_you_mean("latency", &["loss", "delay"]), " (known: loss, delay)");
        assert_eq!(edits("ca", "abc"), 3);
        assert_eq!(edits("duplciate", "duplicate"), 1);
    }
}
