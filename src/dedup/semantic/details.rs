//! The numbers, operators and negations in a text, which embeddings hardly see.

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::Xxh3Default;

/// Signs that make another calculation or comparison. The hyphen is missing: it is a dash more often than a minus.
const OPERATORS: &str = "+*/<>=^%";

/// The English words that the near stage takes for negations.
static NEGATIONS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let lines = include_str!("../near/data/negations.txt").lines();
    let words = lines.filter(|line| !line.starts_with('#'));
    words.flat_map(str::split_whitespace).collect()
});

/// Hashes these details of a text, whatever their order: 0 where it has none.
///
/// A number is a run of digits with its decimal point; commas between groups of digits do not count. Units and numbers
/// in words are not looked at, nor are negations in other languages than English.
pub(super) fn details(text: &str) -> u64 {
    let text: String = text.nfkc().collect();
    let mut all = numbers(&text);
    let operators = text.chars().filter(|c| OPERATORS.contains(*c));
    all.extend(operators.map(String::from));
    let words = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’'));
    let words = words.map(str::to_lowercase);
    all.extend(words.filter_map(|word| {
        let denies = NEGATIONS.contains(&*word) || word.ends_with("n't") || word.ends_with("n’t");
        // "Do not" and "don't" deny alike, and so do "not" and "never".
        denies.then(|| "not".to_owned())
    }));
    if all.is_empty() {
        return 0;
    }
    all.sort_unstable();
    let mut hash = Xxh3Default::new();
    for detail in all {
        hash.update(detail.as_bytes());
        hash.update(b" ");
    }
    hash.digest()
}

fn numbers(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut number = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let before_digit = chars.peek().is_some_and(|next| next.is_numeric());
        if c.is_numeric() || (c == '.' && !number.is_empty() && before_digit) {
            number.push(c);
        } else if !(number.is_empty() || c == ',' && before_digit) {
            all.push(std::mem::take(&mut number));
        }
    }
    all.extend(Some(number).filter(|number| !number.is_empty()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_count_and_their_form_and_order_do_not() {
        for (one, other, same) in [
            ("What is 5 + 3?", "What is 3 + 5?", true),
            ("What is 5 + 3?", "What is 5 + 4?", false),
            ("What is 5 * 3?", "What is 5 / 3?", false),
            ("Add 3 to 5.", "What is the sum of 5 and 3?", true),
            ("Birds that fly", "Birds that don't fly", false),
            ("Birds that can’t fly", "Birds that never fly", true),
            ("a well-known word", "a well known word", true),
            ("1,000 metres", "1000 m", true),
            ("1.5 kg", "15 kg", false),
            ("In 1999.", "in １９９９", true),
            ("1 12", "11 2", false),
            ("5 and 5", "5", false),
            ("٣ كتب", "٤ كتب", false),
            ("no number", "none, at all.", true),
            ("one", "1", false),
        ] {
            assert_eq!(details(one) == details(other), same, "{one} | {other}");
        }
        assert_eq!(details("a, b. c"), 0);
    }
}
