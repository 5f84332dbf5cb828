//! Whether a quote stands in a text.

use unicode_normalization::UnicodeNormalization as _;

/// Returns whether a quote stands in a text, but for white space, case, and the kind of quotation marks and dashes.
pub(crate) fn stands_in(quote: &str, text: &str) -> bool {
    let quote = plain(quote);
    // A quote may be put between marks, and end in a mark of its own.
    let quote = quote.trim_matches(['"', '\'', ' ']);
    !quote.is_empty() && plain(text).contains(quote)
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.nfkc().flat_map(char::to_lowercase) {
        match letter {
            '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{feff}' => {}
            '“' | '”' | '„' | '«' | '»' | '‟' => plain.push('"'),
            '‘' | '’' | '‚' | '‹' | '›' | '`' | '´' => plain.push('\''),
            '‐'..='―' | '−' => plain.push('-'),
            space if space.is_whitespace() => {
                if !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            letter => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_found_whatever_its_marks_and_spaces_are() {
        let text = "The “Skipper’s Guide”\nsays: ebb – not  flow – comes\u{a0}first. Cafe\u{301}.";
        for quote in [
            "the \"skipper's guide\" says: ebb - not flow - comes first.",
            "“Ebb — not flow”",
            "'caf\u{e9}.'",
        ] {
            assert!(stands_in(quote, text), "{quote}");
        }
        for quote in ["flow comes first", "", " ", "\"\"", "ebb and flow"] {
            assert!(!stands_in(quote, text), "{quote}");
        }
    }
}
