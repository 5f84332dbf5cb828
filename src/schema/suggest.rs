//! The known word closest to an unknown one.

/// Returns the word of `known` that `word` was probably meant to be.
///
/// Two edits are a slip of the hand; more is another word. Short words allow one.
pub(crate) fn closest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    // Longer than any name we know: not worth comparing.
    if word.len() > 64 {
        return None;
    }
    let allowed = if word.chars().count() <= 4 { 1 } else { 2 };
    known
        .iter()
        .map(|candidate| (distance(&word.to_lowercase(), candidate), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["name", "type", "description", "required"];
        assert_eq!(closest("tpye", &known), None, "two edits in a short word");
        assert_eq!(closest("typ", &known), Some("type"));
        assert_eq!(closest("Descripton", &known), Some("description"));
        assert_eq!(closest("colour", &known), None);
    }
}
