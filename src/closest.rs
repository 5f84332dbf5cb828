//! What someone probably meant by a name that does not exist.

/// Returns the candidate that a misspelt name is closest to, if one is close enough to be meant.
///
/// Close enough is a third of the name's length, and at least two edits: `topic` is near `topics`, and `size`
/// is near nothing in `seed`. Case and the kind of separator do not count. Failing that, one that it is the beginning of, with
/// four letters or more.
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
    let candidates: Vec<_> = candidates.into_iter().collect();
    let slip = candidates
        .iter()
        .map(|&candidate| (edits(&name, &plain(candidate)), candidate))
        .filter(|(edits, candidate)| *edits <= most && *edits < candidate.len().min(name.len()))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate);
    let begins = |candidate: &&&str| name.len() >= 4 && plain(candidate).starts_with(&name);
    slip.or_else(|| candidates.iter().find(begins).copied())
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', ' ', '.'], "_")
}

/// Returns how many characters have to be put in, taken out or replaced (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let mut above: Vec<usize> = (0..=other.chars().count()).collect();
    for (row, character) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut above[0], row + 1);
        for (column, counterpart) in other.chars().enumerate() {
            let replaced = diagonal + usize::from(character != counterpart);
            diagonal = above[column + 1];
            above[column + 1] = replaced.min(above[column] + 1).min(diagonal + 1);
        }
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_insertions_deletions_and_replacements() {
        assert_eq!(edits("topic", "topics"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
    }

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let names = ["num_records", "records_per_topic", "topics", "seed"];
        assert_eq!(closest("nun_record", names), Some("num_records"));
        assert_eq!(closest("topic", names), Some("topics"));
        assert_eq!(closest("tpoics", names), Some("topics"));
        assert_eq!(closest("Num-Recrods", names), Some("num_records"));
        assert_eq!(closest("records", names), Some("records_per_topic"));
        assert_eq!(closest("rec", names), None);
        assert_eq!(closest("colour", names), None);
        assert_eq!(closest("xx", names), None);
        assert_eq!(closest(&"x".repeat(1_000_000), names), None);
    }
}
