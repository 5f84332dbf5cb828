//! The numbers in a text, which embeddings hardly see.

use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::Xxh3Default;

/// Hashes the numbers in a text, whatever their order: 0 where it has none.
///
/// A number is a run of digits with its decimal point; commas between groups of digits do not count. Signs, units
/// and numbers in words are not looked at.
pub(super) fn numbers(text: &str) -> u64 {
    let mut all: Vec<String> = Vec::new();
    let mut number = String::new();
    let mut chars = text.nfkc().peekable();
    while let Some(c) = chars.next() {
        let before_digit = chars.peek().is_some_and(|next| next.is_numeric());
        if c.is_numeric() || (c == '.' && !number.is_empty() && before_digit) {
            number.push(c);
        } else if !(number.is_empty() || c == ',' && before_digit) {
            all.push(std::mem::take(&mut number));
        }
    }
    all.extend(Some(number).filter(|number| !number.is_empty()));
    if all.is_empty() {
        return 0;
    }
    all.sort_unstable();
    let mut hash = Xxh3Default::new();
    for number in all {
        hash.update(number.as_bytes());
        hash.update(b" ");
    }
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_and_their_form_and_order_do_not() {
        for (one, other, same) in [
            ("What is 5 + 3?", "Add 3 to 5.", true),
            ("What is 5 + 3?", "What is 5 + 4?", false),
            ("1,000 metres", "1000 m", true),
            ("1.5 kg", "15 kg", false),
            ("In 1999.", "in １９９９", true),
            ("1 12", "11 2", false),
            ("5 and 5", "5", false),
            ("٣ كتب", "٤ كتب", false),
            ("no number", "none, at all.", true),
            ("one", "1", false),
        ] {
            assert_eq!(numbers(one) == numbers(other), same, "{one} | {other}");
        }
        assert_eq!(numbers("a, b. c"), 0);
    }
}
