//! What someone probably meant by a name that does not exist.

/// Returns the candidate that a misspelt name is closest to, if one is close enough to be meant.
///
/// Close enough is a third of the name's length, and at least two edits: `topic` is near `topics`, and `size`
/// is near nothing in `seed`. Case and the kind of separator do not count.
pub(crate) fn closest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // The work is the product of both lengths, and a name that long is no slip of the hand.
    const LONGEST: usize = 64;
    let name = plain(name);
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let most = (name.len() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (edits(&name, &plain(candidate)), candidate))
        .filter(|(edits, candidate)| *edits <= most && *edits < candidate.len().min(name.len()))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn plain(name: &str) -> Vec<char> {
    name.chars()
        .map(|character| match character {
            '-' | ' ' | '.' => '_',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

/// Returns how many characters have to be put in, taken out, replaced, or swapped with their neighbour.
fn edits(one: &[char], other: &[char]) -> usize {
    // Three rows of the usual table: the current one, the one above, and for swaps the one above that.
    let mut above_that = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, character) in one.iter().enumerate() {
        let mut current = Vec::with_capacity(above.len());
        current.push(row + 1);
        for (column, counterpart) in other.iter().enumerate() {
            let replaced = above[column] + usize::from(character != counterpart);
            let mut least = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0
                && column > 0
                && *character == other[column - 1]
                && one[row - 1] == *counterpart;
            if swapped {
                let before: &Vec<usize> = &above_that;
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        above_that = std::mem::replace(&mut above, current);
    }
    above[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(one: &str, other: &str) -> usize {
        edits(&plain(one), &plain(other))
    }

    #[test]
    fn edits_are_insertions_deletions_replacements_and_swaps() {
        assert_eq!(distance("topic", "topics"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("tpoics", "topics"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("Num-Records", "num_records"), 0);
    }

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let names = ["num_records", "records_per_topic", "topics", "seed"];
        assert_eq!(closest("nun_record", names), Some("num_records"));
        assert_eq!(closest("topic", names), Some("topics"));
        assert_eq!(closest("colour", names), None);
        assert_eq!(closest("xx", names), None);
        assert_eq!(closest(&"x".repeat(1_000_000), names), None);
    }
}
