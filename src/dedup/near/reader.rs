//! Reads texts, one after the other.

use super::hashed::hash;
use super::phrase::Phrase;
use super::reading::Reading;
use super::sentences::write;
use super::text::{is_code, is_symbolic, normalised};
use super::tokens::{Tokens, code, squeezed};
use crate::dedup::fold::fold_case;

/// Reads texts; its buffers serve one after the other.
#[derive(Debug, Default)]
pub(super) struct Reader {
    tokens: Tokens,
    phrase: Phrase,
}

impl Reader {
    /// Adds what a text says, at a place that tells its field from the others.
    pub(super) fn read(&mut self, text: &str, place: u64, reading: &mut Reading) {
        let text = normalised(text);
        if text.trim().is_empty() {
            return;
        }
        if is_code(&text) {
            return reading.add_exact(place, code(&text));
        }
        if is_symbolic(&text) {
            return reading.add_exact(place, squeezed(&text));
        }
        self.tokens.read(&text);
        let before = reading.sentences.len();
        write(&self.tokens.list, place, &mut self.phrase, reading);
        if reading.sentences.len() == before {
            // Words of grammar alone.
            let small = text
                .split_whitespace()
                .flat_map(|word| word.chars().flat_map(fold_case).chain([' ']));
            let small: String = small.collect();
            reading.add_exact(
                place,
                hash(small.trim_end_matches(['.', '?', '!', ' ']).as_bytes()),
            );
        }
    }
}
